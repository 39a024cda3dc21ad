// CopyObject and UploadPartCopy.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/crypto.h"
#include "services/s3/chain.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;
namespace objects = store::objects;

namespace {

constexpr int64_t kMaxCopy = int64_t{5} << 30;

struct Place {
  std::string bucket, key;
  std::optional<std::string> version;
};

// "bucket/key" or "/bucket/key", percent-encoded, perhaps with "?versionId=...".
Result<Place> place_of(std::string_view source) {
  Place out;
  const size_t mark = source.rfind("?versionId=");
  if (mark != std::string_view::npos) {
    out.version = source.substr(mark + 11);
    source = source.substr(0, mark);
  }
  if (source.starts_with('/')) source.remove_prefix(1);
  auto text = percent_decode(source);
  const size_t slash = text ? text->find('/') : std::string::npos;
  if (slash == std::string::npos || slash == 0 || slash + 1 == text->size()) {
    return fault("InvalidArgument",
                 "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", 400);
  }
  out.bucket = text->substr(0, slash);
  out.key = text->substr(slash + 1);
  return out;
}

// A chain as a source of ingest().
class Pieces {
 public:
  explicit Pieces(s3::Chain& chain) : chain_(chain) {}
  Result<size_t> read(char* out, size_t size) {
    if (at_ == piece_.size()) {
      piece_ = TRY(chain_.next(256u << 10));
      at_ = 0;
    }
    const size_t count = std::min(size, piece_.size() - at_);
    std::memcpy(out, piece_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  s3::Chain& chain_;
  std::string piece_;
  size_t at_ = 0;
};

}  // namespace

Result<aws::Target> S3::origin_target(const Call& call, const std::string& copy_source) {
  const auto place = TRY(place_of(copy_source));
  const auto b = TRY(bucket(place.bucket));
  return target(call, *b, place.version ? "GetObjectVersion" : "GetObject", place.key);
}

template <class Q>
Result<S3::Origin> S3::open_origin(const Call& call, const Q& q) {
  const auto place = TRY(place_of(q.copy_source));
  Origin out;
  out.bucket = TRY(bucket(place.bucket, q.expected_source_bucket_owner));
  out.object = TRY(find_object(call, *out.bucket, place.key, place.version));
  if (out.object.marker) {
    return place.version ? fault("InvalidRequest",
                                 "The source of a copy request may not specifically refer to a delete marker "
                                 "by version id.",
                                 400)
                         : fault("NoSuchKey", "The specified key does not exist.", 404);
  }
  const int status =
      s3::weigh_conditions(q.copy_source_if_match, q.copy_source_if_none_match,
                           q.copy_source_if_modified_since, q.copy_source_if_unmodified_since, out.object);
  if (status != 200) return s3::precondition_failed("");
  SseRequest sse;
  sse.customer_algorithm = q.copy_source_sse_customer_algorithm.value_or("");
  sse.customer_key = q.copy_source_sse_customer_key.value_or("");
  sse.customer_md5 = q.copy_source_sse_customer_key_md5.value_or("");
  out.key = TRY(open_key(call, *out.bucket, place.key, out.object.meta, sse));
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
S3::Answer<op::CopyObject> S3::copy_object(Call& call, const op::CopyObject::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(s3::check_write(q));
  auto origin = TRY(open_origin(call, q));
  if (origin.object.size > kMaxCopy) {
    return fault(
        "InvalidRequest",
        "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        400);
  }
  const bool replace = q.metadata_directive.value_or("COPY") == "REPLACE";
  const bool same = origin.bucket->name == q.bucket && origin.object.key == q.key && origin.object.latest;
  if (same && !replace && !q.storage_class && !q.website_redirect_location && !q.server_side_encryption &&
      !q.sse_customer_key && q.tagging_directive.value_or("COPY") == "COPY") {
    return fault(
        "InvalidRequest",
        "This copy request is illegal because it is trying to copy an object to itself without changing the "
        "object's metadata, storage class, website redirect location or encryption attributes.",
        400);
  }
  objects::Object object;
  object.key = q.key;
  if (replace) {
    object.meta = s3::metadata_of(q);
    TRY(s3::check_metadata(object.meta));
  } else {
    object.meta = json::object();
    for (const char* kept : {"headers", "user"}) {
      if (const json::Value* value = origin.object.meta.find(kept)) object.meta[kept] = *value;
    }
    object.meta["headers"].remove("WebsiteRedirectLocation");
    if (q.website_redirect_location)
      object.meta["headers"]["WebsiteRedirectLocation"] = *q.website_redirect_location;
    if (q.storage_class && *q.storage_class != "STANDARD") object.meta["class"] = *q.storage_class;
  }
  if (q.tagging_directive.value_or("COPY") == "REPLACE") {
    if (q.tagging) object.meta["tags"] = TRY(s3::tags_of_header(*q.tagging));
  } else if (const json::Value* tags = origin.object.meta.find("tags")) {
    object.meta["tags"] = *tags;
  }
  ChecksumKind kind = ChecksumKind::crc64nvme;
  std::string wanted = q.checksum_algorithm.value_or("");
  if (wanted.empty()) {
    for (const auto& [name, value] : origin.object.meta.get_object("sums")) wanted = name;
  }
  if (!wanted.empty()) {
    const auto named = checksum_kind(wanted);
    if (!named) return fault("NotImplemented", "Checksum algorithm '" + wanted + "' is not implemented", 501);
    kind = *named;
  }
  auto sealing = TRY(seal_new(call, *b, q.key, s3::sse_of<SseRequest>(q)));
  object.meta["sealing"] = std::move(sealing.stored);
  s3::Chain chain(p_.data, origin.object.data, origin.key, 0, origin.object.size);
  wipe(origin.key);
  Pieces pieces(chain);
  auto body = ingest([&](char* out, size_t size) { return pieces.read(out, size); }, sealing.plain, {kind});
  wipe(sealing.plain);
  if (!body) return std::move(body).error();
  const auto stored =
      TRY(commit_body(call, *b, std::move(object), std::move(*body), kind, {q.if_match, q.if_none_match}));
  op::CopyObject::Response out;
  auto& result = out.copy_object_result.emplace();
  result.e_tag = s3::quoted(stored.etag);
  result.last_modified = stored.modified;
  s3::set_sums(result, stored.meta);
  if (stored.version != "null") out.version_id = stored.version;
  if (origin.object.version != "null") out.copy_source_version_id = origin.object.version;
  s3::set_sealing(out, stored.meta);
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
S3::Answer<op::UploadPartCopy> S3::upload_part_copy(Call& call, const op::UploadPartCopy::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  if (q.part_number < 1 || q.part_number > 10'000)
    return fault("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", 400);
  std::optional<objects::Upload> upload;
  TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
    upload = TRY(objects::upload(r, q.upload_id));
    return {};
  }));
  const auto no_upload = [] {
    return fault("NoSuchUpload",
                 "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
                 "been aborted or completed.",
                 404);
  };
  if (!upload || upload->bucket != q.bucket || upload->key != q.key) return no_upload();
  auto origin = TRY(open_origin(call, q));
  int64_t offset = 0, length = origin.object.size;
  if (q.copy_source_range) {
    const std::string_view text = *q.copy_source_range;
    const size_t dash = text.find('-');
    const auto first = text.starts_with("bytes=") && dash != std::string_view::npos
                           ? parse_int(text.substr(6, dash - 6))
                           : Result<int64_t>(error("Invalid", "range"));
    const auto last = dash == std::string_view::npos ? Result<int64_t>(error("Invalid", "range"))
                                                     : parse_int(text.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first) {
      return fault("InvalidArgument",
                   "The x-amz-copy-source-range value must be of the form bytes=first-last where first and "
                   "last are the zero-based offsets of the first and last bytes to copy",
                   400);
    }
    if (*last >= length) {
      return fault("InvalidArgument",
                   fmt::format("Range specified is not valid for source object of size: {}", length), 400);
    }
    offset = *first;
    length = *last - *first + 1;
  }
  if (length > kMaxCopy) {
    return fault(
        "InvalidRequest",
        "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        400);
  }
  const ChecksumKind kind = checksum_kind(upload->meta.get("sumKind")).value_or(ChecksumKind::crc64nvme);
  std::string key = TRY(open_key(call, *b, q.key, upload->meta, s3::sse_of<SseRequest>(q)));
  s3::Chain chain(p_.data, origin.object.data, origin.key, offset, length);
  wipe(origin.key);
  Pieces pieces(chain);
  auto body = ingest([&](char* out, size_t size) { return pieces.read(out, size); }, key, {kind});
  wipe(key);
  if (!body) return std::move(body).error();
  objects::Part part;
  part.number = q.part_number;
  part.size = body->size;
  part.etag = hex(body->md5);
  part.modified = call.now / 1000 * 1000;
  part.data = json::array({body->data});
  const std::string sum = base64(body->sums[kind]);
  part.meta = json::object({{"sum", sum}});
  auto stored = p_.database.write([&](store::Writer& w) -> Result<void> {
    const auto still = TRY(objects::upload(w, q.upload_id));
    if (!still) return no_upload();
    return objects::put_part(w, q.upload_id, part);
  });
  if (!stored) {
    discard(part.data);
    return std::move(stored).error();
  }
  op::UploadPartCopy::Response out;
  auto& result = out.copy_part_result.emplace();
  result.e_tag = s3::quoted(part.etag);
  result.last_modified = part.modified;
  s3::set_sums(result, json::object({{"sums", json::object({{checksum_name(kind), sum}})}}));
  if (origin.object.version != "null") out.copy_source_version_id = origin.object.version;
  s3::set_sealing(out, upload->meta);
  return out;
}

}  // namespace bastide::services
