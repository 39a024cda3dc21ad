// A bucket as operations see it, and what names and policies of buckets must be.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "aws/policy.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "store/database.h"

namespace bastide::services::s3 {

inline constexpr const char* kBucketKind = "s3.bucket";

struct Bucket {
  std::string name, account, region;
  Millis created = 0;
  json::Value configurations;  // by name ("cors"), as the model's members
  aws::PolicyDocument policy;
  bool public_policy = false;

  const json::Value* configuration(const char* name) const { return configurations.find(name); }
  bool access_block(const char* member) const;  // "RestrictPublicBuckets"
  bool versioned() const;                       // enabled now
  std::string arn(const std::string& key = "") const;
};

Bucket bucket_of(const store::Resource& row);
bool versioning_is(const json::Value& bucket_body, const char* status);

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
bool valid_bucket_name(std::string_view name);
// The 64 digits by which S3 calls an account.
std::string canonical_id(const std::string& account);
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
bool is_public_policy(const json::Value& document);
// MalformedPolicy where the document says nothing about this bucket, or is none.
Result<json::Value> check_bucket_policy(const std::string& text, const std::string& bucket);
// At most `max` tags, each once, none of AWS's own.
Result<void> check_tags(const json::Value& tag_set, size_t max);
// "k1=v1&k2=v2" of x-amz-tagging as a tag set.
Result<json::Value> tags_of_header(const std::string& text);

Error no_such_bucket();
Error access_denied();
Error precondition_failed(const char* condition);
std::string quoted(const std::string& etag);
// Whether an If-Match or If-None-Match list names this ETag.
bool names_etag(std::string_view list, std::string_view etag);
std::string new_version_id();
std::string encode_key(const std::string& key, bool url);

}  // namespace bastide::services::s3
