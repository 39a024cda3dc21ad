#include "services/cloudfront/managed.h"

namespace bastide::services::cloudfront {
namespace {

using json::Value;

Value some(const char* behavior, const char* behavior_member, const char* list,
           std::initializer_list<const char*> names) {
  auto out = json::object({{behavior_member, behavior}});
  if (names.size() > 0) {
    json::Array items(names.begin(), names.end());
    out[list] = quantity(std::move(items));
  }
  return out;
}
Value headers(const char* behavior, std::initializer_list<const char*> names = {}) {
  return some(behavior, "HeaderBehavior", "Headers", names);
}
Value cookies(const char* behavior) { return some(behavior, "CookieBehavior", "Cookies", {}); }
Value queries(const char* behavior, std::initializer_list<const char*> names = {}) {
  return some(behavior, "QueryStringBehavior", "QueryStrings", names);
}

Value wrap(const Kind& kind, const char* id, Value config) {
  return json::object({{"Id", id},
                       {"ETag", "E23ZP02F085DFQ"},
                       {"LastModifiedTime", 1'600'000'000},
                       {kind.config, std::move(config)}});
}

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
Value cache(const char* id, const char* name, const char* comment, int64_t min, int64_t standard, int64_t max,
            bool gzip, bool brotli, Value h, Value c, Value q) {
  return wrap(kCachePolicy, id,
              json::object({{"Name", name},
                            {"Comment", comment},
                            {"MinTTL", min},
                            {"DefaultTTL", standard},
                            {"MaxTTL", max},
                            {"ParametersInCacheKeyAndForwardedToOrigin",
                             json::object({{"EnableAcceptEncodingGzip", gzip},
                                           {"EnableAcceptEncodingBrotli", brotli},
                                           {"HeadersConfig", std::move(h)},
                                           {"CookiesConfig", std::move(c)},
                                           {"QueryStringsConfig", std::move(q)}})}}));
}

std::vector<Value> caches() {
  std::vector<Value> out;
  out.push_back(cache("658327ea-f89d-4fab-a63d-7e88639e58f6", "Managed-CachingOptimized",
                      "Policy with caching enabled. Supports Gzip and Brotli compression.", 1, 86400,
                      31536000, true, true, headers("none"), cookies("none"), queries("none")));
  out.push_back(cache("b2884449-e4de-46a7-ac36-70bc7f1ddd6d",
                      "Managed-CachingOptimizedForUncompressedObjects",
                      "Default policy when compression is disabled", 1, 86400, 31536000, false, false,
                      headers("none"), cookies("none"), queries("none")));
  out.push_back(cache("4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "Managed-CachingDisabled",
                      "Policy with caching disabled", 0, 0, 0, false, false, headers("none"), cookies("none"),
                      queries("none")));
  out.push_back(cache("83da9c7e-98b4-4e11-a168-04f0df8e2c65", "UseOriginCacheControlHeaders",
                      "Policy for origins that return Cache-Control headers. Query strings are not included "
                      "in the cache key.",
                      0, 0, 31536000, true, true,
                      headers("whitelist", {"host", "origin", "x-http-method-override", "x-http-method",
                                            "x-method-override"}),
                      cookies("all"), queries("none")));
  out.push_back(cache("4cc15a8a-d715-48a4-82b8-cc0b614638fe", "UseOriginCacheControlHeaders-QueryStrings",
                      "Policy for origins that return Cache-Control headers and serve different content "
                      "based on values present in the query string.",
                      0, 0, 31536000, true, true,
                      headers("whitelist", {"host", "origin", "x-http-method-override", "x-http-method",
                                            "x-method-override"}),
                      cookies("all"), queries("all")));
  out.push_back(cache("2e54312d-136d-493c-8eb9-b001f22f67d2", "Managed-Amplify", "Policy for Amplify Origin",
                      2, 2, 600, true, true,
                      headers("whitelist", {"authorization", "cloudfront-viewer-country", "host"}),
                      cookies("all"), queries("all")));
  out.push_back(cache("08627262-05a9-4f76-9ded-b50ca2e3a84f", "Managed-Elemental-MediaPackage",
                      "Policy for Elemental MediaPackage Origin", 0, 86400, 31536000, true, false,
                      headers("whitelist", {"origin"}), cookies("none"),
                      queries("whitelist", {"aws.manifestfilter", "start", "end", "m"})));
  out.push_back(cache(kRfc9111Policy, "Bastide-RFC9111",
                      "A plain shared cache: RFC 9111 alone decides what is stored, and how long", 0, 0,
                      31536000, false, false, headers("none"), cookies("none"), queries("all")));
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
Value request(const char* id, const char* name, const char* comment, Value h, Value c, Value q) {
  return wrap(kOriginRequestPolicy, id,
              json::object({{"Name", name},
                            {"Comment", comment},
                            {"HeadersConfig", std::move(h)},
                            {"CookiesConfig", std::move(c)},
                            {"QueryStringsConfig", std::move(q)}}));
}

std::vector<Value> requests() {
  std::vector<Value> out;
  out.push_back(request("216adef6-5c7f-47e4-b989-5492eafa07d3", "Managed-AllViewer",
                        "Policy to forward all parameters in viewer requests", headers("allViewer"),
                        cookies("all"), queries("all")));
  out.push_back(request("b689b0a8-53d0-40ab-baf2-68738e2966ac", "Managed-AllViewerExceptHostHeader",
                        "Policy to forward all parameters in viewer requests except for the Host header",
                        headers("allExcept", {"host"}), cookies("all"), queries("all")));
  out.push_back(request("59781a5b-3903-41f3-afcb-af62929ccde1", "Managed-CORS-CustomOrigin",
                        "Policy for CORS with a custom origin", headers("whitelist", {"origin"}),
                        cookies("none"), queries("none")));
  out.push_back(request(
      "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf", "Managed-CORS-S3Origin", "Policy for CORS with an S3 origin",
      headers("whitelist", {"origin", "access-control-request-headers", "access-control-request-method"}),
      cookies("none"), queries("none")));
  out.push_back(request("acba4595-bd28-49b8-b9fe-13317c0390fa", "Managed-UserAgentRefererHeaders",
                        "Policy to forward user-agent and referer headers to origin",
                        headers("whitelist", {"user-agent", "referer"}), cookies("none"), queries("none")));
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-response-headers-policies.html
Value cors(bool preflight) {
  auto methods = preflight ? quantity({"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"})
                           : quantity({"GET", "HEAD"});
  auto out = json::object({{"AccessControlAllowOrigins", quantity({"*"})},
                           {"AccessControlAllowHeaders", quantity({"*"})},
                           {"AccessControlAllowMethods", std::move(methods)},
                           {"AccessControlAllowCredentials", false},
                           {"OriginOverride", false}});
  if (preflight) out["AccessControlExposeHeaders"] = quantity({"*"});
  return out;
}
Value security() {
  return json::object(
      {{"XSSProtection", json::object({{"Override", false}, {"Protection", true}, {"ModeBlock", true}})},
       {"FrameOptions", json::object({{"Override", false}, {"FrameOption", "SAMEORIGIN"}})},
       {"ReferrerPolicy",
        json::object({{"Override", false}, {"ReferrerPolicy", "strict-origin-when-cross-origin"}})},
       {"ContentTypeOptions", json::object({{"Override", true}})},
       {"StrictTransportSecurity",
        json::object({{"Override", false}, {"AccessControlMaxAgeSec", 31536000}})}});
}
Value response(const char* id, const char* name, const char* comment, Value cors_config, bool secure) {
  auto config = json::object({{"Name", name}, {"Comment", comment}});
  if (!cors_config.is_null()) config["CorsConfig"] = std::move(cors_config);
  if (secure) config["SecurityHeadersConfig"] = security();
  return wrap(kResponseHeadersPolicy, id, std::move(config));
}
std::vector<Value> responses() {
  std::vector<Value> out;
  out.push_back(response("60669652-455b-4ae9-85a4-c4c02393f86c", "Managed-SimpleCORS",
                         "Allows all origins for simple CORS requests", cors(false), false));
  out.push_back(response("5cc3b908-e619-4b99-88e5-2cf7f45965bd", "Managed-CORS-With-Preflight",
                         "Allows all origins for CORS requests, including preflight requests", cors(true),
                         false));
  out.push_back(response("67f7725c-6f97-4210-82d7-5512b31e9d03", "Managed-SecurityHeadersPolicy",
                         "Adds a set of security headers to every response", Value(), true));
  out.push_back(response("e61eb60c-9c35-4d20-a928-2b84e02af89c", "Managed-CORS-and-SecurityHeadersPolicy",
                         "Allows all origins for simple CORS requests and adds security headers", cors(false),
                         true));
  out.push_back(response(
      "eaab4381-ed33-4a86-88ca-d9558dc6cd63", "Managed-CORS-with-preflight-and-SecurityHeadersPolicy",
      "Allows all origins for all CORS requests and adds security headers", cors(true), true));
  return out;
}

}  // namespace

const std::vector<Value>& managed(const Kind& kind) {
  static const std::vector<Value> none;
  if (&kind == &kCachePolicy) {
    static const std::vector<Value> list = caches();
    return list;
  }
  if (&kind == &kOriginRequestPolicy) {
    static const std::vector<Value> list = requests();
    return list;
  }
  if (&kind == &kResponseHeadersPolicy) {
    static const std::vector<Value> list = responses();
    return list;
  }
  return none;
}

const Value* find_managed(const Kind& kind, const std::string& id) {
  for (const auto& one : managed(kind)) {
    if (one.get("Id") == id) return &one;
  }
  return nullptr;
}

}  // namespace bastide::services::cloudfront
