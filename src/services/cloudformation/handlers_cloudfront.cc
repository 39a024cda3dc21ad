// AWS::CloudFront::* and AWS::CertificateManager::Certificate.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_CloudFront.html
#include <cmath>
#include <cstring>

#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

constexpr Millis kDeployment = 5 * kMinute;

// Templates write lists where the API has {Quantity, Items}, and some names otherwise.
Value api_shape(const Value& v);

Value wrapped(const Value& list) {
  Value out = json::object({{"Quantity", list.array().size()}});
  Value items = json::array();
  for (const auto& item : list.array()) items.push(api_shape(item));
  if (!items.array().empty()) out["Items"] = std::move(items);
  return out;
}

const char* api_name(const std::string& name) {
  static const std::map<std::string, const char*> names{
      {"AcmCertificateArn", "ACMCertificateArn"}, {"IamCertificateId", "IAMCertificateId"},
      {"SslSupportMethod", "SSLSupportMethod"},   {"OriginSSLProtocols", "OriginSslProtocols"},
      {"OriginCustomHeaders", "CustomHeaders"},   {"IPV6Enabled", "IsIPV6Enabled"}};
  auto found = names.find(name);
  return found == names.end() ? name.c_str() : found->second;
}

Value api_shape(const Value& v) {
  if (v.is_array()) return wrapped(v);
  if (v.is_double() && std::trunc(v.number()) == v.number()) return Value(static_cast<int64_t>(v.number()));
  if (!v.is_object()) return v;
  if (const Value* items = v.find("Items"); items != nullptr && items->is_array()) {
    Value out = wrapped(*items);
    for (const auto& [name, member] : v.object()) {
      if (name != "Items" && name != "Quantity") out[name] = api_shape(member);
    }
    return out;
  }
  Value out = json::object();
  for (const auto& [name, member] : v.object()) {
    if (name == "CachedMethods") continue;
    if (name == "AllowedMethods") {
      Value methods = wrapped(member);
      if (const Value* cached = v.find("CachedMethods")) methods["CachedMethods"] = wrapped(*cached);
      out[name] = std::move(methods);
    } else if (name == "TrustedKeyGroups" || name == "TrustedSigners") {
      Value trusted = wrapped(member);
      trusted["Enabled"] = !member.array().empty();
      out[name] = std::move(trusted);
    } else if (name == "GeoRestriction") {
      const Value* locations = member.find("Locations");
      Value geo = wrapped(locations != nullptr ? *locations : json::array());
      geo["RestrictionType"] = member.get("RestrictionType", "none");
      out[name] = std::move(geo);
    } else if (name == "Logging") {
      Value logging = api_shape(member);
      if (!logging.has("Enabled")) logging["Enabled"] = true;
      out[name] = std::move(logging);
    } else if (name == "ResponseCode" && member.is_int()) {
      out[name] = std::to_string(member.integer());
    } else {
      out[api_name(name)] = api_shape(member);
    }
  }
  return out;
}

Value distribution_config(const Value& p, const std::string& reference) {
  const Value* given = p.find("DistributionConfig");
  Value out = api_shape(given != nullptr ? *given : json::object());
  out["CallerReference"] = reference;
  if (!out.has("Comment")) out["Comment"] = "";
  for (auto& [name, member] : out.object()) {
    if (name != "Origins") continue;
    for (auto& origin : member["Items"].array()) {
      if (auto* custom = origin.find("CustomOriginConfig")) {
        if (!custom->has("HTTPPort")) (*custom)["HTTPPort"] = 80;
        if (!custom->has("HTTPSPort")) (*custom)["HTTPSPort"] = 443;
      }
      if (auto* s3 = origin.find("S3OriginConfig"); s3 != nullptr && !s3->has("OriginAccessIdentity"))
        (*s3)["OriginAccessIdentity"] = "";
    }
  }
  return out;
}

Result<Value> get_distribution(const Context& c, const std::string& id) {
  return c.call("cloudfront", "GetDistribution", json::object({{"Id", id}}));
}

