// CloudFront's resources as edge serves by them.
#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "services/cloudfront/cloudfront.h"
#include "services/cloudfront/managed.h"

namespace bastide::services {
using namespace cloudfront;

namespace {

using internal::EdgeSelection;
using json::Value;

constexpr size_t kMaxInvalidations = 500, kMaxPathsSent = 20'000;
constexpr std::string_view kKeyPrefix = "CDNKEY";

std::vector<std::string> strings(const json::Array& list) {
  std::vector<std::string> out;
  for (const auto& v : list) {
    if (v.is_string()) out.push_back(v.string());
  }
  return out;
}

EdgeSelection selection(const Value& config, const char* behavior, const char* list) {
  EdgeSelection out;
  const auto kind = config.get(behavior, "none");
  out.names = strings(items_of(config, list));
  using Kind = EdgeSelection::Kind;
  out.kind = kind == "none"        ? Kind::none
             : kind == "whitelist" ? Kind::some
             : kind == "allExcept" ? Kind::all_but
                                   : Kind::all;  // all, allViewer, allViewerAndWhitelistCloudFront
  if (out.kind == Kind::all) out.names.clear();
  return out;
}

void cache_policy(internal::EdgeBehavior& b, const Value& config) {
  b.min_ttl = config.get_int("MinTTL");
  b.default_ttl = config.get_int("DefaultTTL", std::max<int64_t>(86400, b.min_ttl));
  b.max_ttl = config.get_int("MaxTTL", std::max<int64_t>(31536000, b.default_ttl));
  const auto& p = part(config, "ParametersInCacheKeyAndForwardedToOrigin");
  b.gzip = p.get_bool("EnableAcceptEncodingGzip");
  b.brotli = p.get_bool("EnableAcceptEncodingBrotli");
  b.key_headers = selection(part(p, "HeadersConfig"), "HeaderBehavior", "Headers");
  b.key_cookies = selection(part(p, "CookiesConfig"), "CookieBehavior", "Cookies");
  b.key_queries = selection(part(p, "QueryStringsConfig"), "QueryStringBehavior", "QueryStrings");
}

// The older way: in the behavior itself.
void forwarded_values(internal::EdgeBehavior& b, const Value& behavior) {
  b.min_ttl = behavior.get_int("MinTTL");
  b.default_ttl = behavior.get_int("DefaultTTL", 86400);
  b.max_ttl = behavior.get_int("MaxTTL", 31536000);
  b.gzip = b.compress;
  const auto& f = part(behavior, "ForwardedValues");
  b.key_headers.names = strings(items_of(f, "Headers"));
  if (!b.key_headers.names.empty()) b.key_headers.kind = EdgeSelection::Kind::some;
  if (std::find(b.key_headers.names.begin(), b.key_headers.names.end(), "*") != b.key_headers.names.end()) {
    // Every header is forwarded: then nothing is cached.
    b.key_headers = {};
    b.send_headers.kind = EdgeSelection::Kind::all;
    b.min_ttl = b.default_ttl = b.max_ttl = 0;
  }
  const auto& cookies = part(f, "Cookies");
  const auto forward = cookies.get("Forward", "none");
  b.key_cookies.names = strings(items_of(cookies, "WhitelistedNames"));
  b.key_cookies.kind = forward == "all"         ? EdgeSelection::Kind::all
                       : forward == "whitelist" ? EdgeSelection::Kind::some
                                                : EdgeSelection::Kind::none;
  if (f.get_bool("QueryString")) {
    b.key_queries.names = strings(items_of(f, "QueryStringCacheKeys"));
    b.key_queries.kind = b.key_queries.names.empty() ? EdgeSelection::Kind::all : EdgeSelection::Kind::some;
    if (!b.key_queries.names.empty()) b.send_queries.kind = EdgeSelection::Kind::all;
  }
}

void response_headers(internal::EdgeResponseHeaders& out, const Value& config) {
  const auto put = [&](const char* name, std::string value, bool replace) {
    out.put.push_back({name, std::move(value), replace});
  };
  const auto& s = part(config, "SecurityHeadersConfig");
  if (const auto* x = s.find("XSSProtection")) {
    std::string value = x->get_bool("Protection") ? "1" : "0";
    if (x->get_bool("Protection") && x->get_bool("ModeBlock")) value += "; mode=block";
    if (!x->get("ReportUri").empty()) value += "; report=" + x->get("ReportUri");
    put("X-XSS-Protection", std::move(value), x->get_bool("Override"));
  }
  if (const auto* f = s.find("FrameOptions"))
    put("X-Frame-Options", f->get("FrameOption"), f->get_bool("Override"));
  if (const auto* r = s.find("ReferrerPolicy"))
    put("Referrer-Policy", r->get("ReferrerPolicy"), r->get_bool("Override"));
  if (const auto* c = s.find("ContentSecurityPolicy"))
    put("Content-Security-Policy", c->get("ContentSecurityPolicy"), c->get_bool("Override"));
  if (const auto* c = s.find("ContentTypeOptions"))
    put("X-Content-Type-Options", "nosniff", c->get_bool("Override"));
  if (const auto* h = s.find("StrictTransportSecurity")) {
    std::string value = "max-age=" + std::to_string(h->get_int("AccessControlMaxAgeSec"));
    if (h->get_bool("IncludeSubdomains")) value += "; includeSubDomains";
    if (h->get_bool("Preload")) value += "; preload";
    put("Strict-Transport-Security", std::move(value), h->get_bool("Override"));
  }
  for (const auto& h : items_of(config, "CustomHeadersConfig"))
    out.put.push_back({h.get("Header"), h.get("Value"), h.get_bool("Override")});
  for (const auto& h : items_of(config, "RemoveHeadersConfig")) out.remove.push_back(h.get("Header"));
  if (const auto* c = config.find("CorsConfig")) {
    out.cors = true;
    out.cors_replace = c->get_bool("OriginOverride");
    out.cors_credentials = c->get_bool("AccessControlAllowCredentials");
    out.cors_origins = strings(items_of(*c, "AccessControlAllowOrigins"));
    out.cors_methods = strings(items_of(*c, "AccessControlAllowMethods"));
    out.cors_headers = strings(items_of(*c, "AccessControlAllowHeaders"));
    out.cors_expose = strings(items_of(*c, "AccessControlExposeHeaders"));
    out.cors_max_age = c->get_int("AccessControlMaxAgeSec", -1);
  }
}

// bucket.s3.region.amazonaws.com, or bucket.s3.amazonaws.com.
void bucket_of(internal::EdgeOrigin& out, const std::string& domain) {
  const auto at = domain.find(".s3.");
  out.bucket = domain.substr(0, at);
  const auto rest = domain.substr(at + 4);
  out.region = rest.substr(0, rest.find('.'));
  if (out.region == "amazonaws") out.region = "us-east-1";
}

struct Compiler {
  std::map<std::string, Value> things;  // "account kind id" -> body
  store::Keyring& keyring;

