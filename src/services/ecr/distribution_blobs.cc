// Blobs of the distribution: reading with ranges, and uploads in one piece, in chunks, or by mounting.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-blobs
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/ecr/distribution_request.h"

namespace bastide::services {

using ecr::oci;
using ecr::RepositoryRef;

namespace {

constexpr size_t kPiece = 1u << 20;  // of a body on its way to disk

struct Span {
  int64_t first = 0;
  int64_t last = 0;  // inclusive
};

// One range of bytes (RFC 9110 section 14); nothing for a header that is to be ignored.
Result<std::optional<Span>> read_range(std::string_view header, int64_t size) {
  if (!header.starts_with("bytes=") || header.find(',') != std::string_view::npos)
    return std::optional<Span>{};
  header.remove_prefix(6);
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos) return std::optional<Span>{};
  const Error unsatisfiable = oci(416, "UNSUPPORTED", "the range is not within the blob");
  Span span{0, size - 1};
  if (dash == 0) {
    auto count = parse_int(header.substr(1));
    if (!count) return std::optional<Span>{};
    if (count.value() <= 0) return unsatisfiable;
    span.first = std::max<int64_t>(0, size - count.value());
  } else {
    auto first = parse_int(header.substr(0, dash));
    if (!first || first.value() < 0) return std::optional<Span>{};
    span.first = first.value();
    if (dash + 1 < header.size()) {
      auto last = parse_int(header.substr(dash + 1));
      if (!last || last.value() < span.first) return std::optional<Span>{};
      span.last = std::min(last.value(), size - 1);
    }
  }
  if (span.first >= size) return unsatisfiable;
  return std::optional<Span>(span);
}

}  // namespace

Result<void> Distribution::get_blob(Request& r) {
  if (!store::valid_digest(r.reference)) return oci(400, "DIGEST_INVALID", "not a sha256 digest");
  const bool head = r.method() == "HEAD";
  if (head) {
    TRY(authorise(r, r.repository, {"ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"}));
  } else {
    TRY(authorise(r, r.repository, {"ecr:GetDownloadUrlForLayer"}));
  }
  const int64_t size = TRY(ecr_.images().layer_size(r.repository, r.reference));
  net::Response response = ecr::answer(200);
  response.headers.add("Content-Type", "application/octet-stream");
  response.headers.add("Docker-Content-Digest", r.reference);
  response.headers.add("ETag", "\"" + r.reference + "\"");
  response.headers.add("Accept-Ranges", "bytes");
  if (head) {
    response.headers.add("Content-Length", std::to_string(size));
    return r.exchange.respond(std::move(response));
  }
  Span span{0, size - 1};
  if (const std::string* header = r.exchange.request().headers.find("Range")) {
    if (const auto wanted = TRY(read_range(*header, size))) {
      span = *wanted;
      response.status = 206;
      response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", span.first, span.last, size));
    }
  }
  net::FilePart part;
  part.fd = TRY(ecr_.images().open_layer(r.reference));
  part.offset = span.first;
  part.length = span.last - span.first + 1;
  response.file = std::move(part);
  return r.exchange.respond(std::move(response));
}

// Streams the body into the upload; the size of the upload afterwards.
Result<int64_t> Distribution::receive(Request& r, const std::string& upload, int64_t at) {
  std::string buffer(kPiece, '\0');
  while (true) {
    size_t held = 0;
    while (held < buffer.size()) {
      const size_t n = TRY(r.exchange.read_some(buffer.data() + held, buffer.size() - held));
      if (n == 0) break;
      held += n;
    }
    if (held == 0) return at;
    at = TRY(ecr_.images().append(r.repository, upload, at, std::string_view(buffer).substr(0, held)));
    if (held < buffer.size()) return at;
  }
}