Value distribution_attributes_of(const Value& answer) {
  const Value* d = answer.find("Distribution");
  return d == nullptr ? json::object() : pick(*d, {"Id", "DomainName"});
}

Result<void> wait_deployed(const Context& c, const std::string& id) {
  return c.wait_until(kDeployment, 250, [&]() -> Result<bool> {
    const Value now = TRY(get_distribution(c, id));
    const Value* d = now.find("Distribution");
    return d != nullptr && d->get("Status") == "Deployed";
  });
}

Result<Made> make_distribution(const Context& c, const Value& p) {
  Value tags = json::object({{"Items", c.tags(p, true)}});
  const Value both =
      json::object({{"DistributionConfig", distribution_config(p, c.token)}, {"Tags", std::move(tags)}});
  const Value out = TRY(c.call("cloudfront", "CreateDistributionWithTags",
                               json::object({{"DistributionConfigWithTags", both}})));
  Value attributes = distribution_attributes_of(out);
  const std::string id = attributes.get("Id");
  return Made{id, std::move(attributes)};
}

Result<void> apply_distribution(const Context& c, const std::string& id, const Value& old,
                                const Value& next) {
  if (!old.is_null()) {
    const Value now = TRY(get_distribution(c, id));
    const Value* d = now.find("Distribution");
    const Value* config = d == nullptr ? nullptr : d->find("DistributionConfig");
    if (config == nullptr) return error("CloudFront describes no configuration of " + id);
    if (differs(old, next, "DistributionConfig")) {
      TRY(done(c.call("cloudfront", "UpdateDistribution",
                      json::object({{"Id", id},
                                    {"IfMatch", now.get("ETag")},
                                    {"DistributionConfig",
                                     distribution_config(next, config->get("CallerReference"))}}))));
    }
    const TagChange change = tag_change(c, old, next);
    const std::string arn = d->get("ARN");
    if (!change.set.array().empty()) {
      TRY(done(c.call("cloudfront", "TagResource",
                      json::object({{"Resource", arn}, {"Tags", json::object({{"Items", change.set}})}}))));
    }
    if (!change.remove.array().empty()) {
      TRY(done(
          c.call("cloudfront", "UntagResource",
                 json::object({{"Resource", arn}, {"TagKeys", json::object({{"Items", change.remove}})}}))));
    }
  }
  return wait_deployed(c, id);
}

Result<void> remove_distribution(const Context& c, const std::string& id, const Value&) {
  auto now = get_distribution(c, id);
  if (!now) return unless_missing(std::move(now));
  std::string etag = now->get("ETag");
  const Value* d = now->find("Distribution");
  const Value* config = d == nullptr ? nullptr : d->find("DistributionConfig");
  if (config != nullptr && config->get_bool("Enabled")) {
    Value off = *config;
    off["Enabled"] = false;
    const Value updated =
        TRY(c.call("cloudfront", "UpdateDistribution",
                   json::object({{"Id", id}, {"IfMatch", etag}, {"DistributionConfig", std::move(off)}})));
    etag = updated.get("ETag");
  }
  return unless_missing(
      c.call("cloudfront", "DeleteDistribution", json::object({{"Id", id}, {"IfMatch", etag}})));
}

Result<Value> distribution_attributes(const Context& c, const std::string& id, const Value&) {
  const Value out = TRY(get_distribution(c, id));
  return distribution_attributes_of(out);
}

// The caller reference is this attempt's own.
Result<std::string> find_distribution(const Context& c, const Value&) {
  Value in = json::object();
  for (int page = 0; page < 100; ++page) {
    const Value out = TRY(c.call("cloudfront", "ListDistributions", in));
    const Value* list = out.find("DistributionList");
    if (list == nullptr) break;
    for (const auto& item : list->get_array("Items")) {
      const std::string id = item.get("Id");
      if (only_in({id}, c.known).empty()) continue;
      const Value full = TRY(get_distribution(c, id));
      const Value* d = full.find("Distribution");
      const Value* config = d == nullptr ? nullptr : d->find("DistributionConfig");
      if (config != nullptr && config->get("CallerReference") == c.token) return id;
    }
    if (!list->get_bool("IsTruncated")) break;
    in["Marker"] = list->get("NextMarker");
  }
  return std::string();
}

