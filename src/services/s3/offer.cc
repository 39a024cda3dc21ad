// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
#include "services/s3/s3.h"

namespace bastide::services {

namespace op = model::s3::op;

template <class Op>
std::function<Result<S3::Targets>(const S3::Call&, const typename Op::Request&)> S3::on_bucket(
    const char* action) {
  return [this, action](const Call& call, const typename Op::Request& q) -> Result<Targets> {
    const auto b = TRY(bucket(q.bucket));
    return Targets{target(call, *b, action)};
  };
}

template <class Op>
std::function<Result<S3::Targets>(const S3::Call&, const typename Op::Request&)> S3::on_object(
    const char* action) {
  return [this, action](const Call& call, const typename Op::Request& q) -> Result<Targets> {
    const auto b = TRY(bucket(q.bucket));
    std::string name = action;
    if constexpr (requires { q.version_id; }) {
      // s3:GetObject of a version is s3:GetObjectVersion, s3:GetObjectTagging s3:GetObjectVersionTagging.
      constexpr size_t kStem = 9;  // "GetObject", "PutObject"; "DeleteObject" is longer
      const size_t stem = name.starts_with("Delete") ? kStem + 3 : kStem;
      if (q.version_id) name.insert(stem, "Version");
    }
    return Targets{target(call, *b, name.c_str(), q.key)};
  };
}

void S3::offer(aws::Registry& registry) {
  offer_buckets(registry);
  offer_configurations(registry);
  offer_objects(registry);
}

void S3::offer_buckets(aws::Registry& r) {
  r.add<op::ListBuckets>(this, &S3::list_buckets, {"s3:ListAllMyBuckets", {}});
  r.add<op::CreateBucket>(this, &S3::create_bucket,
                          {"s3:CreateBucket", [](const Call& call, const auto& q) -> Result<Targets> {
                             aws::Target t;
                             t.action = "s3:CreateBucket";
                             t.resource = "arn:aws:s3:::" + q.bucket;
                             t.owner = call.account;
                             return Targets{std::move(t)};
                           }});
#define ON_BUCKET(Name, function, action) \
  r.add<op::Name>(this, &S3::function, {"s3:" action, on_bucket<op::Name>(action)})
  ON_BUCKET(DeleteBucket, delete_bucket, "DeleteBucket");
  ON_BUCKET(HeadBucket, head_bucket, "ListBucket");
  ON_BUCKET(GetBucketLocation, get_location, "GetBucketLocation");
  ON_BUCKET(ListObjects, list_objects, "ListBucket");
  ON_BUCKET(ListObjectsV2, list_objects_v2, "ListBucket");
  ON_BUCKET(ListObjectVersions, list_versions, "ListBucketVersions");
  ON_BUCKET(ListMultipartUploads, list_uploads, "ListBucketMultipartUploads");
}

void S3::offer_configurations(aws::Registry& r) {
  ON_BUCKET(GetBucketAcl, get_bucket_acl, "GetBucketAcl");
  ON_BUCKET(PutBucketAcl, put_bucket_acl, "PutBucketAcl");
  ON_BUCKET(GetBucketPolicy, get_policy, "GetBucketPolicy");
  ON_BUCKET(PutBucketPolicy, put_policy, "PutBucketPolicy");
  ON_BUCKET(DeleteBucketPolicy, delete_policy, "DeleteBucketPolicy");
  ON_BUCKET(GetBucketPolicyStatus, get_policy_status, "GetBucketPolicyStatus");
  ON_BUCKET(GetBucketCors, get_cors, "GetBucketCORS");
  ON_BUCKET(PutBucketCors, put_cors, "PutBucketCORS");
  ON_BUCKET(DeleteBucketCors, delete_cors, "PutBucketCORS");
  ON_BUCKET(GetBucketTagging, get_bucket_tagging, "GetBucketTagging");
  ON_BUCKET(PutBucketTagging, put_bucket_tagging, "PutBucketTagging");
  ON_BUCKET(DeleteBucketTagging, delete_bucket_tagging, "PutBucketTagging");
  ON_BUCKET(GetBucketWebsite, get_website, "GetBucketWebsite");
  ON_BUCKET(PutBucketWebsite, put_website, "PutBucketWebsite");
  ON_BUCKET(DeleteBucketWebsite, delete_website, "DeleteBucketWebsite");
  ON_BUCKET(GetBucketLifecycleConfiguration, get_lifecycle, "GetLifecycleConfiguration");
  ON_BUCKET(PutBucketLifecycleConfiguration, put_lifecycle, "PutLifecycleConfiguration");
  ON_BUCKET(DeleteBucketLifecycle, delete_lifecycle, "PutLifecycleConfiguration");
  ON_BUCKET(GetBucketEncryption, get_encryption, "GetEncryptionConfiguration");
  ON_BUCKET(PutBucketEncryption, put_encryption, "PutEncryptionConfiguration");
  ON_BUCKET(DeleteBucketEncryption, delete_encryption, "PutEncryptionConfiguration");
  ON_BUCKET(GetBucketOwnershipControls, get_ownership, "GetBucketOwnershipControls");
  ON_BUCKET(PutBucketOwnershipControls, put_ownership, "PutBucketOwnershipControls");
  ON_BUCKET(DeleteBucketOwnershipControls, delete_ownership, "PutBucketOwnershipControls");
  ON_BUCKET(GetPublicAccessBlock, get_access_block, "GetBucketPublicAccessBlock");
  ON_BUCKET(PutPublicAccessBlock, put_access_block, "PutBucketPublicAccessBlock");
  ON_BUCKET(DeletePublicAccessBlock, delete_access_block, "PutBucketPublicAccessBlock");
  ON_BUCKET(GetBucketVersioning, get_versioning, "GetBucketVersioning");
  ON_BUCKET(PutBucketVersioning, put_versioning, "PutBucketVersioning");
  ON_BUCKET(GetBucketNotificationConfiguration, get_notification, "GetBucketNotification");
  ON_BUCKET(PutBucketNotificationConfiguration, put_notification, "PutBucketNotification");
  ON_BUCKET(GetBucketLogging, get_logging, "GetBucketLogging");
  ON_BUCKET(PutBucketLogging, put_logging, "PutBucketLogging");
  ON_BUCKET(GetBucketRequestPayment, get_request_payment, "GetBucketRequestPayment");
  ON_BUCKET(PutBucketRequestPayment, put_request_payment, "PutBucketRequestPayment");
  ON_BUCKET(GetBucketAccelerateConfiguration, get_accelerate, "GetAccelerateConfiguration");
  ON_BUCKET(GetBucketReplication, get_replication, "GetReplicationConfiguration");
  ON_BUCKET(GetObjectLockConfiguration, get_lock_configuration, "GetBucketObjectLockConfiguration");
#undef ON_BUCKET
}

void S3::offer_objects(aws::Registry& r) {
#define ON_OBJECT(Name, function, action) \
  r.add<op::Name>(this, &S3::function, {"s3:" action, on_object<op::Name>(action)})
  ON_OBJECT(GetObject, get_object, "GetObject");
  ON_OBJECT(HeadObject, head_object, "GetObject");
  ON_OBJECT(GetObjectAttributes, get_attributes, "GetObject");
  ON_OBJECT(DeleteObject, delete_object, "DeleteObject");
  ON_OBJECT(GetObjectAcl, get_object_acl, "GetObjectAcl");
  ON_OBJECT(PutObjectAcl, put_object_acl, "PutObjectAcl");
  ON_OBJECT(GetObjectTagging, get_tagging, "GetObjectTagging");
  ON_OBJECT(PutObjectTagging, put_tagging, "PutObjectTagging");
  ON_OBJECT(DeleteObjectTagging, delete_tagging, "DeleteObjectTagging");
  ON_OBJECT(UploadPart, upload_part, "PutObject");
  ON_OBJECT(CompleteMultipartUpload, complete_upload, "PutObject");
  ON_OBJECT(AbortMultipartUpload, abort_upload, "AbortMultipartUpload");
  ON_OBJECT(ListParts, list_parts, "ListMultipartUploadParts");
#undef ON_OBJECT
  // Writing tags is an action of its own.
  const auto writes = [this](const Call& call, const auto& q) -> Result<Targets> {
    const auto b = TRY(bucket(q.bucket));
    Context tags;
    if (q.tagging) {
      const auto set = TRY(s3::tags_of_header(*q.tagging));
      for (const auto& tag : set.array())
        tags.emplace_back("s3:RequestObjectTag/" + tag.get("Key"), tag.get("Value"));
    }
    Targets out{target(call, *b, "PutObject", q.key, tags)};
    if (q.tagging) out.push_back(target(call, *b, "PutObjectTagging", q.key, tags));
    return out;
  };
  r.add<op::PutObject>(this, &S3::put_object, {"s3:PutObject", writes});
  r.add<op::CreateMultipartUpload>(this, &S3::create_upload, {"s3:PutObject", writes});
  r.add<op::CopyObject>(this, &S3::copy_object,
                        {"s3:PutObject", [this, writes](const Call& call, const auto& q) -> Result<Targets> {
                           auto out = TRY(writes(call, q));
                           out.push_back(TRY(origin_target(call, q.copy_source)));
                           return out;
                         }});
  r.add<op::UploadPartCopy>(this, &S3::upload_part_copy,
                            {"s3:PutObject", [this](const Call& call, const auto& q) -> Result<Targets> {
                               const auto b = TRY(bucket(q.bucket));
                               Targets out{target(call, *b, "PutObject", q.key)};
                               out.push_back(TRY(origin_target(call, q.copy_source)));
                               return out;
                             }});
  // Each key is decided by itself, and refused by itself.
  r.add<op::DeleteObjects>(this, &S3::delete_objects,
                           {"s3:DeleteObject", [](const Call&, const auto&) -> Result<Targets> { return Targets{}; }});
}

}  // namespace bastide::services