  const Value* find(const std::string& account, const Kind& kind, const std::string& id) const {
    if (const auto* known = find_managed(kind, id)) return known;
    auto found = things.find(account + " " + kind.kind + " " + id);
    return found == things.end() ? nullptr : &found->second;
  }

  internal::EdgeBehavior behavior(internal::EdgeDistribution& d, const Value& b) {
    internal::EdgeBehavior out;
    out.pattern = b.get("PathPattern", "*");
    out.origin = b.get("TargetOriginId");
    out.viewer_protocol = b.get("ViewerProtocolPolicy", "allow-all");
    out.compress = b.get_bool("Compress");
    out.methods = strings(items_of(b, "AllowedMethods"));
    if (out.methods.empty()) out.methods = {"GET", "HEAD"};
    out.cached_methods = strings(items_of(part(b, "AllowedMethods"), "CachedMethods"));
    const auto cache = b.get("CachePolicyId");
    if (cache.empty()) {
      forwarded_values(out, b);
    } else if (const auto* policy = find(d.account, kCachePolicy, cache)) {
      cache_policy(out, part(*policy, kCachePolicy.config));
    }
    if (cache == kRfc9111Policy) {
      // A plain shared cache passes everything on and keeps answers apart by their Vary.
      out.rfc9111 = true;
      out.compress = false;
      out.send_headers.kind = out.send_cookies.kind = EdgeSelection::Kind::all;
    }
    if (const auto* policy = find(d.account, kOriginRequestPolicy, b.get("OriginRequestPolicyId"))) {
      const auto& config = part(*policy, kOriginRequestPolicy.config);
      out.send_headers = selection(part(config, "HeadersConfig"), "HeaderBehavior", "Headers");
      out.send_cookies = selection(part(config, "CookiesConfig"), "CookieBehavior", "Cookies");
      out.send_queries = selection(part(config, "QueryStringsConfig"), "QueryStringBehavior", "QueryStrings");
    }
    if (const auto* policy = find(d.account, kResponseHeadersPolicy, b.get("ResponseHeadersPolicyId")))
      response_headers(out.response, part(*policy, kResponseHeadersPolicy.config));
    const auto groups = strings(items_of(b, "TrustedKeyGroups"));
    out.restricted = part(b, "TrustedKeyGroups").get_bool("Enabled") || !groups.empty();
    for (const auto& id : groups) {
      const auto* group = find(d.account, kKeyGroup, id);
      if (group == nullptr) continue;
      out.key_groups.push_back(id);
      if (std::any_of(d.key_groups.begin(), d.key_groups.end(), [&](const auto& g) { return g.id == id; }))
        continue;
      internal::EdgeKeyGroup keys{id, {}};
      for (const auto& key : part(*group, kKeyGroup.config).get_array("Items")) {
        if (const auto* found = find(d.account, kPublicKey, key.string()))
          keys.keys.push_back({key.string(), part(*found, kPublicKey.config).get("EncodedKey")});
      }
      d.key_groups.push_back(std::move(keys));
    }
    return out;
  }