// ---- The kinds that are a configuration under a name.

struct Plain {
  const char* noun;
  const char* config;
  const char* list;
  const char* list_operation;
};
template <const Plain& K>
struct PlainHandler {
  static Value config(const Context& c, const Value& p) {
    const Value* given = p.find(K.config);
    Value out = api_shape(given != nullptr ? *given : json::object());
    // A key group's list of keys is a plain list in the API too.
    if (given != nullptr && std::strcmp(K.noun, "KeyGroup") == 0) out = *given;
    if (std::strcmp(K.noun, "PublicKey") == 0 && !out.has("CallerReference"))
      out["CallerReference"] = c.token;
    return out;
  }
  static Value attributes_of(const Value& answer) {
    const Value* one = answer.find(K.noun);
    return one == nullptr ? json::object() : pick(*one, {"Id"});
  }
  static Result<Made> make(const Context& c, const Value& p) {
    const Value out = TRY(c.call("cloudfront", (std::string("Create") + K.noun).c_str(),
                                 json::object({{K.config, config(c, p)}})));
    Value attributes = attributes_of(out);
    const std::string id = attributes.get("Id");
    return Made{id, std::move(attributes)};
  }
  static Result<void> apply(const Context& c, const std::string& id, const Value& old, const Value& next) {
    if (old.is_null() || !differs(old, next, K.config)) return {};
    const Value now =
        TRY(c.call("cloudfront", (std::string("Get") + K.noun).c_str(), json::object({{"Id", id}})));
    Value fresh = config(c, next);
    const Value* one = now.find(K.noun);
    const Value* before = one == nullptr ? nullptr : one->find(K.config);
    if (before != nullptr && before->has("CallerReference"))
      fresh["CallerReference"] = before->get("CallerReference");
    return done(
        c.call("cloudfront", (std::string("Update") + K.noun).c_str(),
               json::object({{"Id", id}, {"IfMatch", now.get("ETag")}, {K.config, std::move(fresh)}})));
  }
  static Result<void> remove(const Context& c, const std::string& id, const Value&) {
    auto now = c.call("cloudfront", (std::string("Get") + K.noun).c_str(), json::object({{"Id", id}}));
    if (!now) return unless_missing(std::move(now));
    return unless_missing(c.call("cloudfront", (std::string("Delete") + K.noun).c_str(),
                                 json::object({{"Id", id}, {"IfMatch", now->get("ETag")}})));
  }
  static Result<Value> attributes(const Context& c, const std::string& id, const Value&) {
    const Value out =
        TRY(c.call("cloudfront", (std::string("Get") + K.noun).c_str(), json::object({{"Id", id}})));
    return attributes_of(out);
  }
  // Names are unique in the account.
  static Result<std::string> find(const Context& c, const Value& p) {
    const Value* wanted = p.find(K.config);
    const Value out = TRY(c.call("cloudfront", K.list_operation, json::object({{"MaxItems", "1000"}})));
    const Value* list = out.find(K.list);
    if (wanted == nullptr || list == nullptr) return std::string();
    for (const auto& item : list->get_array("Items")) {
      const Value* one = item.find(K.noun);
      const Value& body = one != nullptr ? *one : item;
      const Value* config_of = body.find(K.config);
      const std::string name = config_of != nullptr ? config_of->get("Name") : body.get("Name");
      if (name == wanted->get("Name") && !only_in({body.get("Id")}, c.known).empty()) return body.get("Id");
    }
    return std::string();
  }
  static Handler handler() {
    return {.make = make, .apply = apply, .remove = remove, .attributes = attributes, .find = find};
  }
};

constexpr Plain kCachePolicy{"CachePolicy", "CachePolicyConfig", "CachePolicyList", "ListCachePolicies"};
constexpr Plain kOriginRequestPolicy{"OriginRequestPolicy", "OriginRequestPolicyConfig",
                                     "OriginRequestPolicyList", "ListOriginRequestPolicies"};
