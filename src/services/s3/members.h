// What requests and answers about objects share, whatever their operation.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/checksum.h"
#include "services/s3/s3.h"

namespace bastide::services::s3 {

inline void set(json::Value& out, const char* name, const std::optional<std::string>& value) {
  if (value) out[name] = *value;
}

// The system and user metadata of an object, as its row keeps them.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
template <class Q>
json::Value metadata_of(const Q& q) {
  json::Value headers = json::object(), user = json::object();
  set(headers, "CacheControl", q.cache_control);
  set(headers, "ContentDisposition", q.content_disposition);
  set(headers, "ContentLanguage", q.content_language);
  set(headers, "Expires", q.expires);
  set(headers, "WebsiteRedirectLocation", q.website_redirect_location);
  headers["ContentType"] = q.content_type.value_or("binary/octet-stream");
  if (q.content_encoding) {
    std::vector<std::string_view> kept;
    for (const std::string_view one : split(*q.content_encoding, ',')) {
      if (!trim(one).empty() && !iequals(trim(one), "aws-chunked")) kept.push_back(trim(one));
    }
    if (!kept.empty()) headers["ContentEncoding"] = join(kept, ",");
  }
  if (q.metadata) {
    for (const auto& [key, value] : *q.metadata) user[lower(key)] = value;
  }
  json::Value out = json::object({{"headers", std::move(headers)}, {"user", std::move(user)}});
  if (q.storage_class && *q.storage_class != "STANDARD") out["class"] = *q.storage_class;
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html: 2 KB of user metadata.
Result<void> check_metadata(const json::Value& meta);

template <class Q>
Result<void> check_write(const Q& q) {
  if (q.key.size() > 1024) return fault("KeyTooLongError", "Your key is too long", 400);
  if (q.acl && *q.acl != "private" && *q.acl != "bucket-owner-full-control")
    return fault("AccessControlListNotSupported", "The bucket does not allow ACLs", 400);
  if (q.grant_full_control || q.grant_read || q.grant_read_acp || q.grant_write_acp)
    return fault("AccessControlListNotSupported", "The bucket does not allow ACLs", 400);
  if (q.object_lock_mode || q.object_lock_legal_hold_status || q.object_lock_retain_until_date)
    return fault("InvalidRequest", "Bucket is missing Object Lock Configuration", 400);
  if (q.storage_class) {
    for (const char* archive :
         {"GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS"}) {
      if (*q.storage_class == archive)
        return fault("InvalidStorageClass", "The storage class you specified is not valid", 400);
    }
  }
  return {};
}

// What a request says about encryption, as S3::SseRequest.
template <class S, class Q>
S sse_of(const Q& q) {
  S out;
  if constexpr (requires { q.server_side_encryption; }) {
    out.sse = q.server_side_encryption.value_or("");
    out.kms_key = q.ssekms_key_id.value_or("");
    out.bucket_key = q.bucket_key_enabled.value_or(false);
  }
  out.customer_algorithm = q.sse_customer_algorithm.value_or("");
  out.customer_key = q.sse_customer_key.value_or("");
  out.customer_md5 = q.sse_customer_key_md5.value_or("");
  return out;
}

template <class R>
void set_sums(R& out, const json::Value& meta) {
  const json::Value* sums = meta.find("sums");
  if (sums == nullptr) return;
  const auto take = [&](ChecksumKind kind, std::optional<std::string>& member) {
    if (const json::Value* text = sums->find(checksum_name(kind))) member = text->string();
  };
  take(ChecksumKind::crc32, out.checksum_crc32);
  take(ChecksumKind::crc32c, out.checksum_crc32_c);
  take(ChecksumKind::crc64nvme, out.checksum_crc64_nvme);
  take(ChecksumKind::sha1, out.checksum_sha1);
  take(ChecksumKind::sha256, out.checksum_sha256);
  take(ChecksumKind::sha512, out.checksum_sha512);
  take(ChecksumKind::md5, out.checksum_md5);
  if constexpr (requires { out.checksum_type; }) out.checksum_type = meta.get("sumType", "FULL_OBJECT");
}

template <class R>
void set_sealing(R& out, const json::Value& meta) {
  const json::Value* sealing = meta.find("sealing");
  if (sealing == nullptr) return;
  const std::string kind = sealing->get("sse");
  if (kind == "C") {
    if constexpr (requires { out.sse_customer_algorithm; }) {
      out.sse_customer_algorithm = "AES256";
      out.sse_customer_key_md5 = sealing->get("md5");
    }
    return;
  }
  out.server_side_encryption = kind;
  if (kind != "aws:kms") return;
  out.ssekms_key_id = sealing->get("kmsKey");
  if (sealing->get_bool("bucketKey")) out.bucket_key_enabled = true;
}

template <class R>
void set_metadata(R& out, const json::Value& meta) {
  if (const json::Value* headers = meta.find("headers")) {
    const auto take = [&](const char* name, std::optional<std::string>& member) {
      if (const json::Value* text = headers->find(name)) member = text->string();
    };
    take("CacheControl", out.cache_control);
    take("ContentDisposition", out.content_disposition);
    take("ContentEncoding", out.content_encoding);
    take("ContentLanguage", out.content_language);
    take("ContentType", out.content_type);
    take("Expires", out.expires);
    take("WebsiteRedirectLocation", out.website_redirect_location);
  }
  if (const json::Value* user = meta.find("user"); user != nullptr && !user->object().empty()) {
    auto& map = out.metadata.emplace();
    for (const auto& [key, value] : user->object()) map[key] = value.string();
  }
  if (meta.has("class")) out.storage_class = meta.get("class");
  if (const auto& tags = meta.get_array("tags"); !tags.empty())
    out.tag_count = static_cast<int32_t>(tags.size());
}

// The ETag of a request without its quotes.
inline std::string bare(std::string_view etag) {
  etag = trim(etag);
  if (etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"'))
    etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

// Whether conditions upon a source hold: 200, 304 or 412.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
int weigh_conditions(const std::optional<std::string>& if_match,
                     const std::optional<std::string>& if_none_match, std::optional<Millis> if_modified,
                     std::optional<Millis> if_unmodified, const store::objects::Object& object);

}  // namespace bastide::services::s3