  Result<internal::EdgeOrigin> origin(const internal::EdgeDistribution& d, const Value& body,
                                      const Value& o) {
    internal::EdgeOrigin out;
    out.id = o.get("Id");
    out.host = o.get("DomainName");
    out.path = o.get("OriginPath");
    for (const auto& h : items_of(o, "CustomHeaders"))
      out.headers.emplace_back(h.get("HeaderName"), h.get("HeaderValue"));
    out.attempts = static_cast<int>(std::clamp<int64_t>(o.get_int("ConnectionAttempts", 3), 1, 3));
    out.connect_timeout = std::clamp<int64_t>(o.get_int("ConnectionTimeout", 10), 1, 10) * kSecond;
    if (const auto* custom = o.find("CustomOriginConfig")) {
      out.protocol = custom->get("OriginProtocolPolicy", "http-only");
      out.http_port = static_cast<uint16_t>(custom->get_int("HTTPPort", 80));
      out.https_port = static_cast<uint16_t>(custom->get_int("HTTPSPort", 443));
      out.read_timeout = std::clamp<int64_t>(custom->get_int("OriginReadTimeout", 30), 1, 180) * kSecond;
      out.keep_alive = std::clamp<int64_t>(custom->get_int("OriginKeepaliveTimeout", 5), 1, 180) * kSecond;
      return out;
    }
    out.protocol = "s3";
    out.keep_alive = 60 * kSecond;
    bucket_of(out, out.host);
    const auto control = o.get("OriginAccessControlId");
    if (const auto* oac = find(d.account, kOriginAccessControl, control)) {
      const auto behavior = part(*oac, kOriginAccessControl.config).get("SigningBehavior");
      if (behavior != "never") {
        out.signing = behavior;
        out.access_key = std::string(kKeyPrefix) + d.id;
        auto sealed = TRY(unbase64(body.get("SealedKey")));
        out.secret_key = TRY(keyring.unseal("cloudfront.origin", sealed, d.id));
      }
    }
    return out;
  }
};

}  // namespace

Result<void> Cloudfront::add_to(internal::EdgeSnapshot& snapshot) {
  Compiler compiler{{}, p_.keyring};
  std::vector<store::Resource> distributions, invalidations;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto* kind : {&kCachePolicy, &kOriginRequestPolicy, &kResponseHeadersPolicy,
                             &kOriginAccessControl, &kKeyGroup, &kPublicKey}) {
      for (auto& r : TRY(reader.list("*", "", kind->kind)))
        compiler.things[r.key.account + " " + kind->kind + " " + r.key.id] = std::move(r.body);
    }
    distributions = TRY(reader.list("*", "", kDistribution.kind));
    invalidations = TRY(reader.list("*", "", "cloudfront.invalidation"));
    return {};
  }));
  snapshot.private_origins = p_.private_origins;
  std::map<std::string, std::string> compiled;
  std::vector<std::string> arns;
  for (const auto& r : distributions) {
    const auto& config = part(r.body, kDistribution.config);
    if (!config.get_bool("Enabled")) continue;
    internal::EdgeDistribution d;
    d.id = r.key.id;
    d.arn = r.body.get("ARN");
    d.account = r.key.account;
    d.domain = r.body.get("DomainName");
    d.names = strings(items_of(config, "Aliases"));
    d.names.push_back(d.domain);
    d.root_object = config.get("DefaultRootObject");
    for (const auto& o : items_of(config, "Origins")) d.origins.push_back(TRY(compiler.origin(d, r.body, o)));
    for (const auto& g : items_of(config, "OriginGroups")) {
      const auto members = items_of(g, "Members");
      if (members.size() != 2) continue;
      internal::EdgeOriginGroup group{
          g.get("Id"), members[0].get("OriginId"), members[1].get("OriginId"), {}};
      for (const auto& code : items_of(part(g, "FailoverCriteria"), "StatusCodes")) {
        if (code.is_int()) group.statuses.push_back(static_cast<int>(code.integer()));
      }
      d.origin_groups.push_back(std::move(group));
    }
    for (const auto& b : items_of(config, "CacheBehaviors")) d.behaviors.push_back(compiler.behavior(d, b));
    d.behaviors.push_back(compiler.behavior(d, part(config, "DefaultCacheBehavior")));
    for (const auto& e : items_of(config, "CustomErrorResponses")) {
      internal::EdgeErrorPage page;
      page.code = static_cast<int>(e.get_int("ErrorCode"));
      page.page = e.get("ResponsePagePath");
      if (auto code = parse_int(e.get("ResponseCode"))) page.response_code = static_cast<int>(*code);
      page.min_ttl = e.get_int("ErrorCachingMinTTL", 10);
      d.error_pages.push_back(std::move(page));
    }
    std::vector<const Value*> mine;
    for (const auto& i : invalidations) {
      if (i.key.id.starts_with(d.id + "/")) mine.push_back(&i.body);
    }
    std::sort(mine.begin(), mine.end(),
              [](const auto* a, const auto* b) { return a->get_int("Number") > b->get_int("Number"); });
    size_t paths = 0;
    for (const auto* i : mine) {  // the newest first
      const auto list = strings(items_of(part(*i, "InvalidationBatch"), "Paths"));
      paths += list.size();
      if (d.invalidations.size() == kMaxInvalidations ||
          (paths > kMaxPathsSent && !d.invalidations.empty())) {
        d.invalidations_after = i->get_int("Number");
        break;
      }
      d.invalidations.push_back({i->get_int("Number"), list});
    }
    std::reverse(d.invalidations.begin(), d.invalidations.end());
    if (auto arn = part(config, "ViewerCertificate").get("ACMCertificateArn"); !arn.empty())
      arns.push_back(arn);
    compiled[d.id] = r.body.get("ETag");
    snapshot.distributions.push_back(std::move(d));
  }
  for (const auto& arn : arns) {
    auto certificate =
        p_.certificate ? p_.certificate(arn) : Result<internal::EdgeCertificate>(error("NotFound", "no ACM"));
    if (certificate)
      snapshot.certificates.push_back(std::move(*certificate));
    else
      log::warn("cloudfront: certificate {} is not usable: {}", arn, certificate.error().message);
  }
  compiled_ = std::move(compiled);
  return {};
}

