// The subresources of buckets: kept as the client gave them, checked when they come.
#include <algorithm>

#include "model/body.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;

template <class Op>
S3::Answer<Op> S3::get_config(const std::string& name, const char* member, const char* wrapped,
                              const char* code, const char* message) {
  const auto b = TRY(bucket(name));
  const json::Value* kept = b->configuration(member);
  if (kept == nullptr) {
    if (code == nullptr) return typename Op::Response{};
    return fault(code, message, 404);
  }
  return model::response_of<Op>(wrapped == nullptr ? *kept : json::object({{wrapped, *kept}}));
}

template <class Op>
S3::Answer<Op> S3::put_config(const typename Op::Request& q, const char* member, const char* payload) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  const json::Value whole = model::request_body<Op>(q);
  const json::Value* given = whole.find(payload);
  if (given == nullptr) {
    return fault("MalformedXML",
                 "The XML you provided was not well-formed or did not validate against our published schema",
                 400);
  }
  TRY(change_bucket(q.bucket, [&](json::Value& all) -> Result<void> {
    all[member] = *given;
    return {};
  }));
  return typename Op::Response{};
}

template <class Op>
S3::Answer<Op> S3::drop_config(const typename Op::Request& q, const char* member) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(change_bucket(q.bucket, [&](json::Value& all) -> Result<void> {
    all.remove(member);
    return {};
  }));
  return typename Op::Response{};
}

namespace {

Error malformed(std::string message) { return fault("MalformedXML", std::move(message), 400); }

}  // namespace

// ---- CORS: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html

S3::Answer<op::GetBucketCors> S3::get_cors(Call&, const op::GetBucketCors::Request& q) {
  return get_config<op::GetBucketCors>(q.bucket, "cors", nullptr, "NoSuchCORSConfiguration",
                                       "The CORS configuration does not exist");
}

S3::Answer<op::PutBucketCors> S3::put_cors(Call&, const op::PutBucketCors::Request& q) {
  const auto& rules = q.cors_configuration.cors_rules;
  if (rules.empty() || rules.size() > 100) return malformed("A CORS configuration has 1 to 100 rules");
  for (const auto& rule : rules) {
    for (const auto& method : rule.allowed_methods) {
      bool known = false;
      for (const char* one : {"GET", "PUT", "POST", "DELETE", "HEAD"}) known = known || method == one;
      if (!known) {
        return fault("InvalidRequest",
                     "Found unsupported HTTP method in CORS config. Unsupported method is " + method, 400);
      }
    }
    for (const auto& origin : rule.allowed_origins) {
      if (std::count(origin.begin(), origin.end(), '*') > 1) {
        return fault("InvalidRequest",
                     "AllowedOrigin \"" + origin + "\" can not have more than one wildcard.", 400);
      }
    }
  }
  return put_config<op::PutBucketCors>(q, "cors", "CORSConfiguration");
}

S3::Answer<op::DeleteBucketCors> S3::delete_cors(Call&, const op::DeleteBucketCors::Request& q) {
  return drop_config<op::DeleteBucketCors>(q, "cors");
}

// ---- Tags

S3::Answer<op::GetBucketTagging> S3::get_bucket_tagging(Call&, const op::GetBucketTagging::Request& q) {
  return get_config<op::GetBucketTagging>(q.bucket, "tags", nullptr, "NoSuchTagSet",
                                          "The TagSet does not exist");
}

S3::Answer<op::PutBucketTagging> S3::put_bucket_tagging(Call&, const op::PutBucketTagging::Request& q) {
  const json::Value whole = model::request_body<op::PutBucketTagging>(q);
  // CloudFormation's own tags are set by the platform alone; here they are let through for its stacks.
  json::Value own = json::array();
  for (const auto& tag : whole.find("Tagging")->get_array("TagSet")) {
    if (!tag.get("Key").starts_with("aws:cloudformation:")) own.push(tag);
  }
  TRY(s3::check_tags(own, 50));
  return put_config<op::PutBucketTagging>(q, "tags", "Tagging");
}

S3::Answer<op::DeleteBucketTagging> S3::delete_bucket_tagging(Call&,
                                                              const op::DeleteBucketTagging::Request& q) {
  return drop_config<op::DeleteBucketTagging>(q, "tags");
}

// ---- Website: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html

