// PutObject and the ways to delete.
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;
using store::objects::Object;

namespace s3 {

Result<void> check_metadata(const json::Value& meta) {
  constexpr size_t kMax = 2048;
  size_t size = 0;
  for (const auto& [key, value] : meta.get_object("user")) size += key.size() + value.string().size();
  if (size <= kMax) return {};
  return fault("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", 400);
}

}  // namespace s3

Result<Object> S3::commit(const Call& call, const s3::Bucket& bucket, Object object,
                          const Condition& condition,
                          const std::function<Result<void>(store::Writer&)>& before) {
  object.bucket = bucket.name;
  object.modified = call.now / 1000 * 1000;
  if (condition.if_none_match && *condition.if_none_match != "*") {
    return fault("NotImplemented", "A header you provided implies functionality that is not implemented",
                 501);
  }
  auto written = p_.database.write([&](store::Writer& w) -> Result<void> {
    const auto rows = TRY(w.find(s3::kBucketKind, "name", bucket.name));
    if (rows.empty()) return s3::no_such_bucket();
    if (condition.if_match || condition.if_none_match) {
      const auto known = TRY(store::objects::latest(w, bucket.name, object.key));
      const bool there = known && !known->marker;
      if (condition.if_none_match && there) return s3::precondition_failed("If-None-Match");
      if (condition.if_match && !there) return fault("NoSuchKey", "The specified key does not exist.", 404);
      if (condition.if_match && !s3::names_etag(*condition.if_match, known->etag))
        return s3::precondition_failed("If-Match");
    }
    if (before) TRY(before(w));
    object.version = s3::versioning_is(rows.front().body, "Enabled") ? s3::new_version_id() : "null";
    return store::objects::put(w, object);
  });
  if (!written) return std::move(written).error();
  return object;
}

Result<Object> S3::commit_body(const Call& call, const s3::Bucket& bucket, Object object, Ingested body,
                               ChecksumKind kind, const Condition& condition) {
  object.size = body.size;
  object.etag = hex(body.md5);
  object.data = json::array({body.data});
  object.meta["sums"] = json::object({{checksum_name(kind), base64(body.sums[kind])}});
  auto stored = commit(call, bucket, std::move(object), condition);
  if (!stored) discard(json::array({body.data}));
  return stored;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
S3::Answer<op::PutObject> S3::put_object(Call& call, const op::PutObject::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(s3::check_write(q));
  if (q.write_offset_bytes)
    return fault("NotImplemented", "x-amz-write-offset-bytes is for directory buckets", 501);
  Object object;
  object.key = q.key;
  object.meta = s3::metadata_of(q);
  TRY(s3::check_metadata(object.meta));
  if (q.tagging) object.meta["tags"] = TRY(s3::tags_of_header(*q.tagging));
  auto sealing = TRY(seal_new(call, *b, q.key, s3::sse_of<SseRequest>(q)));
  object.meta["sealing"] = std::move(sealing.stored);
  ChecksumKind kind = ChecksumKind::crc64nvme;
  auto body = ingest_body(call, q.body, sealing.plain, kind, &kind);
  wipe(sealing.plain);
  if (!body) return std::move(body).error();
  const auto stored =
      TRY(commit_body(call, *b, std::move(object), std::move(*body), kind, {q.if_match, q.if_none_match}));
  op::PutObject::Response out;
  out.e_tag = s3::quoted(stored.etag);
  if (stored.version != "null") out.version_id = stored.version;
  s3::set_sums(out, stored.meta);
  s3::set_sealing(out, stored.meta);
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html
Result<std::string> S3::remove_one(store::Writer& w, const std::string& bucket, const std::string& key,
                                   const std::optional<std::string>& version, bool& marker) {
  marker = false;
  if (version) {
    const auto known = TRY(store::objects::version(w, bucket, key, *version));
    marker = known && known->marker;
    TRY(store::objects::remove(w, bucket, key, *version));
    return *version;
  }
  const auto rows = TRY(w.find(s3::kBucketKind, "name", bucket));
  if (rows.empty()) return s3::no_such_bucket();
  const bool enabled = s3::versioning_is(rows.front().body, "Enabled");
  if (!enabled && !s3::versioning_is(rows.front().body, "Suspended")) {
    TRY(store::objects::remove(w, bucket, key, "null"));
    return std::string();
  }
  Object made;
  made.bucket = bucket;
  made.key = key;
  made.version = enabled ? s3::new_version_id() : "null";
  made.marker = true;
  made.modified = p_.clock.wall() / 1000 * 1000;
  made.meta = json::object();
  TRY(store::objects::put(w, made));
  marker = true;
  return made.version;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
S3::Answer<op::DeleteObject> S3::delete_object(Call&, const op::DeleteObject::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  std::string version;
  bool marker = false;
  TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
    if (q.if_match) {
      const auto known = TRY(q.version_id ? store::objects::version(w, b->name, q.key, *q.version_id)
                                          : store::objects::latest(w, b->name, q.key));
      if (!known || known->marker) return fault("NoSuchKey", "The specified key does not exist.", 404);
      if (!s3::names_etag(*q.if_match, known->etag)) return s3::precondition_failed("If-Match");
    }
    version = TRY(remove_one(w, b->name, q.key, q.version_id, marker));
    return {};
  }));
  op::DeleteObject::Response out;
  if (!version.empty() && (version != "null" || q.version_id || marker)) out.version_id = version;
  if (marker) out.delete_marker = true;
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
S3::Answer<op::DeleteObjects> S3::delete_objects(Call& call, const op::DeleteObjects::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const auto& objects = q.delete_.objects;
  if (objects.empty() || objects.size() > 1000) {
    return fault("MalformedXML",
                 "The XML you provided was not well-formed or did not validate against our published schema",
                 400);
  }
  op::DeleteObjects::Response out;
  const bool stranger = call.principal.kind == aws::Principal::Kind::anonymous;
  std::vector<const model::s3::ObjectIdentifier*> allowed;
  for (const auto& one : objects) {
    const bool may_delete =
        TRY(may(call, target(call, *b, one.version_id ? "DeleteObjectVersion" : "DeleteObject", one.key)));
    if (may_delete) {
      allowed.push_back(&one);
      continue;
    }
    auto& e = (out.errors ? *out.errors : out.errors.emplace()).emplace_back();
    e.key = one.key;
    e.version_id = one.version_id;
    e.code = "AccessDenied";
    e.message = "Access Denied";
  }
  if (stranger && allowed.empty()) return s3::access_denied();
  std::vector<model::s3::DeletedObject> deleted;
  TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
    deleted.clear();
    for (const auto* one : allowed) {
      bool marker = false;
      const std::string version = TRY(remove_one(w, b->name, one->key, one->version_id, marker));
      auto& d = deleted.emplace_back();
      d.key = one->key;
      if (one->version_id) d.version_id = *one->version_id;
      if (!marker) continue;
      d.delete_marker = true;
      d.delete_marker_version_id = version;
    }
    return {};
  }));
  if (!q.delete_.quiet.value_or(false) && !deleted.empty()) out.deleted = std::move(deleted);
  return out;
}

}  // namespace bastide::services
