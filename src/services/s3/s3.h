// S3: buckets, objects, versions, multipart uploads, and what browsers and websites ask for beside the API.
//
// Buckets are resources ("s3.bucket", index "name": names are unique in the whole house); objects have tables
// of their own (store/objects.h) and data files (store/object_data.h). Every object is encrypted: a key of
// its own, kept sealed by the keyring (SSE-S3), by a KMS key (SSE-KMS) or by the client's key (SSE-C), seals
// the keys of its data files. On control's loop; operations run in fibers. Borrows everything it is given.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/credentials.h"
#include "aws/dispatch.h"
#include "aws/front.h"
#include "aws/local_client.h"
#include "aws/stream.h"
#include "base/checksum.h"
#include "gen/s3.h"
#include "services/s3/bucket.h"
#include "store/database.h"
#include "store/keyring.h"
#include "store/object_data.h"
#include "store/objects.h"

namespace bastide::services {

class S3 final : public aws::Door {
 public:
  struct Parts {
    store::Database& database;
    store::Keyring& keyring;
    store::ObjectData& data;
    aws::Dispatch& dispatch;
    aws::LocalClient& client;
    aws::PolicySource& policies;
    aws::CredentialSource& credentials;  // of browser uploads
    Clock& clock;
  };
  explicit S3(Parts parts) : p_(parts) {}

  void offer(aws::Registry& registry);
  void start();  // garbage collection, lifecycle, scrub; drops what a crash left behind

  // aws::Door
  bool intercept(net::Exchange& exchange, aws::Call& call) override;
  void decorate(const net::Request& request, const std::string& path, net::Headers& headers) override;

  // Each does one round; they wait.
  Result<size_t> collect_garbage(Millis before);
  Result<size_t> drop_orphans(Millis before);  // data files that no row knows
  Result<size_t> expire();                     // what lifecycle rules say, now
  Result<std::vector<std::string>> scrub();    // ids of damaged data files

 private:
  using Call = aws::Call;
  using Targets = std::vector<aws::Target>;
  template <class Op>
  using Answer = Result<typename Op::Response>;
  using BucketPtr = std::shared_ptr<const s3::Bucket>;
  using Context = std::vector<std::pair<std::string, std::string>>;

  // bucket.cc. NoSuchBucket; AccessDenied where the client expected another owner.
  Result<BucketPtr> bucket(const std::string& name, const std::optional<std::string>& owner = {});
  Result<void> change_bucket(const std::string& name, const std::function<Result<void>(json::Value&)>& f);

  // targets.cc
  aws::Target target(const Call& call, const s3::Bucket& bucket, const char* action,
                     const std::string& key = "", Context context = {}) const;
  Result<bool> may(const Call& call, const aws::Target& target);
  Result<void> require(const Call& call, const aws::Target& target);
  template <class Op>
  std::function<Result<Targets>(const Call&, const typename Op::Request&)> on_bucket(const char* action);
  template <class Op>
  std::function<Result<Targets>(const Call&, const typename Op::Request&)> on_object(const char* action);
  // The answer about a key that is not there: 404 for those who may list, 403 for others.
  Error missing_key(const Call& call, const s3::Bucket& bucket, const std::string& key, const char* code);

  // sealing.cc
  struct Sealing {
    std::string plain;   // the object's key
    json::Value stored;  // what of it goes into the object's meta
  };
  struct SseRequest {
    std::string sse, kms_key;
    bool bucket_key = false;
    std::string customer_algorithm, customer_key, customer_md5;
  };
  Result<Sealing> seal_new(const Call& call, const s3::Bucket& bucket, const std::string& key,
                           const SseRequest& sse);
  Result<std::string> open_key(const Call& call, const s3::Bucket& bucket, const std::string& key,
                               const json::Value& meta, const SseRequest& sse);

