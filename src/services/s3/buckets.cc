#include <algorithm>

#include "base/bytes.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;

namespace {

constexpr size_t kMaxBuckets = 10'000;

Error no_acls() { return fault("AccessControlListNotSupported", "The bucket does not allow ACLs", 400); }

model::s3::Grant owners_grant(const std::string& account) {
  model::s3::Grant grant;
  grant.grantee.emplace().type = "CanonicalUser";
  grant.grantee->id = s3::canonical_id(account);
  grant.permission = "FULL_CONTROL";
  return grant;
}

}  // namespace

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
S3::Answer<op::ListBuckets> S3::list_buckets(Call& call, const op::ListBuckets::Request& q) {
  const int32_t limit = std::clamp<int32_t>(q.max_buckets.value_or(10'000), 1, 10'000);
  const auto rows = TRY(p_.database.list(call.account, "", s3::kBucketKind));
  op::ListBuckets::Response out;
  out.owner.emplace().id = s3::canonical_id(call.account);
  auto& list = out.buckets.emplace();
  out.prefix = q.prefix;
  for (const auto& row : rows) {
    const auto b = s3::bucket_of(row);
    if (q.prefix && !b.name.starts_with(*q.prefix)) continue;
    if (q.bucket_region && b.region != *q.bucket_region) continue;
    if (q.continuation_token && b.name <= *q.continuation_token) continue;
    if (list.size() == static_cast<size_t>(limit)) {
      out.continuation_token = *list.back().name;
      break;
    }
    auto& one = list.emplace_back();
    one.name = b.name;
    one.creation_date = b.created;
    one.bucket_arn = b.arn();
    if (q.max_buckets || q.bucket_region) one.bucket_region = b.region;
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
S3::Answer<op::CreateBucket> S3::create_bucket(Call& call, const op::CreateBucket::Request& q) {
  if (!s3::valid_bucket_name(q.bucket))
    return fault("InvalidBucketName", "The specified bucket is not valid.", 400);
  std::string region = call.region.empty() ? "us-east-1" : call.region;
  json::Value tags;
  if (q.create_bucket_configuration) {
    const auto& c = *q.create_bucket_configuration;
    if (c.location || c.bucket) return fault("NotImplemented", "Directory buckets are not implemented", 501);
    if (c.location_constraint && !c.location_constraint->empty()) region = *c.location_constraint;
    if (region == "EU") region = "eu-west-1";
    if (c.tags) {
      tags = json::array();
      for (const auto& tag : *c.tags) tags.push(json::object({{"Key", tag.key}, {"Value", tag.value}}));
      TRY(s3::check_tags(tags, 50));
    }
  }
  if (q.object_lock_enabled_for_bucket.value_or(false))
    return fault("NotImplemented", "Object Lock is not implemented", 501);
  const std::string ownership = q.object_ownership.value_or("BucketOwnerEnforced");
  if (q.acl && *q.acl != "private") {
    return fault("InvalidBucketAclWithObjectOwnership",
                 "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting", 400);
  }
  if (q.grant_full_control || q.grant_read || q.grant_read_acp || q.grant_write || q.grant_write_acp)
    return no_acls();
  json::Value body = json::object({{"region", region}, {"created", call.now / 1000 * 1000}});
  json::Value& configurations = body["configurations"];
  configurations = json::object(
      {{"ownership",
        json::object({{"Rules", json::array({json::object({{"ObjectOwnership", ownership}})})}})},
       {"accessBlock", json::object({{"BlockPublicAcls", true},
                                     {"IgnorePublicAcls", true},
                                     {"BlockPublicPolicy", true},
                                     {"RestrictPublicBuckets", true}})}});
  if (!tags.is_null()) configurations["tags"] = json::object({{"TagSet", std::move(tags)}});
  TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
    const auto known = TRY(w.find(s3::kBucketKind, "name", q.bucket));
    if (!known.empty()) {
      if (known.front().key.account != call.account) {
        return fault(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the "
            "system. Please select a different name and try again.",
            409);
      }
      // In us-east-1 alone it succeeds.
      if (known.front().body.get("region") == "us-east-1" && region == "us-east-1") return {};
      return fault("BucketAlreadyOwnedByYou",
                   "Your previous request to create the named bucket succeeded and you already own it.", 409);
    }
    const auto mine = TRY(w.list(call.account, "", s3::kBucketKind, "", kMaxBuckets));
    if (mine.size() >= kMaxBuckets)
      return fault("TooManyBuckets", "You have attempted to create more buckets than allowed.", 400);
    return w.put({call.account, "", s3::kBucketKind, q.bucket}, body, {{"name", q.bucket}});
  }));
  op::CreateBucket::Response out;
  out.location = "/" + q.bucket;
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
S3::Answer<op::DeleteBucket> S3::delete_bucket(Call&, const op::DeleteBucket::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
    const auto rows = TRY(w.find(s3::kBucketKind, "name", q.bucket));
    if (rows.empty()) return s3::no_such_bucket();
    const bool any = TRY(store::objects::any(w, q.bucket));
    if (any) {
      return fault(
          "BucketNotEmpty",
          s3::versioning_is(rows.front().body, "Enabled") || s3::versioning_is(rows.front().body, "Suspended")
              ? "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
              : "The bucket you tried to delete is not empty",
          409);
    }
    const auto uploads = TRY(store::objects::uploads(w, q.bucket, "", "", "", 1'000'000));
    for (const auto& upload : uploads) TRY(store::objects::end_upload(w, upload.id, {}));
    TRY(w.remove(rows.front().key));
    return {};
  }));
  return op::DeleteBucket::Response{};
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
S3::Answer<op::HeadBucket> S3::head_bucket(Call&, const op::HeadBucket::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  op::HeadBucket::Response out;
  out.bucket_region = b->region;
  out.bucket_arn = b->arn();
  out.access_point_alias = false;
  return out;
}