S3::Answer<op::GetBucketWebsite> S3::get_website(Call&, const op::GetBucketWebsite::Request& q) {
  return get_config<op::GetBucketWebsite>(q.bucket, "website", nullptr, "NoSuchWebsiteConfiguration",
                                          "The specified bucket does not have a website configuration");
}

S3::Answer<op::PutBucketWebsite> S3::put_website(Call&, const op::PutBucketWebsite::Request& q) {
  const auto& w = q.website_configuration;
  if (!w.redirect_all_requests_to && !w.index_document) {
    return fault("InvalidArgument",
                 "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty", 400);
  }
  if (w.index_document &&
      (w.index_document->suffix.empty() || w.index_document->suffix.find('/') != std::string::npos))
    return fault("InvalidArgument", "The IndexDocument Suffix is not well formed", 400);
  return put_config<op::PutBucketWebsite>(q, "website", "WebsiteConfiguration");
}

S3::Answer<op::DeleteBucketWebsite> S3::delete_website(Call&, const op::DeleteBucketWebsite::Request& q) {
  return drop_config<op::DeleteBucketWebsite>(q, "website");
}

// ---- Encryption: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html

S3::Answer<op::GetBucketEncryption> S3::get_encryption(Call&, const op::GetBucketEncryption::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  if (b->configuration("encryption") == nullptr) {
    // What every bucket has.
    return model::response_of<op::GetBucketEncryption>(json::object(
        {{"ServerSideEncryptionConfiguration",
          json::object({{"Rules", json::array({json::object({{"ApplyServerSideEncryptionByDefault",
                                                              json::object({{"SSEAlgorithm", "AES256"}})},
                                                             {"BucketKeyEnabled", false}})})}})}}));
  }
  return get_config<op::GetBucketEncryption>(q.bucket, "encryption", "ServerSideEncryptionConfiguration",
                                             nullptr, nullptr);
}

S3::Answer<op::PutBucketEncryption> S3::put_encryption(Call&, const op::PutBucketEncryption::Request& q) {
  const auto& rules = q.server_side_encryption_configuration.rules;
  if (rules.size() != 1) return malformed("An encryption configuration has one rule");
  if (rules.front().apply_server_side_encryption_by_default) {
    const auto& by_default = *rules.front().apply_server_side_encryption_by_default;
    if (by_default.sse_algorithm == "aws:kms:dsse")
      return fault("NotImplemented", "Encryption 'aws:kms:dsse' is not implemented; aws:kms and AES256 are",
                   501);
    if (by_default.sse_algorithm == "AES256" && by_default.kms_master_key_id) {
      return fault(
          "InvalidArgument",
          "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
          400);
    }
  }
  return put_config<op::PutBucketEncryption>(q, "encryption", "ServerSideEncryptionConfiguration");
}

S3::Answer<op::DeleteBucketEncryption> S3::delete_encryption(Call&,
                                                             const op::DeleteBucketEncryption::Request& q) {
  return drop_config<op::DeleteBucketEncryption>(q, "encryption");
}

// ---- Ownership, public access

S3::Answer<op::GetBucketOwnershipControls> S3::get_ownership(
    Call&, const op::GetBucketOwnershipControls::Request& q) {
  return get_config<op::GetBucketOwnershipControls>(q.bucket, "ownership", "OwnershipControls",
                                                    "OwnershipControlsNotFoundError",
                                                    "The bucket ownership controls were not found");
}

S3::Answer<op::PutBucketOwnershipControls> S3::put_ownership(
    Call&, const op::PutBucketOwnershipControls::Request& q) {
  if (q.ownership_controls.rules.size() != 1) return malformed("Ownership controls have one rule");
  return put_config<op::PutBucketOwnershipControls>(q, "ownership", "OwnershipControls");
}

S3::Answer<op::DeleteBucketOwnershipControls> S3::delete_ownership(
    Call&, const op::DeleteBucketOwnershipControls::Request& q) {
  return drop_config<op::DeleteBucketOwnershipControls>(q, "ownership");
}

S3::Answer<op::GetPublicAccessBlock> S3::get_access_block(Call&, const op::GetPublicAccessBlock::Request& q) {
  return get_config<op::GetPublicAccessBlock>(q.bucket, "accessBlock", "PublicAccessBlockConfiguration",
                                              "NoSuchPublicAccessBlockConfiguration",
                                              "The public access block configuration was not found");
}