  // ingest.cc
  struct Ingested {
    json::Value data;  // one element of Object::data
    int64_t size = 0;
    std::string md5;                           // raw
    std::map<ChecksumKind, std::string> sums;  // raw
  };
  using Source = std::function<Result<size_t>(char*, size_t)>;
  Result<Ingested> ingest(const Source& source, const std::string& object_key,
                          const std::vector<ChecksumKind>& kinds);
  // The body of a request, checked against every checksum that the client sent.
  Result<Ingested> ingest_body(const Call& call, const std::optional<std::string>& local_body,
                               const std::string& object_key, ChecksumKind fallback, ChecksumKind* chosen);
  void discard(const json::Value& data);  // files that no row took over

  // write.cc
  struct Condition {
    std::optional<std::string> if_match, if_none_match;
  };
  Result<store::objects::Object> commit(const Call& call, const s3::Bucket& bucket,
                                        store::objects::Object object, const Condition& condition,
                                        const std::function<Result<void>(store::Writer&)>& before = {});
  // The same of an object that is one body; a body whose object is refused is discarded.
  Result<store::objects::Object> commit_body(const Call& call, const s3::Bucket& bucket,
                                             store::objects::Object object, Ingested body,
                                             ChecksumKind kind, const Condition& condition);
  Result<std::string> remove_one(store::Writer& writer, const std::string& bucket, const std::string& key,
                                 const std::optional<std::string>& version, bool& marker);

  // read.cc
  Result<store::objects::Object> find_object(const Call& call, const s3::Bucket& bucket,
                                             const std::string& key,
                                             const std::optional<std::string>& version);
  struct Range {
    int64_t offset = 0, length = 0;
    bool partial = false;
  };
  // Sends a piece of an object's data.
  Result<std::function<Result<void>(const aws::Stream::Piece&)>> sender(const store::objects::Object& object,
                                                                        const std::string& object_key,
                                                                        Range range);
  template <class Q, class R>
  Result<bool> read_head(const Call& call, const Q& q, const store::objects::Object& object, Range& range,
                         R& out);
  template <class Op>
  Answer<Op> get_config(const std::string& name, const char* member, const char* wrapped, const char* code,
                        const char* message);
  template <class Op>
  Answer<Op> put_config(const typename Op::Request& q, const char* member, const char* payload);
  template <class Op>
  Answer<Op> drop_config(const typename Op::Request& q, const char* member);

  // intercept's: cors.cc, website.cc, post.cc
  bool preflight(net::Exchange& exchange);
  void website(net::Exchange& exchange, Call& call, const std::string& name);
  bool serve_page(net::Exchange& exchange, Call call, const s3::Bucket& bucket, const std::string& key,
                  int status, Error& why);
  void browser_upload(net::Exchange& exchange, Call& call, const std::string& name);