constexpr Plain kResponseHeadersPolicy{"ResponseHeadersPolicy", "ResponseHeadersPolicyConfig",
                                       "ResponseHeadersPolicyList", "ListResponseHeadersPolicies"};
constexpr Plain kOriginAccessControl{"OriginAccessControl", "OriginAccessControlConfig",
                                     "OriginAccessControlList", "ListOriginAccessControls"};
constexpr Plain kKeyGroup{"KeyGroup", "KeyGroupConfig", "KeyGroupList", "ListKeyGroups"};
constexpr Plain kPublicKey{"PublicKey", "PublicKeyConfig", "PublicKeyList", "ListPublicKeys"};

// ---- Certificates

Result<Made> make_certificate(const Context& c, const Value& p) {
  Value in = pick(p, {"DomainName", "SubjectAlternativeNames", "ValidationMethod", "KeyAlgorithm"});
  std::string token;
  for (char letter : c.token) {
    if (letter != '-' && token.size() < 32) token += letter;
  }
  in["IdempotencyToken"] = std::move(token);
  in["Tags"] = c.tags(p, true);
  const Value out = TRY(c.call("acm", "RequestCertificate", std::move(in)));
  const std::string arn = out.get("CertificateArn");
  return Made{arn, json::object({{"Id", arn}})};
}

Result<void> apply_certificate(const Context& c, const std::string& arn, const Value& old,
                               const Value& next) {
  if (!old.is_null()) {
    const TagChange change = tag_change(c, old, next);
    if (!change.set.array().empty()) {
      TRY(done(c.call("acm", "AddTagsToCertificate",
                      json::object({{"CertificateArn", arn}, {"Tags", change.set}}))));
    }
    if (!change.remove.array().empty()) {
      Value keys = json::array();
      for (const auto& key : change.remove.array()) keys.push(json::object({{"Key", key}}));
      TRY(done(c.call("acm", "RemoveTagsFromCertificate",
                      json::object({{"CertificateArn", arn}, {"Tags", std::move(keys)}}))));
    }
  }
  return c.wait_until(kDeployment, kSecond, [&]() -> Result<bool> {
    const Value now = TRY(c.call("acm", "DescribeCertificate", json::object({{"CertificateArn", arn}})));
    const Value* one = now.find("Certificate");
    return one != nullptr && one->get("Status") == "ISSUED";
  });
}

Result<void> remove_certificate(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("acm", "DeleteCertificate", json::object({{"CertificateArn", arn}})));
}

Result<Value> certificate_attributes(const Context&, const std::string& arn, const Value&) {
  return json::object({{"Id", arn}});
}

// Asking again with the same token answers the same certificate.
Result<std::string> find_certificate(const Context&, const Value&) { return std::string(); }

}  // namespace

void add_cloudfront(Handlers& h) {
  h["AWS::CloudFront::Distribution"] = {.waits = true,
                                        .make = make_distribution,
                                        .apply = apply_distribution,
                                        .remove = remove_distribution,
                                        .attributes = distribution_attributes,
                                        .find = find_distribution};
  h["AWS::CloudFront::CachePolicy"] = PlainHandler<kCachePolicy>::handler();
  h["AWS::CloudFront::OriginRequestPolicy"] = PlainHandler<kOriginRequestPolicy>::handler();
  h["AWS::CloudFront::ResponseHeadersPolicy"] = PlainHandler<kResponseHeadersPolicy>::handler();
  h["AWS::CloudFront::OriginAccessControl"] = PlainHandler<kOriginAccessControl>::handler();
  h["AWS::CloudFront::KeyGroup"] = PlainHandler<kKeyGroup>::handler();
  h["AWS::CloudFront::PublicKey"] = PlainHandler<kPublicKey>::handler();
  h["AWS::CertificateManager::Certificate"] = {.waits = true,
                                               .make = make_certificate,
                                               .apply = apply_certificate,
                                               .remove = remove_certificate,
                                               .attributes = certificate_attributes,
                                               .find = find_certificate};
}

}  // namespace bastide::services::cfn