void Cloudfront::acknowledged(const internal::EdgeSnapshot& snapshot) {
  deployed_.clear();
  for (const auto& d : snapshot.distributions) {
    auto etag = compiled_.find(d.id);
    deployed_[d.id] = {etag == compiled_.end() ? "" : etag->second,
                       d.invalidations.empty() ? d.invalidations_after : d.invalidations.back().number};
  }
}

Result<std::optional<aws::Identity>> Cloudfront::origin_session(const std::string& access_key_id) {
  if (!access_key_id.starts_with(kKeyPrefix)) return std::optional<aws::Identity>();
  const auto id = access_key_id.substr(kKeyPrefix.size());
  for (const auto& r : TRY(db_.list("*", "", kDistribution.kind))) {
    if (r.key.id != id) continue;
    auto sealed = TRY(unbase64(r.body.get("SealedKey")));
    aws::Identity out;
    out.secret_access_key = TRY(p_.keyring.unseal("cloudfront.origin", sealed, id));
    out.principal = aws::Principal::service("cloudfront.amazonaws.com");
    out.principal.access_key_id = access_key_id;
    out.principal.source_arn = r.body.get("ARN");
    out.principal.source_account = r.key.account;
    return std::optional(std::move(out));
  }
  return fault("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.",
               403);
}

}  // namespace bastide::services
