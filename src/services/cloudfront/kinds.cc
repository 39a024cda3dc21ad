#include "services/cloudfront/kinds.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::services::cloudfront {
namespace {
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
}

const Kind kCachePolicy{"cloudfront.cache_policy",
                        "CachePolicy",
                        "CachePolicyConfig",
                        "CachePolicyList",
                        "cache-policy",
                        "cache-policy",
                        "LastModifiedTime",
                        "NoSuchCachePolicy",
                        "CachePolicyAlreadyExists",
                        "CachePolicyInUse",
                        true,
                        0,
                        "",
                        20};
const Kind kOriginRequestPolicy{"cloudfront.origin_request_policy",
                                "OriginRequestPolicy",
                                "OriginRequestPolicyConfig",
                                "OriginRequestPolicyList",
                                "origin-request-policy",
                                "origin-request-policy",
                                "LastModifiedTime",
                                "NoSuchOriginRequestPolicy",
                                "OriginRequestPolicyAlreadyExists",
                                "OriginRequestPolicyInUse",
                                true,
                                0,
                                "",
                                20};
const Kind kResponseHeadersPolicy{"cloudfront.response_headers_policy",
                                  "ResponseHeadersPolicy",
                                  "ResponseHeadersPolicyConfig",
                                  "ResponseHeadersPolicyList",
                                  "response-headers-policy",
                                  "response-headers-policy",
                                  "LastModifiedTime",
                                  "NoSuchResponseHeadersPolicy",
                                  "ResponseHeadersPolicyAlreadyExists",
                                  "ResponseHeadersPolicyInUse",
                                  true,
                                  0,
                                  "",
                                  20};
const Kind kOriginAccessControl{
    "cloudfront.origin_access_control",
    "OriginAccessControl",
    "OriginAccessControlConfig",
    "OriginAccessControlList",
    "origin-access-control",
    "origin-access-control",
    "",
    "NoSuchOriginAccessControl",
    "OriginAccessControlAlreadyExists",
    "OriginAccessControlInUse",
    false,
    'E',
    "Name,Description,SigningProtocol,SigningBehavior,OriginAccessControlOriginType",
    100};
const Kind kKeyGroup{"cloudfront.key_group",
                     "KeyGroup",
                     "KeyGroupConfig",
                     "KeyGroupList",
                     "key-group",
                     "key-group",
                     "LastModifiedTime",
                     "NoSuchResource",
                     "KeyGroupAlreadyExists",
                     "ResourceInUse",
                     true,
                     0,
                     "",
                     10};
const Kind kPublicKey{"cloudfront.public_key",
                      "PublicKey",
                      "PublicKeyConfig",
                      "PublicKeyList",
                      "public-key",
                      "public-key",
                      "CreatedTime",
                      "NoSuchPublicKey",
                      "PublicKeyAlreadyExists",
                      "PublicKeyInUse",
                      false,
                      'K',
                      "Name,EncodedKey,Comment",
                      10};
const Kind kOriginAccessIdentity{"cloudfront.origin_access_identity",
                                 "CloudFrontOriginAccessIdentity",
                                 "CloudFrontOriginAccessIdentityConfig",
                                 "CloudFrontOriginAccessIdentityList",
                                 "origin-access-identity/cloudfront",
                                 "origin-access-identity",
                                 "",
                                 "NoSuchCloudFrontOriginAccessIdentity",
                                 "CloudFrontOriginAccessIdentityAlreadyExists",
                                 "CloudFrontOriginAccessIdentityInUse",
                                 false,
                                 'E',
                                 "Comment",
                                 100};
const Kind kDistribution{"cloudfront.distribution",
                         "Distribution",
                         "DistributionConfig",
                         "DistributionList",
                         "distribution",
                         "distribution",
                         "LastModifiedTime",
                         "NoSuchDistribution",
                         "DistributionAlreadyExists",
                         "",
                         false,
                         'E',
                         "",
                         200};

std::string new_etag() { return "E" + random_text(13, kLetters); }

std::string new_id(const Kind& kind) {
  if (!kind.uuid) return kind.prefix + random_text(13, kLetters);
  auto h = hex(random_bytes(16));
  h[12] = '4';
  h[16] = '8';
  return h.substr(0, 8) + "-" + h.substr(8, 4) + "-" + h.substr(12, 4) + "-" + h.substr(16, 4) + "-" +
         h.substr(20);
}

std::string arn_of(const std::string& account, const Kind& kind, const std::string& id) {
  return "arn:aws:cloudfront::" + account + ":" + kind.arn + "/" + id;
}

store::Key key_of(const aws::Call& call, const Kind& kind, const std::string& id) {
  return {call.account, "", kind.kind, id};
}

Error missing(const Kind& kind) {
  const std::string noun = kind.missing == std::string_view("NoSuchResource") ? "resource" : lower(kind.noun);
  return fault(kind.missing, "The specified " + noun + " does not exist.");
}

Result<void> check_etag(const json::Value& body, const std::string& if_match) {
  if (if_match.empty())
    return fault("InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.");
  if (body.get("ETag") != if_match)
    return fault(
        "PreconditionFailed",
        "The request failed because it didn't meet the preconditions in one or more request-header fields.");
  return {};
}

Result<Page> page(json::Array items, const json::Value& request, std::string_view id_member) {
  Page out;
  if (auto given = request.get("MaxItems"); !given.empty()) {
    auto n = parse_int(given);
    if (!n || *n < 1) return fault("InvalidArgument", "MaxItems is not a positive number");
    out.most = std::min<int64_t>(*n, 1000);
  }
  const auto marker = request.get("Marker");
  for (auto& item : items) {
    if (!marker.empty() && item.get(id_member) <= marker) continue;
    if (static_cast<int64_t>(out.items.size()) == out.most) {
      out.next = out.items.back().get(id_member);
      break;
    }
    out.items.push_back(std::move(item));
  }
  return out;
}

json::Array items_of(const json::Value& v, std::string_view key) { return part(v, key).get_array("Items"); }

json::Value quantity(json::Array items) {
  auto out = json::object({{"Quantity", items.size()}});
  if (!items.empty()) out["Items"] = std::move(items);
  return out;
}

const json::Value& part(const json::Value& v, std::string_view key) {
  static const json::Value nothing = json::object();
  const auto* found = v.find(key);
  return found != nullptr && found->is_object() ? *found : nothing;
}

}  // namespace bastide::services::cloudfront
