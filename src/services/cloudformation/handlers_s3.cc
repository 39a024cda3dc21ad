// AWS::S3::Bucket and AWS::S3::BucketPolicy.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_S3.html
#include <cstdlib>

#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Value on(const std::string& bucket, std::initializer_list<json::Member> more = {}) {
  Value out = json::object({{"Bucket", bucket}});
  for (const auto& [name, value] : more) out[name] = value;
  return out;
}

Result<void> call(const Context& c, const char* operation, Value in) {
  return done(c.call("s3", operation, std::move(in)));
}

// What of the template's words S3's API says otherwise.

Value encryption_of(const Value& p) {
  Value rules = json::array();
  for (const auto& rule : p.get_array("ServerSideEncryptionConfiguration")) {
    Value one = pick(rule, {"BucketKeyEnabled"});
    if (const Value* by_default = rule.find("ServerSideEncryptionByDefault"))
      one["ApplyServerSideEncryptionByDefault"] = pick(*by_default, {"SSEAlgorithm", "KMSMasterKeyID"});
    rules.push(std::move(one));
  }
  return json::object({{"Rules", std::move(rules)}});
}

Value cors_of(const Value& p) {
  Value rules = json::array();
  for (const auto& rule : p.get_array("CorsRules")) {
    Value one = pick(rule, {"AllowedHeaders", "AllowedMethods", "AllowedOrigins"});
    if (const Value* id = rule.find("Id")) one["ID"] = *id;
    if (const Value* exposed = rule.find("ExposedHeaders")) one["ExposeHeaders"] = *exposed;
    if (const Value* age = rule.find("MaxAge")) one["MaxAgeSeconds"] = *age;
    rules.push(std::move(one));
  }
  return json::object({{"CORSRules", std::move(rules)}});
}

Value filter_of(const Value& rule) {
  Value filter = json::object();
  int count = 0;
  const auto take = [&](const char* from, const char* to) {
    const Value* value = rule.find(from);
    if (value == nullptr) return;
    ++count;
    filter[to] = value->is_string() && std::string_view(from).starts_with("ObjectSize")
                     ? Value(static_cast<int64_t>(std::atoll(value->string().c_str())))
                     : *value;
  };
  take("Prefix", "Prefix");
  take("ObjectSizeGreaterThan", "ObjectSizeGreaterThan");
  take("ObjectSizeLessThan", "ObjectSizeLessThan");
  const auto& tags = rule.get_array("TagFilters");
  if (tags.size() == 1 && count == 0) return json::object({{"Tag", tags.front()}});
  if (!tags.empty()) {
    filter["Tags"] = Value(tags);
    count += 2;
  }
  if (count > 1) return json::object({{"And", std::move(filter)}});
  if (count == 0) filter["Prefix"] = "";
  return filter;
}

Result<Value> lifecycle_of(const Context& c, const Value& p) {
  Value rules = json::array();
  const Value* given = p.find("LifecycleConfiguration");
  if (given == nullptr) return json::object({{"Rules", std::move(rules)}});
  for (const auto& rule : given->get_array("Rules")) {
    for (const char* moving :
         {"Transition", "Transitions", "NoncurrentVersionTransition", "NoncurrentVersionTransitions"}) {
      if (rule.has(moving))
        return fault("InvalidRequest",
                     c.logical + ": lifecycle transitions to other storage classes are not implemented");
    }
    Value one = json::object({{"Status", rule.get("Status")}, {"Filter", filter_of(rule)}});
    if (const Value* id = rule.find("Id")) one["ID"] = *id;
    Value expiration = json::object();
    if (const Value* days = rule.find("ExpirationInDays")) expiration["Days"] = *days;
    if (const Value* marker = rule.find("ExpiredObjectDeleteMarker"))
      expiration["ExpiredObjectDeleteMarker"] = *marker;
    if (rule.has("ExpirationDate")) {
      const Millis date = TRY(parse_iso8601(rule.get("ExpirationDate")));
      expiration["Date"] = static_cast<double>(date) / 1000;
    }
    if (!expiration.object().empty()) one["Expiration"] = std::move(expiration);
    if (const Value* noncurrent = rule.find("NoncurrentVersionExpiration"))
      one["NoncurrentVersionExpiration"] = *noncurrent;
    else if (const Value* days = rule.find("NoncurrentVersionExpirationInDays"))
      one["NoncurrentVersionExpiration"] = json::object({{"NoncurrentDays", *days}});
    if (const Value* abort = rule.find("AbortIncompleteMultipartUpload"))
      one["AbortIncompleteMultipartUpload"] = *abort;
    rules.push(std::move(one));
  }
  return json::object({{"Rules", std::move(rules)}});
}