S3::Answer<op::PutPublicAccessBlock> S3::put_access_block(Call&, const op::PutPublicAccessBlock::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  const auto& given = q.public_access_block_configuration;
  TRY(change_bucket(q.bucket, [&](json::Value& all) -> Result<void> {
    all["accessBlock"] =
        json::object({{"BlockPublicAcls", given.block_public_acls.value_or(false)},
                      {"IgnorePublicAcls", given.ignore_public_acls.value_or(false)},
                      {"BlockPublicPolicy", given.block_public_policy.value_or(false)},
                      {"RestrictPublicBuckets", given.restrict_public_buckets.value_or(false)}});
    return {};
  }));
  return op::PutPublicAccessBlock::Response{};
}

S3::Answer<op::DeletePublicAccessBlock> S3::delete_access_block(
    Call&, const op::DeletePublicAccessBlock::Request& q) {
  return drop_config<op::DeletePublicAccessBlock>(q, "accessBlock");
}

// ---- Versioning: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html

S3::Answer<op::GetBucketVersioning> S3::get_versioning(Call&, const op::GetBucketVersioning::Request& q) {
  return get_config<op::GetBucketVersioning>(q.bucket, "versioning", nullptr, nullptr, nullptr);
}

S3::Answer<op::PutBucketVersioning> S3::put_versioning(Call&, const op::PutBucketVersioning::Request& q) {
  const auto& given = q.versioning_configuration;
  if (given.mfa_delete.value_or("Disabled") == "Enabled")
    return fault("NotImplemented", "MFA Delete is not implemented", 501);
  if (!given.status) {
    return fault("IllegalVersioningConfigurationException", "The Versioning element must be specified", 400);
  }
  return put_config<op::PutBucketVersioning>(q, "versioning", "VersioningConfiguration");
}

// ---- Lifecycle: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html

S3::Answer<op::GetBucketLifecycleConfiguration> S3::get_lifecycle(
    Call&, const op::GetBucketLifecycleConfiguration::Request& q) {
  return get_config<op::GetBucketLifecycleConfiguration>(q.bucket, "lifecycle", nullptr,
                                                         "NoSuchLifecycleConfiguration",
                                                         "The lifecycle configuration does not exist");
}

S3::Answer<op::PutBucketLifecycleConfiguration> S3::put_lifecycle(
    Call&, const op::PutBucketLifecycleConfiguration::Request& q) {
  if (!q.lifecycle_configuration || q.lifecycle_configuration->rules.empty() ||
      q.lifecycle_configuration->rules.size() > 1000)
    return malformed("A lifecycle configuration has 1 to 1000 rules");
  for (const auto& rule : q.lifecycle_configuration->rules) {
    if (rule.transitions || rule.noncurrent_version_transitions)
      return fault("NotImplemented", "Transitions to other storage classes are not implemented", 501);
    if (!rule.expiration && !rule.noncurrent_version_expiration && !rule.abort_incomplete_multipart_upload)
      return fault("InvalidRequest", "At least one action needs to be specified in a rule", 400);
    if (!rule.filter && !rule.prefix) return malformed("A rule needs a Filter or a Prefix");
    if (!rule.expiration) continue;
    const auto& e = *rule.expiration;
    if (int{e.days.has_value()} + int{e.date.has_value()} +
            int{e.expired_object_delete_marker.value_or(false)} !=
        1)
      return malformed("An expiration has one of Days, Date and ExpiredObjectDeleteMarker");
    if (e.days && *e.days <= 0)
      return fault("InvalidArgument", "'Days' for Expiration action must be a positive integer", 400);
    if (e.date && *e.date % kDay != 0) return fault("InvalidArgument", "'Date' must be at midnight GMT", 400);
  }
  return put_config<op::PutBucketLifecycleConfiguration>(q, "lifecycle", "LifecycleConfiguration");
}

S3::Answer<op::DeleteBucketLifecycle> S3::delete_lifecycle(Call&,
                                                           const op::DeleteBucketLifecycle::Request& q) {
  return drop_config<op::DeleteBucketLifecycle>(q, "lifecycle");
}

// ---- Notifications: their targets do not exist here yet, and S3 checks that they do.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html

S3::Answer<op::GetBucketNotificationConfiguration> S3::get_notification(
    Call&, const op::GetBucketNotificationConfiguration::Request& q) {
  return get_config<op::GetBucketNotificationConfiguration>(q.bucket, "notification", nullptr, nullptr,
                                                            nullptr);
}