Result<void> Distribution::start_upload(Request& r) {
  TRY(authorise(r, r.repository, {"ecr:InitiateLayerUpload"}));
  ecr::ImageStore& images = ecr_.images();
  net::Response response = ecr::answer(202);

  if (const std::string digest = r.parameter("mount"); !digest.empty()) {
    if (!store::valid_digest(digest)) return oci(400, "DIGEST_INVALID", "not a sha256 digest");
    const ecr::NameInRegistry from = ecr::split_name(r.parameter("from"));
    if (ecr::valid_repository_name(from.name)) {
      const RepositoryRef source{from.account.empty() ? r.login.principal.account : from.account,
                                 r.login.region, from.name};
      bool mounted = false;
      if (authorise(r, source, {"ecr:GetDownloadUrlForLayer"}).ok()) {
        mounted = TRY(images.mount(source, r.repository, digest));
      }
      if (mounted) {
        response.status = 201;
        response.headers.add("Location", fmt::format("/v2/{}/blobs/{}", r.name, digest));
        response.headers.add("Docker-Content-Digest", digest);
        return r.exchange.respond(std::move(response));
      }
    }
  }

  const std::string id = TRY(images.begin_upload(r.repository));
  if (const std::string digest = r.parameter("digest"); !digest.empty()) {
    TRY(authorise(r, r.repository, {"ecr:UploadLayerPart"}));
    TRY(authorise(r, r.repository, {"ecr:CompleteLayerUpload"}));
    TRY(receive(r, id, 0));
    TRY(images.complete(r.repository, id, digest));
    response.status = 201;
    response.headers.add("Location", fmt::format("/v2/{}/blobs/{}", r.name, digest));
    response.headers.add("Docker-Content-Digest", digest);
    return r.exchange.respond(std::move(response));
  }
  response.headers.add("Location", ecr::upload_location(r.name, id));
  response.headers.add("Range", ecr::upload_range(0));
  response.headers.add("Docker-Upload-UUID", id);
  return r.exchange.respond(std::move(response));
}

Result<void> Distribution::continue_upload(Request& r) {
  TRY(authorise(r, r.repository, {"ecr:UploadLayerPart"}));
  const int64_t size = TRY(ecr_.images().upload_size(r.repository, r.reference));
  net::Response response = ecr::answer(202);
  response.headers.add("Location", ecr::upload_location(r.name, r.reference));
  response.headers.add("Docker-Upload-UUID", r.reference);
  if (const std::string* header = r.exchange.request().headers.find("Content-Range")) {
    std::string_view range = *header;
    if (range.starts_with("bytes ")) range.remove_prefix(6);
    range = range.substr(0, range.find('/'));
    const size_t dash = range.find('-');
    if (dash == std::string_view::npos)
      return oci(400, "BLOB_UPLOAD_INVALID", "Content-Range is not start-end");
    auto first = parse_int(range.substr(0, dash));
    auto last = parse_int(range.substr(dash + 1));
    const auto length = r.exchange.content_length();
    if (!first || !last || (length && last.value() - first.value() + 1 != *length)) {
      return oci(400, "BLOB_UPLOAD_INVALID", "Content-Range does not fit the body");
    }
    if (first.value() != size) {
      response.status = 416;
      response.headers.add("Range", ecr::upload_range(size));
      return r.exchange.respond(std::move(response));
    }
  }
  const int64_t now = TRY(receive(r, r.reference, size));
  response.headers.add("Range", ecr::upload_range(now));
  return r.exchange.respond(std::move(response));
}

Result<void> Distribution::upload_status(Request& r) {
  TRY(authorise(r, r.repository, {"ecr:UploadLayerPart"}));
  const int64_t size = TRY(ecr_.images().upload_size(r.repository, r.reference));
  net::Response response = ecr::answer(204);
  response.headers.add("Location", ecr::upload_location(r.name, r.reference));
  response.headers.add("Range", ecr::upload_range(size));
  response.headers.add("Docker-Upload-UUID", r.reference);
  return r.exchange.respond(std::move(response));
}

Result<void> Distribution::finish_upload(Request& r) {
  TRY(authorise(r, r.repository, {"ecr:CompleteLayerUpload"}));
  const std::string digest = r.parameter("digest");
  if (!store::valid_digest(digest))
    return oci(400, "DIGEST_INVALID", "the parameter digest is not a sha256 digest");
  const int64_t size = TRY(ecr_.images().upload_size(r.repository, r.reference));
  if (r.exchange.content_length().value_or(1) > 0) {
    TRY(authorise(r, r.repository, {"ecr:UploadLayerPart"}));
    if (const std::string* header = r.exchange.request().headers.find("Content-Range")) {
      auto first = parse_int(std::string_view(*header).substr(0, header->find('-')));
      if (!first || first.value() != size) {
        net::Response response = ecr::answer(416);
        response.headers.add("Location", ecr::upload_location(r.name, r.reference));
        response.headers.add("Range", ecr::upload_range(size));
        return r.exchange.respond(std::move(response));
      }
    }
    TRY(receive(r, r.reference, size));
  }
  TRY(ecr_.images().complete(r.repository, r.reference, digest));
  net::Response response = ecr::answer(201);
  response.headers.add("Location", fmt::format("/v2/{}/blobs/{}", r.name, digest));
  response.headers.add("Docker-Content-Digest", digest);
  return r.exchange.respond(std::move(response));
}

Result<void> Distribution::cancel_upload(Request& r) {
  TRY(authorise(r, r.repository, {"ecr:UploadLayerPart"}));
  TRY(ecr_.images().cancel(r.repository, r.reference));
  return r.exchange.respond(ecr::answer(204));
}

}  // namespace bastide::services