S3::Answer<op::GetBucketLocation> S3::get_location(Call&, const op::GetBucketLocation::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  op::GetBucketLocation::Response out;
  if (b->region != "us-east-1") out.location_constraint = b->region;
  return out;
}

// With BucketOwnerEnforced, an ACL says only whose the bucket is.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
S3::Answer<op::GetBucketAcl> S3::get_bucket_acl(Call&, const op::GetBucketAcl::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  op::GetBucketAcl::Response out;
  out.owner.emplace().id = s3::canonical_id(b->account);
  out.grants.emplace().push_back(owners_grant(b->account));
  return out;
}

S3::Answer<op::PutBucketAcl> S3::put_bucket_acl(Call&, const op::PutBucketAcl::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  if (q.acl && *q.acl == "private") return op::PutBucketAcl::Response{};
  return no_acls();
}

S3::Answer<op::GetObjectAcl> S3::get_object_acl(Call& call, const op::GetObjectAcl::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const auto object = TRY(find_object(call, *b, q.key, q.version_id));
  if (object.marker) return fault("NoSuchKey", "The specified key does not exist.", 404);
  op::GetObjectAcl::Response out;
  out.owner.emplace().id = s3::canonical_id(b->account);
  out.grants.emplace().push_back(owners_grant(b->account));
  return out;
}

S3::Answer<op::PutObjectAcl> S3::put_object_acl(Call& call, const op::PutObjectAcl::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(find_object(call, *b, q.key, q.version_id));
  if (q.acl && *q.acl == "bucket-owner-full-control") return op::PutObjectAcl::Response{};
  return no_acls();
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
S3::Answer<op::GetObjectTagging> S3::get_tagging(Call& call, const op::GetObjectTagging::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const auto object = TRY(find_object(call, *b, q.key, q.version_id));
  if (object.marker)
    return fault("MethodNotAllowed", "The specified method is not allowed against this resource.", 405);
  op::GetObjectTagging::Response out;
  if (object.version != "null") out.version_id = object.version;
  for (const auto& tag : object.meta.get_array("tags"))
    out.tag_set.push_back({tag.get("Key"), tag.get("Value")});
  return out;
}

namespace {

template <class Q>
Result<std::string> change_tags(store::Database& db, const Q& q, const json::Value& tags) {
  std::string version;
  TRY(db.write([&](store::Writer& w) -> Result<void> {
    auto known = TRY(q.version_id ? store::objects::version(w, q.bucket, q.key, *q.version_id)
                                  : store::objects::latest(w, q.bucket, q.key));
    if (!known || known->marker) return fault("NoSuchKey", "The specified key does not exist.", 404);
    known->meta.remove("tags");
    if (!tags.array().empty()) known->meta["tags"] = tags;
    version = known->version;
    return store::objects::set_meta(w, *known);
  }));
  return version;
}

}  // namespace

S3::Answer<op::PutObjectTagging> S3::put_tagging(Call& call, const op::PutObjectTagging::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(find_object(call, *b, q.key, q.version_id));
  json::Value tags = json::array();
  for (const auto& tag : q.tagging.tag_set) tags.push(json::object({{"Key", tag.key}, {"Value", tag.value}}));
  TRY(s3::check_tags(tags, 10));
  const std::string version = TRY(change_tags(p_.database, q, tags));
  op::PutObjectTagging::Response out;
  if (version != "null") out.version_id = version;
  return out;
}

S3::Answer<op::DeleteObjectTagging> S3::delete_tagging(Call& call,
                                                       const op::DeleteObjectTagging::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(find_object(call, *b, q.key, q.version_id));
  const std::string version = TRY(change_tags(p_.database, q, json::array()));
  op::DeleteObjectTagging::Response out;
  if (version != "null") out.version_id = version;
  return out;
}

}  // namespace bastide::services
