// GetObject, HeadObject, GetObjectAttributes.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "services/s3/chain.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;
using store::objects::Object;

namespace s3 {
namespace {

constexpr size_t kPiece = 256u << 10;
constexpr int64_t kMaxInside = 64 << 20;  // of an answer to a call from inside

Error bad_range() { return fault("InvalidRange", "The requested range is not satisfiable", 416); }

// https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2; several ranges are answered as none, as S3 does.
Result<bool> parse_range(std::string_view text, int64_t size, int64_t& offset, int64_t& length) {
  constexpr std::string_view kUnit = "bytes=";
  if (!iequals(text.substr(0, kUnit.size()), kUnit)) return false;
  text.remove_prefix(kUnit.size());
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) return false;
  const std::string_view first = trim(text.substr(0, dash)), last = trim(text.substr(dash + 1));
  if (first.empty()) {
    const auto count = parse_int(last);
    if (!count || *count < 0) return false;
    if (*count == 0 || size == 0) return bad_range();
    length = std::min(*count, size);
    offset = size - length;
    return true;
  }
  const auto from = parse_int(first);
  const auto to = last.empty() ? Result<int64_t>(size - 1) : parse_int(last);
  if (!from || !to || *from < 0 || (!last.empty() && *to < *from)) return false;
  if (*from >= size) return bad_range();
  offset = *from;
  length = std::min(*to, size - 1) - offset + 1;
  return true;
}

}  // namespace

int weigh_conditions(const std::optional<std::string>& if_match,
                     const std::optional<std::string>& if_none_match, std::optional<Millis> if_modified,
                     std::optional<Millis> if_unmodified, const Object& object) {
  if (if_match && !names_etag(*if_match, object.etag)) return 412;
  if (!if_match && if_unmodified && object.modified > *if_unmodified) return 412;
  if (if_none_match) return names_etag(*if_none_match, object.etag) ? 304 : 200;
  if (if_modified && object.modified <= *if_modified) return 304;
  return 200;
}

}  // namespace s3

Result<Object> S3::find_object(const Call& call, const s3::Bucket& bucket, const std::string& key,
                               const std::optional<std::string>& version) {
  std::optional<Object> found;
  TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
    found = TRY(version ? store::objects::version(r, bucket.name, key, *version)
                        : store::objects::latest(r, bucket.name, key));
    return {};
  }));
  if (!found) return missing_key(call, bucket, key, version ? "NoSuchVersion" : "NoSuchKey");
  return std::move(*found);
}

Result<std::function<Result<void>(const aws::Stream::Piece&)>> S3::sender(const Object& object,
                                                                          const std::string& object_key,
                                                                          Range range) {
  auto chain = std::make_shared<s3::Chain>(p_.data, object.data, object_key, range.offset, range.length);
  // What is broken at its beginning is answered as an error, not as half an object.
  auto begun = chain->next(s3::kPiece);
  if (!begun) {
    log::error("s3: {}/{} ({}): {}", object.bucket, object.key, object.version, begun.error().message);
    return fault("InternalError", "We encountered an internal error. Please try again.", 500);
  }
  auto first = std::make_shared<std::string>(std::move(*begun));
  return std::function<Result<void>(const aws::Stream::Piece&)>(
      [chain, first](const aws::Stream::Piece& piece) -> Result<void> {
        if (!first->empty()) TRY(piece(*first));
        first->clear();
        for (;;) {
          const std::string next = TRY(chain->next(s3::kPiece));
          if (next.empty()) return {};
          TRY(piece(next));
        }
      });
}