  void offer_buckets(aws::Registry& registry);
  void offer_configurations(aws::Registry& registry);
  void offer_objects(aws::Registry& registry);

#define BASTIDE_S3(function, Name) \
  Answer<model::s3::op::Name> function(Call& call, const model::s3::op::Name::Request& q)
  BASTIDE_S3(list_buckets, ListBuckets);
  BASTIDE_S3(create_bucket, CreateBucket);
  BASTIDE_S3(delete_bucket, DeleteBucket);
  BASTIDE_S3(head_bucket, HeadBucket);
  BASTIDE_S3(get_location, GetBucketLocation);
  BASTIDE_S3(get_bucket_acl, GetBucketAcl);
  BASTIDE_S3(put_bucket_acl, PutBucketAcl);
  BASTIDE_S3(get_policy, GetBucketPolicy);
  BASTIDE_S3(put_policy, PutBucketPolicy);
  BASTIDE_S3(delete_policy, DeleteBucketPolicy);
  BASTIDE_S3(get_policy_status, GetBucketPolicyStatus);
  BASTIDE_S3(get_cors, GetBucketCors);
  BASTIDE_S3(put_cors, PutBucketCors);
  BASTIDE_S3(delete_cors, DeleteBucketCors);
  BASTIDE_S3(get_bucket_tagging, GetBucketTagging);
  BASTIDE_S3(put_bucket_tagging, PutBucketTagging);
  BASTIDE_S3(delete_bucket_tagging, DeleteBucketTagging);
  BASTIDE_S3(get_website, GetBucketWebsite);
  BASTIDE_S3(put_website, PutBucketWebsite);
  BASTIDE_S3(delete_website, DeleteBucketWebsite);
  BASTIDE_S3(get_lifecycle, GetBucketLifecycleConfiguration);
  BASTIDE_S3(put_lifecycle, PutBucketLifecycleConfiguration);
  BASTIDE_S3(delete_lifecycle, DeleteBucketLifecycle);
  BASTIDE_S3(get_encryption, GetBucketEncryption);
  BASTIDE_S3(put_encryption, PutBucketEncryption);
  BASTIDE_S3(delete_encryption, DeleteBucketEncryption);
  BASTIDE_S3(get_ownership, GetBucketOwnershipControls);
  BASTIDE_S3(put_ownership, PutBucketOwnershipControls);
  BASTIDE_S3(delete_ownership, DeleteBucketOwnershipControls);
  BASTIDE_S3(get_access_block, GetPublicAccessBlock);
  BASTIDE_S3(put_access_block, PutPublicAccessBlock);
  BASTIDE_S3(delete_access_block, DeletePublicAccessBlock);
  BASTIDE_S3(get_versioning, GetBucketVersioning);
  BASTIDE_S3(put_versioning, PutBucketVersioning);
  BASTIDE_S3(get_notification, GetBucketNotificationConfiguration);
  BASTIDE_S3(put_notification, PutBucketNotificationConfiguration);
  BASTIDE_S3(get_logging, GetBucketLogging);
  BASTIDE_S3(put_logging, PutBucketLogging);
  BASTIDE_S3(get_request_payment, GetBucketRequestPayment);
  BASTIDE_S3(put_request_payment, PutBucketRequestPayment);
  BASTIDE_S3(get_accelerate, GetBucketAccelerateConfiguration);
  BASTIDE_S3(get_replication, GetBucketReplication);
  BASTIDE_S3(get_lock_configuration, GetObjectLockConfiguration);
  BASTIDE_S3(put_object, PutObject);
  BASTIDE_S3(get_object, GetObject);
  BASTIDE_S3(head_object, HeadObject);
  BASTIDE_S3(get_attributes, GetObjectAttributes);
  BASTIDE_S3(delete_object, DeleteObject);
  BASTIDE_S3(delete_objects, DeleteObjects);
  BASTIDE_S3(copy_object, CopyObject);
  BASTIDE_S3(get_object_acl, GetObjectAcl);
  BASTIDE_S3(put_object_acl, PutObjectAcl);
  BASTIDE_S3(get_tagging, GetObjectTagging);
  BASTIDE_S3(put_tagging, PutObjectTagging);
  BASTIDE_S3(delete_tagging, DeleteObjectTagging);
  BASTIDE_S3(list_objects, ListObjects);
  BASTIDE_S3(list_objects_v2, ListObjectsV2);
  BASTIDE_S3(list_versions, ListObjectVersions);
  BASTIDE_S3(create_upload, CreateMultipartUpload);
  BASTIDE_S3(upload_part, UploadPart);
  BASTIDE_S3(upload_part_copy, UploadPartCopy);
  BASTIDE_S3(complete_upload, CompleteMultipartUpload);
  BASTIDE_S3(abort_upload, AbortMultipartUpload);
  BASTIDE_S3(list_parts, ListParts);
  BASTIDE_S3(list_uploads, ListMultipartUploads);
#undef BASTIDE_S3

  // copy.cc: an object that is read as the caller.
  struct Origin {
    BucketPtr bucket;
    store::objects::Object object;
    std::string key;  // the object's
  };
  Result<aws::Target> origin_target(const Call& call, const std::string& copy_source);
  template <class Q>
  Result<Origin> open_origin(const Call& call, const Q& q);

  Parts p_;
  std::map<std::string, BucketPtr> buckets_;  // as of bucket_changes_
  int64_t bucket_changes_ = -1;
};

}  // namespace bastide::services