S3::Answer<op::PutBucketNotificationConfiguration> S3::put_notification(
    Call&, const op::PutBucketNotificationConfiguration::Request& q) {
  const auto& given = q.notification_configuration;
  if (given.topic_configurations || given.queue_configurations || given.lambda_function_configurations)
    return fault("InvalidArgument", "Unable to validate the following destination configurations", 400);
  if (given.event_bridge_configuration)
    return fault("NotImplemented", "Notifications to EventBridge are not implemented", 501);
  return put_config<op::PutBucketNotificationConfiguration>(q, "notification", "NotificationConfiguration");
}

S3::Answer<op::GetBucketLogging> S3::get_logging(Call&, const op::GetBucketLogging::Request& q) {
  return get_config<op::GetBucketLogging>(q.bucket, "logging", nullptr, nullptr, nullptr);
}

S3::Answer<op::PutBucketLogging> S3::put_logging(Call&, const op::PutBucketLogging::Request& q) {
  if (q.bucket_logging_status.logging_enabled)
    return fault("NotImplemented",
                 "Server access logs are not implemented; the audit trail has every request", 501);
  return put_config<op::PutBucketLogging>(q, "logging", "BucketLoggingStatus");
}

S3::Answer<op::GetBucketRequestPayment> S3::get_request_payment(
    Call&, const op::GetBucketRequestPayment::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  op::GetBucketRequestPayment::Response out;
  out.payer = "BucketOwner";
  return out;
}

S3::Answer<op::PutBucketRequestPayment> S3::put_request_payment(
    Call&, const op::PutBucketRequestPayment::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  if (q.request_payment_configuration.payer != "BucketOwner")
    return fault("NotImplemented", "Requester Pays is not implemented", 501);
  return op::PutBucketRequestPayment::Response{};
}

S3::Answer<op::GetBucketAccelerateConfiguration> S3::get_accelerate(
    Call&, const op::GetBucketAccelerateConfiguration::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  return op::GetBucketAccelerateConfiguration::Response{};
}

S3::Answer<op::GetBucketReplication> S3::get_replication(Call&, const op::GetBucketReplication::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  return fault("ReplicationConfigurationNotFoundError", "The replication configuration was not found", 404);
}

S3::Answer<op::GetObjectLockConfiguration> S3::get_lock_configuration(
    Call&, const op::GetObjectLockConfiguration::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  return fault("ObjectLockConfigurationNotFoundError",
               "Object Lock configuration does not exist for this bucket", 404);
}

// ---- Policy: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html

S3::Answer<op::GetBucketPolicy> S3::get_policy(Call&, const op::GetBucketPolicy::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const json::Value* kept = b->configuration("policy");
  if (kept == nullptr) return fault("NoSuchBucketPolicy", "The bucket policy does not exist", 404);
  op::GetBucketPolicy::Response out;
  out.policy = kept->string();
  return out;
}

S3::Answer<op::PutBucketPolicy> S3::put_policy(Call&, const op::PutBucketPolicy::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const auto document = TRY(s3::check_bucket_policy(q.policy, q.bucket));
  const bool is_public = s3::is_public_policy(document);
  TRY(change_bucket(q.bucket, [&](json::Value& all) -> Result<void> {
    const json::Value* block = all.find("accessBlock");
    if (is_public && block != nullptr && block->get_bool("BlockPublicPolicy")) {
      return fault("AccessDenied",
                   "User is not authorized to perform: s3:PutBucketPolicy on resource: \"" + b->arn() +
                       "\" because public policies are prevented by the BlockPublicPolicy setting in S3 "
                       "Block Public Access.",
                   403);
    }
    all["policy"] = q.policy;
    return {};
  }));
  return op::PutBucketPolicy::Response{};
}

S3::Answer<op::DeleteBucketPolicy> S3::delete_policy(Call&, const op::DeleteBucketPolicy::Request& q) {
  return drop_config<op::DeleteBucketPolicy>(q, "policy");
}

S3::Answer<op::GetBucketPolicyStatus> S3::get_policy_status(Call&,
                                                            const op::GetBucketPolicyStatus::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  if (b->configuration("policy") == nullptr)
    return fault("NoSuchBucketPolicy", "The bucket policy does not exist", 404);
  op::GetBucketPolicyStatus::Response out;
  out.policy_status.emplace().is_public = b->public_policy;
  return out;
}

}  // namespace bastide::services