template <class Q, class R>
Result<bool> S3::read_head(const Call& call, const Q& q, const Object& object, Range& range, R& out) {
  if (object.marker) {
    if (q.version_id) {
      return fault("MethodNotAllowed", "The specified method is not allowed against this resource.", 405);
    }
    return fault("NoSuchKey", "The specified key does not exist.", 404);
  }
  const int status =
      s3::weigh_conditions(q.if_match, q.if_none_match, q.if_modified_since, q.if_unmodified_since, object);
  if (status == 412) return s3::precondition_failed("");
  out.e_tag = s3::quoted(object.etag);
  out.last_modified = object.modified;
  if (object.version != "null" || q.version_id) out.version_id = object.version;
  if (status == 304) {
    if (call.stream == nullptr) return fault("NotModified", "Not Modified", 304);
    call.stream->status = 304;
    return false;
  }
  s3::set_metadata(out, object.meta);
  s3::set_sealing(out, object.meta);
  out.accept_ranges = "bytes";
  range = {0, object.size, false};
  const auto& sizes = object.meta.get_array("parts");
  if (q.part_number) {
    if (q.range) {
      return fault("InvalidRequest", "Cannot specify both Range header and partNumber query parameter", 400);
    }
    const auto number = static_cast<size_t>(*q.part_number);
    if (*q.part_number < 1 || number > std::max<size_t>(1, sizes.size()))
      return fault("InvalidPartNumber", "The requested partnumber is not satisfiable", 416);
    for (size_t i = 0; i + 1 < number; ++i) range.offset += sizes[i].integer();
    if (!sizes.empty()) {
      range.length = sizes[number - 1].integer();
      out.parts_count = static_cast<int32_t>(sizes.size());
    }
    range.partial = true;
  } else if (q.range) {
    range.partial = TRY(s3::parse_range(*q.range, object.size, range.offset, range.length));
  }
  out.content_length = range.length;
  if (range.partial && call.stream != nullptr) call.stream->status = 206;
  if (range.partial && range.length > 0) {
    out.content_range =
        fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, object.size);
  }
  if (q.checksum_mode && *q.checksum_mode == "ENABLED" && range.length == object.size)
    s3::set_sums(out, object.meta);
  const bool anonymous = call.principal.kind == aws::Principal::Kind::anonymous;
  const bool overrides = q.response_cache_control || q.response_content_disposition ||
                         q.response_content_encoding || q.response_content_language ||
                         q.response_content_type || q.response_expires;
  if (overrides && anonymous) {
    return fault("InvalidRequest",
                 "Request specific response headers cannot be used for anonymous GET requests.", 400);
  }
  if (q.response_cache_control) out.cache_control = q.response_cache_control;
  if (q.response_content_disposition) out.content_disposition = q.response_content_disposition;
  if (q.response_content_encoding) out.content_encoding = q.response_content_encoding;
  if (q.response_content_language) out.content_language = q.response_content_language;
  if (q.response_content_type) out.content_type = q.response_content_type;
  if (q.response_expires) out.expires = http_date(*q.response_expires);
  return true;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
S3::Answer<op::GetObject> S3::get_object(Call& call, const op::GetObject::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const Object object = TRY(find_object(call, *b, q.key, q.version_id));
  op::GetObject::Response out;
  Range range;
  const bool whole = TRY(read_head(call, q, object, range, out));
  if (!whole) return out;
  std::string key = TRY(open_key(call, *b, q.key, object.meta, s3::sse_of<SseRequest>(q)));
  auto send = sender(object, key, range);
  wipe(key);
  if (!send) return std::move(send).error();
  if (call.stream != nullptr) {
    call.stream->length = range.length;
    call.stream->send = std::move(*send);
    return out;
  }
  if (range.length > s3::kMaxInside)
    return fault("EntityTooLarge", "The object is too large for a call from inside", 400);
  auto& body = out.body.emplace();
  TRY((*send)([&](std::string_view piece) -> Result<void> {
    body += piece;
    return {};
  }));
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
S3::Answer<op::HeadObject> S3::head_object(Call& call, const op::HeadObject::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const Object object = TRY(find_object(call, *b, q.key, q.version_id));
  op::HeadObject::Response out;
  Range range;
  const bool whole = TRY(read_head(call, q, object, range, out));
  if (!whole) return out;
  const json::Value* sealing = object.meta.find("sealing");
  if (sealing != nullptr && sealing->get("sse") != "AES256") {
    std::string key = TRY(open_key(call, *b, q.key, object.meta, s3::sse_of<SseRequest>(q)));
    wipe(key);
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
S3::Answer<op::GetObjectAttributes> S3::get_attributes(Call& call,
                                                       const op::GetObjectAttributes::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const Object object = TRY(find_object(call, *b, q.key, q.version_id));
  if (object.marker) return fault("NoSuchKey", "The specified key does not exist.", 404);
  const auto wants = [&](const char* name) {
    return std::find(q.object_attributes.begin(), q.object_attributes.end(), name) !=
           q.object_attributes.end();
  };
  op::GetObjectAttributes::Response out;
  out.last_modified = object.modified;
  if (object.version != "null") out.version_id = object.version;
  if (wants("ETag")) out.e_tag = object.etag;
  if (wants("Checksum") && object.meta.has("sums")) s3::set_sums(out.checksum.emplace(), object.meta);
  if (wants("StorageClass")) out.storage_class = object.meta.get("class", "STANDARD");
  if (wants("ObjectSize")) out.object_size = object.size;
  const auto& sizes = object.meta.get_array("parts");
  if (wants("ObjectParts") && !sizes.empty()) {
    auto& parts = out.object_parts.emplace();
    parts.total_parts_count = static_cast<int32_t>(sizes.size());
  }
  return out;
}

}  // namespace bastide::services
