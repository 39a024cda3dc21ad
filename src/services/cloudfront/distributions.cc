#include <algorithm>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"
#include "services/cloudfront/cloudfront.h"
#include "services/cloudfront/managed.h"

namespace bastide::services {
using namespace cloudfront;

namespace {

Error invalid(const char* code, std::string message) { return fault(code, std::move(message)); }

bool host_name(std::string_view name) {
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.back() == '.') return false;
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '.' || c == '_'; });
}

Result<void> check_quantities(const json::Value& v, int depth = 0) {
  if (depth > 12) return {};
  if (v.is_array()) {
    for (const auto& item : v.array()) TRY(check_quantities(item, depth + 1));
  }
  if (!v.is_object()) return {};
  const auto* quantity = v.find("Quantity");
  if (quantity != nullptr && quantity->is_int() &&
      quantity->integer() != static_cast<int64_t>(v.get_array("Items").size()))
    return fault("InconsistentQuantities", "The value of Quantity and the size of Items don't match.");
  for (const auto& [name, member] : v.object()) TRY(check_quantities(member, depth + 1));
  return {};
}

}  // namespace

// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateDistribution.html
Result<void> Cloudfront::check_distribution(store::Reader& reader, aws::Call& call, const Json& config,
                                            const std::string& id) {
  TRY(check_quantities(config));
  std::set<std::string> origins;
  for (const auto& o : items_of(config, "Origins")) {
    if (!origins.insert(o.get("Id")).second)
      return invalid("InvalidOrigin", "The origin '" + o.get("Id") + "' is specified more than once.");
    const auto domain = o.get("DomainName");
    if (!host_name(domain))
      return invalid("InvalidOrigin",
                     "The specified origin server does not exist or is not valid: " + domain);
    const auto path = o.get("OriginPath");
    if (!path.empty() && (path[0] != '/' || path.back() == '/'))
      return invalid("InvalidOrigin", "The origin path begins with '/' and does not end with it.");
    const bool s3 = o.has("S3OriginConfig");
    if (s3 == o.has("CustomOriginConfig"))
      return invalid("InvalidOrigin", "An origin has either an S3OriginConfig or a CustomOriginConfig.");
    if (s3 && domain.find(".s3.") == std::string::npos)
      return invalid("InvalidOrigin", "The domain name of an S3 origin is bucket.s3.region.amazonaws.com.");
    if (o.has("VpcOriginConfig")) return invalid("InvalidArgument", "VPC origins are not supported.");
    if (auto control = o.get("OriginAccessControlId"); !control.empty()) {
      if (!s3) return invalid("InvalidOriginAccessControl", "The origin access control is for S3 origins.");
      TRY(load(reader, call, kOriginAccessControl, control));
    }
    const auto identity = part(o, "S3OriginConfig").get("OriginAccessIdentity");
    if (!identity.empty()) {
      if (!identity.starts_with("origin-access-identity/cloudfront/"))
        return invalid("InvalidOriginAccessIdentity", "The origin access identity is not valid.");
      TRY(load(reader, call, kOriginAccessIdentity, identity.substr(34)));
    }
  }
  if (origins.empty()) return invalid("InvalidArgument", "A distribution has at least one origin.");
  auto targets = origins;
  for (const auto& g : items_of(config, "OriginGroups")) {
    const auto members = items_of(g, "Members");
    if (members.size() != 2) return invalid("InvalidArgument", "An origin group has two members.");
    for (const auto& m : members) {
      if (!origins.count(m.get("OriginId")))
        return invalid("NoSuchOrigin", "One or more of your origins or origin groups do not exist.");
    }
    targets.insert(g.get("Id"));
  }
  const auto check_behavior = [&](const Json& b) -> Result<void> {
    if (!targets.count(b.get("TargetOriginId")))
      return invalid("NoSuchOrigin", "One or more of your origins or origin groups do not exist.");
    const auto cache = b.get("CachePolicyId");
    if (cache.empty() && !b.has("ForwardedValues"))
      return invalid("InvalidArgument",
                     "The parameter ForwardedValues is required when no cache policy is given.");
    if (!cache.empty() && b.has("ForwardedValues"))
      return invalid("InvalidArgument",
                     "The parameter ForwardedValues cannot be used when a cache policy is associated to the "
                     "cache behavior.");
    if (!cache.empty()) TRY(load(reader, call, kCachePolicy, cache));
    if (auto p = b.get("OriginRequestPolicyId"); !p.empty()) TRY(load(reader, call, kOriginRequestPolicy, p));
    if (auto p = b.get("ResponseHeadersPolicyId"); !p.empty())
      TRY(load(reader, call, kResponseHeadersPolicy, p));
    for (const auto& g : items_of(b, "TrustedKeyGroups")) {
      auto found = load(reader, call, kKeyGroup, g.string());
      if (!found) return invalid("TrustedKeyGroupDoesNotExist", "The specified key group does not exist.");
    }
    if (!items_of(b, "LambdaFunctionAssociations").empty())
      return invalid("InvalidLambdaFunctionAssociation", "Lambda@Edge is not supported.");
    if (!items_of(b, "FunctionAssociations").empty())
      return invalid("InvalidFunctionAssociation", "CloudFront Functions are not supported.");
    if (!items_of(b, "TrustedSigners").empty())
      return invalid("InvalidArgument", "Trusted signers are not supported: use trusted key groups.");
    if (!b.get("FieldLevelEncryptionId").empty() || !b.get("RealtimeLogConfigArn").empty())
      return invalid("InvalidArgument", "Field-level encryption and real-time logs are not supported.");
    return {};
  };
  TRY(check_behavior(part(config, "DefaultCacheBehavior")));
  const auto behaviors = items_of(config, "CacheBehaviors");
  if (behaviors.size() > 75)
    return invalid("TooManyCacheBehaviors", "You cannot create more cache behaviors for the distribution.");
  std::set<std::string> patterns;
  for (const auto& b : behaviors) {
    TRY(check_behavior(b));
    if (!patterns.insert(b.get("PathPattern")).second)
      return invalid("InvalidArgument",
                     "The path pattern " + b.get("PathPattern") + " is specified more than once.");
  }
  for (const auto& e : items_of(config, "CustomErrorResponses")) {
    static const std::set<int64_t> codes{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504};
    if (!codes.count(e.get_int("ErrorCode")))
      return invalid("InvalidErrorCode", "An invalid error code was specified.");
    if (e.get("ResponsePagePath").empty() != e.get("ResponseCode").empty())
      return invalid("InvalidResponseCode", "ResponsePagePath and ResponseCode are given together.");
  }
  const auto& geo = part(part(config, "Restrictions"), "GeoRestriction");
  if (geo.get("RestrictionType", "none") != "none")
    return invalid("InvalidGeoRestrictionParameter",
                   "Geo restriction is not supported: this edge has no database of countries.");
  if (!config.get("WebACLId").empty()) return invalid("InvalidWebACLId", "Web ACLs are not supported.");
  if (part(config, "Logging").get_bool("Enabled"))
    return invalid("InvalidArgument", "Standard logs to S3 are not supported.");
  auto root = config.get("DefaultRootObject");
  if (!root.empty() && (root[0] == '/' || root.find_first_of(" ?#") != std::string::npos))
    return invalid("InvalidDefaultRootObject", "The default root object file name is not valid.");

  const auto aliases = items_of(config, "Aliases");
  const auto& certificate = part(config, "ViewerCertificate");
  const auto arn = certificate.get("ACMCertificateArn");
  if (!certificate.get("IAMCertificateId").empty())
    return invalid("InvalidViewerCertificate", "Server certificates of IAM are not supported: use ACM.");
  if (!arn.empty() && (!p_.certificate || !p_.certificate(arn)))
    return invalid("InvalidViewerCertificate",
                   "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or "
                   "doesn't include a valid certificate chain.");
  if (!aliases.empty() && arn.empty())
    return invalid("InvalidViewerCertificate",
                   "To add an alternate domain name (CNAME) to a CloudFront distribution, you must attach a "
                   "trusted certificate that validates your authorization to use the domain name.");
  std::set<std::string> names;
  for (const auto& a : aliases) {
    auto name = lower(a.string());
    if (!host_name(name.starts_with("*.") ? name.substr(2) : name))
      return invalid("InvalidArgument", "The alias " + name + " is not a domain name.");
    names.insert(std::move(name));
  }
  for (const auto& other : TRY(reader.list("*", "", kDistribution.kind))) {
    if (other.key.id == id) continue;
    for (const auto& a : items_of(part(other.body, kDistribution.config), "Aliases")) {
      if (names.count(lower(a.string())))
        return invalid(
            "CNAMEAlreadyExists",
            "One or more of the CNAMEs you provided are already associated with a different resource.");
    }
  }
  return {};
}

