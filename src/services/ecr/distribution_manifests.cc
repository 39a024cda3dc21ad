// Manifests, tags and referrers of the distribution.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/ecr/distribution_request.h"

namespace bastide::services {

using ecr::ImageId;
using ecr::oci;

namespace {

constexpr int64_t kMaxTagsAPage = 1'000;

Result<ImageId> id_from(const std::string& reference) {
  if (reference.find(':') != std::string::npos) {
    if (!store::valid_digest(reference)) return oci(400, "DIGEST_INVALID", "not a sha256 digest");
    return ImageId{reference, ""};
  }
  if (!ecr::valid_tag(reference)) return oci(400, "TAG_INVALID", "not a tag");
  return ImageId{"", reference};
}

}  // namespace

Result<void> Distribution::get_manifest(Request& r) {
  const ImageId id = TRY(id_from(r.reference));
  TRY(authorise(r, r.repository, {"ecr:BatchGetImage"}));
  const ecr::ImageRecord image = TRY(ecr_.images().find(r.repository, id));
  net::Response response = ecr::answer(200);
  response.headers.add("Content-Type", image.media_type);
  response.headers.add("Docker-Content-Digest", image.digest);
  response.headers.add("ETag", "\"" + image.digest + "\"");
  if (r.method() == "HEAD") {
    response.headers.add("Content-Length", std::to_string(image.manifest_bytes));
  } else {
    response.body = TRY(ecr_.images().manifest(image.digest));
  }
  return r.exchange.respond(std::move(response));
}

Result<void> Distribution::put_manifest(Request& r) {
  const ImageId id = TRY(id_from(r.reference));
  TRY(authorise(r, r.repository, {"ecr:PutImage"}));
  auto body = r.exchange.read_body(ecr::kMaxManifestBytes);
  if (!body) {
    if (body.error().code == "TooLarge") {
      return oci(413, "SIZE_INVALID", "a manifest has at most 4 MiB");
    }
    return std::move(body).error();
  }
  auto put = ecr_.images().put(r.repository, body.value(), r.exchange.request().headers.get("Content-Type"),
                               id.tag, id.digest);
  if (!put) {
    if (put.error().code == "LayersNotFoundException") {
      return oci(404, "MANIFEST_BLOB_UNKNOWN", put.error().message);
    }
    return std::move(put).error();
  }
  const ecr::ImageRecord& image = put.value().image;
  net::Response response = ecr::answer(201);
  response.headers.add("Location", fmt::format("/v2/{}/manifests/{}", r.name, image.digest));
  response.headers.add("Docker-Content-Digest", image.digest);
  if (!image.subject.empty()) response.headers.add("OCI-Subject", image.subject);
  return r.exchange.respond(std::move(response));
}

Result<void> Distribution::delete_manifest(Request& r) {
  const ImageId id = TRY(id_from(r.reference));
  TRY(authorise(r, r.repository, {"ecr:BatchDeleteImage"}));
  TRY(ecr_.images().remove(r.repository, id));
  return r.exchange.respond(ecr::answer(202));
}

Result<void> Distribution::list_tags(Request& r) {
  TRY(authorise(r, r.repository, {"ecr:ListImages"}));
  int64_t limit = kMaxTagsAPage;
  if (r.has("n")) {
    auto n = parse_int(r.parameter("n"));
    if (!n || n.value() < 0) return oci(400, "UNSUPPORTED", "n is not a number");
    limit = std::min(n.value(), kMaxTagsAPage);
  }
  auto tags = TRY(ecr_.images().tags(r.repository, r.parameter("last"), static_cast<size_t>(limit) + 1));
  net::Response response = ecr::answer(200);
  if (tags.size() > static_cast<size_t>(limit)) {
    tags.resize(static_cast<size_t>(limit));
    if (!tags.empty()) {
      response.headers.add("Link", fmt::format("</v2/{}/tags/list?n={}&last={}>; rel=\"next\"", r.name, limit,
                                               percent_encode(tags.back())));
    }
  }
  json::Array names;
  for (const auto& tag : tags) names.emplace_back(tag);
  response.headers.add("Content-Type", "application/json");
  response.body = json::print(json::object({{"name", r.name}, {"tags", std::move(names)}}));
  return r.exchange.respond(std::move(response));
}

// https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
Result<void> Distribution::list_referrers(Request& r) {
  if (!store::valid_digest(r.reference)) return oci(400, "DIGEST_INVALID", "not a sha256 digest");
  TRY(authorise(r, r.repository, {"ecr:ListImageReferrers", "ecr:BatchGetImage"}));
  const std::string type = r.parameter("artifactType");
  const auto all = TRY(ecr_.images().referrers(r.repository, r.reference));
  json::Array manifests;
  for (const auto& image : all) {
    if (!type.empty() && image.artifact_type != type) continue;
    json::Value descriptor = json::object(
        {{"mediaType", image.media_type}, {"size", image.manifest_bytes}, {"digest", image.digest}});
    if (!image.artifact_type.empty()) descriptor["artifactType"] = image.artifact_type;
    if (image.annotations.is_object()) descriptor["annotations"] = image.annotations;
    manifests.push_back(std::move(descriptor));
  }
  net::Response response = ecr::answer(200);
  response.headers.add("Content-Type", std::string(ecr::kOciIndex));
  if (!type.empty()) response.headers.add("OCI-Filters-Applied", "artifactType");
  response.body = json::print(json::object({{"schemaVersion", 2},
                                            {"mediaType", std::string(ecr::kOciIndex)},
                                            {"manifests", std::move(manifests)}}));
  return r.exchange.respond(std::move(response));
}

}  // namespace bastide::services