Value website_of(const Value& p) {
  Value out = json::object();
  const Value* site = p.find("WebsiteConfiguration");
  if (site == nullptr) return out;
  if (site->has("IndexDocument"))
    out["IndexDocument"] = json::object({{"Suffix", site->get("IndexDocument")}});
  if (site->has("ErrorDocument")) out["ErrorDocument"] = json::object({{"Key", site->get("ErrorDocument")}});
  if (const Value* all = site->find("RedirectAllRequestsTo")) out["RedirectAllRequestsTo"] = *all;
  Value rules = json::array();
  for (const auto& rule : site->get_array("RoutingRules")) {
    Value one = json::object();
    if (const Value* to = rule.find("RedirectRule")) one["Redirect"] = *to;
    if (const Value* when = rule.find("RoutingRuleCondition")) one["Condition"] = *when;
    rules.push(std::move(one));
  }
  if (!rules.array().empty()) out["RoutingRules"] = std::move(rules);
  return out;
}

// A property that maps onto one subresource: put where it is there, removed where it went.
Result<void> apply_one(const Context& c, const std::string& bucket, const Value& old, const Value& next,
                       const char* property, const char* put, const char* payload, const char* remove,
                       Value body) {
  const bool had = !old.is_null() && old.has(property), has = next.has(property);
  if (has && (old.is_null() || c.resumed || differs(old, next, property)))
    return call(c, put, on(bucket, {{payload, std::move(body)}}));
  if (had && !has && remove != nullptr) return call(c, remove, on(bucket));
  return {};
}

Result<Made> make_bucket(const Context& c, const Value& p) {
  const std::string name = c.name(p, "BucketName", 63, true);
  Value in = on(name);
  if (c.region != "us-east-1")
    in["CreateBucketConfiguration"] = json::object({{"LocationConstraint", c.region}});
  TRY(call(c, "CreateBucket", std::move(in)));
  return Made{name, Value()};
}

Result<void> apply_bucket(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (next.has("AccessControl") && next.get("AccessControl") != "Private" &&
      next.get("AccessControl") != "BucketOwnerFullControl")
    return fault("InvalidRequest", c.logical + ": AccessControl '" + next.get("AccessControl") +
                                       "' is not implemented; use a bucket policy");
  if (const Value* owners = next.find("OwnershipControls");
      owners != nullptr && (old.is_null() || differs(old, next, "OwnershipControls")))
    TRY(call(c, "PutBucketOwnershipControls", on(name, {{"OwnershipControls", *owners}})));
  TRY(apply_one(
      c, name, old, next, "PublicAccessBlockConfiguration", "PutPublicAccessBlock",
      "PublicAccessBlockConfiguration", "DeletePublicAccessBlock",
      next.has("PublicAccessBlockConfiguration") ? *next.find("PublicAccessBlockConfiguration") : Value()));
  const Value* encryption = next.find("BucketEncryption");
  TRY(apply_one(c, name, old, next, "BucketEncryption", "PutBucketEncryption",
                "ServerSideEncryptionConfiguration", "DeleteBucketEncryption",
                encryption == nullptr ? Value() : encryption_of(*encryption)));
  const Value* cors = next.find("CorsConfiguration");
  TRY(apply_one(c, name, old, next, "CorsConfiguration", "PutBucketCors", "CORSConfiguration",
                "DeleteBucketCors", cors == nullptr ? Value() : cors_of(*cors)));
  TRY(apply_one(c, name, old, next, "LifecycleConfiguration", "PutBucketLifecycleConfiguration",
                "LifecycleConfiguration", "DeleteBucketLifecycle", TRY(lifecycle_of(c, next))));
  TRY(apply_one(c, name, old, next, "WebsiteConfiguration", "PutBucketWebsite", "WebsiteConfiguration",
                "DeleteBucketWebsite", website_of(next)));
  if (next.has("VersioningConfiguration") || old.has("VersioningConfiguration")) {
    const Value* versioning = next.find("VersioningConfiguration");
    const std::string status = versioning == nullptr ? "Suspended" : versioning->get("Status");
    if (old.is_null() || differs(old, next, "VersioningConfiguration"))
      TRY(call(c, "PutBucketVersioning",
               on(name, {{"VersioningConfiguration", json::object({{"Status", status}})}})));
  }
  const TagChange change = tag_change(c, old, next);
  if (old.is_null() || change.any())
    TRY(call(c, "PutBucketTagging", on(name, {{"Tagging", json::object({{"TagSet", c.tags(next, true)}})}})));
  return {};
}