Result<json::Value> Cloudfront::create_with_tags(aws::Call& call, const Json& in) {
  const auto& both = part(in, "DistributionConfigWithTags");
  auto body = TRY(make(call, kDistribution, part(both, kDistribution.config), items_of(both, "Tags")));
  return answer(call, kDistribution, std::move(body));
}

json::Value Cloudfront::described(const Json& body) const {
  Json out = body;
  const auto id = body.get("Id"), etag = body.get("ETag");
  for (const char* hidden : {"ETag", "Tags", "SealedKey"}) out.remove(hidden);
  auto found = deployed_.find(id);
  const bool enabled = part(body, kDistribution.config).get_bool("Enabled");
  const bool there = found != deployed_.end() && found->second.etag == etag;
  // One that is off is deployed once edge has it no more.
  out["Status"] = there || (!enabled && found == deployed_.end()) ? "Deployed" : "InProgress";
  out["InProgressInvalidationBatches"] = 0;
  out["ActiveTrustedSigners"] = json::object({{"Enabled", false}, {"Quantity", 0}});
  out["ActiveTrustedKeyGroups"] = json::object({{"Enabled", false}, {"Quantity", 0}});
  auto& config = out[kDistribution.config];
  const auto fill = [&](const char* name, Json value) {
    if (!config.has(name)) config[name] = std::move(value);
  };
  for (const char* list : {"Aliases", "OriginGroups", "CacheBehaviors", "CustomErrorResponses"})
    fill(list, json::object({{"Quantity", 0}}));
  fill("DefaultRootObject", "");
  fill("PriceClass", "PriceClass_All");
  fill("WebACLId", "");
  fill("HttpVersion", "http2");
  fill("IsIPV6Enabled", true);
  fill("Staging", false);
  fill("Logging",
       json::object({{"Enabled", false}, {"IncludeCookies", false}, {"Bucket", ""}, {"Prefix", ""}}));
  fill("ViewerCertificate", json::object({{"CloudFrontDefaultCertificate", true},
                                          {"SSLSupportMethod", "vip"},
                                          {"MinimumProtocolVersion", "TLSv1"},
                                          {"CertificateSource", "cloudfront"}}));
  fill("Restrictions",
       json::object({{"GeoRestriction", json::object({{"RestrictionType", "none"}, {"Quantity", 0}})}}));
  return out;
}

}  // namespace bastide::services