Result<void> remove_bucket(const Context& c, const std::string& name, const Value&) {
  return unless_missing(c.call("s3", "DeleteBucket", on(name)));
}

Result<Value> bucket_attributes(const Context& c, const std::string& name, const Value&) {
  const std::string site = c.region == "us-east-1" ? "s3-website-us-east-1" : "s3-website-" + c.region;
  return json::object({{"Arn", "arn:aws:s3:::" + name},
                       {"DomainName", name + ".s3.amazonaws.com"},
                       {"DualStackDomainName", name + ".s3.dualstack." + c.region + ".amazonaws.com"},
                       {"RegionalDomainName", name + ".s3." + c.region + ".amazonaws.com"},
                       {"WebsiteURL", "http://" + name + "." + site + ".amazonaws.com"}});
}

// It is ours when we own it and it was made since this attempt began: names are the attempt's own.
Result<std::string> find_bucket(const Context& c, const Value& p) {
  const std::string name = c.name(p, "BucketName", 63, true);
  if (only_in({name}, c.known).empty()) return std::string();
  const Value out = TRY(c.call("s3", "ListBuckets", json::object({{"Prefix", name}})));
  for (const auto& bucket : out.get_array("Buckets")) {
    const Value* created = bucket.find("CreationDate");
    if (bucket.get("Name") == name && created != nullptr && created->is_number() &&
        created->number() * 1000 >= static_cast<double>(c.started / 1000 * 1000))
      return name;
  }
  return std::string();
}

// ---- BucketPolicy

Result<void> put_policy(const Context& c, const std::string& bucket, const Value& p) {
  return call(c, "PutBucketPolicy", on(bucket, {{"Policy", document(*p.find("PolicyDocument"))}}));
}

Result<Made> make_policy(const Context& c, const Value& p) {
  TRY(put_policy(c, p.get("Bucket"), p));
  return Made{p.get("Bucket"), json::object()};
}

Result<void> apply_policy(const Context& c, const std::string& bucket, const Value& old, const Value& next) {
  if (old.is_null() || !differs(old, next, "PolicyDocument")) return {};
  return put_policy(c, bucket, next);
}

Result<void> remove_policy(const Context& c, const std::string& bucket, const Value&) {
  return unless_missing(c.call("s3", "DeleteBucketPolicy", on(bucket)));
}

Result<Value> no_attributes(const Context&, const std::string&, const Value&) { return json::object(); }

// Putting the same policy again does no harm.
Result<std::string> find_policy(const Context&, const Value&) { return std::string(); }

}  // namespace

void add_s3(Handlers& h) {
  h["AWS::S3::Bucket"] = {.name_property = "BucketName",
                          .make = make_bucket,
                          .apply = apply_bucket,
                          .remove = remove_bucket,
                          .attributes = bucket_attributes,
                          .find = find_bucket};
  h["AWS::S3::BucketPolicy"] = {.make = make_policy,
                                .apply = apply_policy,
                                .remove = remove_policy,
                                .attributes = no_attributes,
                                .find = find_policy};
}

}  // namespace bastide::services::cfn
