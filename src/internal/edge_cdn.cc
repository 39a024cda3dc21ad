#include "internal/edge_cdn.h"

#include <algorithm>
#include <set>

namespace bastide::internal {
namespace {

constexpr size_t kMaxBehaviors = 250, kMaxOrigins = 200, kMaxNames = 500, kMaxKeys = 1'000;
constexpr size_t kMaxInvalidations = 5'000;
constexpr size_t kMaxText = 16u << 10;
constexpr int64_t kMaxSeconds = 100LL * 365 * 86400;

Error bad(std::string what) { return error("Invalid", "distribution: " + std::move(what)); }

bool plain(std::string_view text) {
  return text.size() <= kMaxText &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Result<std::string> text(const json::Value& v, std::string_view key, bool needed = true) {
  auto out = v.get(key);
  if (!plain(out) || (needed && out.empty()))
    return bad("'" + std::string(key) + "' is missing or malformed");
  return out;
}

json::Value list(const std::vector<std::string>& texts) { return json::Array(texts.begin(), texts.end()); }

Result<std::vector<std::string>> texts(const json::Value& v, std::string_view key, size_t most = kMaxNames) {
  std::vector<std::string> out;
  for (const auto& t : v.get_array(key)) {
    if (!t.is_string() || !plain(t.string()) || out.size() == most)
      return bad("'" + std::string(key) + "' is not a list of texts");
    out.push_back(t.string());
  }
  return out;
}

Result<int64_t> number(const json::Value& v, std::string_view key, int64_t fallback, int64_t least,
                       int64_t most) {
  auto n = v.get_int(key, fallback);
  if (n < least || n > most) return bad("'" + std::string(key) + "' is out of range");
  return n;
}

const json::Value& part(const json::Value& v, std::string_view key) {
  static const json::Value nothing = json::object();
  const auto* found = v.find(key);
  return found != nullptr ? *found : nothing;
}

constexpr const char* kKinds[] = {"none", "some", "all_but", "all"};

json::Value selection(const EdgeSelection& s) {
  return json::object({{"kind", kKinds[static_cast<int>(s.kind)]}, {"names", list(s.names)}});
}

Result<EdgeSelection> selection(const json::Value& v) {
  EdgeSelection out;
  auto kind = v.get("kind", "none");
  const auto* found = std::find(std::begin(kKinds), std::end(kKinds), kind);
  if (found == std::end(kKinds)) return bad("no selection is called '" + kind + "'");
  out.kind = static_cast<EdgeSelection::Kind>(found - kKinds);
  out.names = TRY(texts(v, "names"));
  return out;
}

json::Value origin(const EdgeOrigin& o) {
  json::Array headers;
  for (const auto& [name, value] : o.headers)
    headers.push_back(json::object({{"name", name}, {"value", value}}));
  return json::object({{"id", o.id},
                       {"protocol", o.protocol},
                       {"host", o.host},
                       {"http_port", int{o.http_port}},
                       {"https_port", int{o.https_port}},
                       {"path", o.path},
                       {"headers", std::move(headers)},
                       {"attempts", o.attempts},
                       {"connect_timeout", o.connect_timeout},
                       {"read_timeout", o.read_timeout},
                       {"keep_alive", o.keep_alive},
                       {"bucket", o.bucket},
                       {"region", o.region},
                       {"signing", o.signing},
                       {"access_key", o.access_key},
                       {"secret_key", o.secret_key}});
}

Result<EdgeOrigin> origin_of(const json::Value& v) {
  EdgeOrigin out;
  out.id = TRY(text(v, "id"));
  out.protocol = TRY(text(v, "protocol"));
  if (out.protocol != "http-only" && out.protocol != "https-only" && out.protocol != "match-viewer" &&
      out.protocol != "s3")
    return bad("no origin protocol is called '" + out.protocol + "'");
  out.host = TRY(text(v, "host"));
  if (out.host.find_first_of(" /@") != std::string::npos) return bad("an origin's host is a name");
  out.http_port = static_cast<uint16_t>(TRY(number(v, "http_port", 80, 1, 65535)));
  out.https_port = static_cast<uint16_t>(TRY(number(v, "https_port", 443, 1, 65535)));
  out.path = TRY(text(v, "path", false));
  if (!out.path.empty() && (out.path[0] != '/' || out.path.find(' ') != std::string::npos))
    return bad("an origin's path begins with '/'");
  for (const auto& h : v.get_array("headers")) {
    auto name = TRY(text(h, "name"));
    auto value = TRY(text(h, "value", false));
    if (out.headers.size() == 100) return bad("too many headers");
    out.headers.emplace_back(std::move(name), std::move(value));
  }
  out.attempts = static_cast<int>(TRY(number(v, "attempts", 3, 1, 3)));
  out.connect_timeout = TRY(number(v, "connect_timeout", 10 * kSecond, 1, 10 * kSecond));
  out.read_timeout = TRY(number(v, "read_timeout", 30 * kSecond, 1, 180 * kSecond));
  out.keep_alive = TRY(number(v, "keep_alive", 5 * kSecond, 1, 180 * kSecond));
  out.bucket = TRY(text(v, "bucket", out.protocol == "s3"));
  out.region = TRY(text(v, "region", out.protocol == "s3"));
  out.signing = TRY(text(v, "signing", false));
  out.access_key = TRY(text(v, "access_key", !out.signing.empty()));
  out.secret_key = TRY(text(v, "secret_key", !out.signing.empty()));
  return out;
}

json::Value response(const EdgeResponseHeaders& r) {
  json::Array put;
  for (const auto& p : r.put)
    put.push_back(json::object({{"name", p.name}, {"value", p.value}, {"replace", p.replace}}));
  return json::object({{"put", std::move(put)},
                       {"remove", list(r.remove)},
                       {"cors", r.cors},
                       {"cors_replace", r.cors_replace},
                       {"cors_credentials", r.cors_credentials},
                       {"cors_origins", list(r.cors_origins)},
                       {"cors_methods", list(r.cors_methods)},
                       {"cors_headers", list(r.cors_headers)},
                       {"cors_expose", list(r.cors_expose)},
                       {"cors_max_age", r.cors_max_age}});
}

Result<EdgeResponseHeaders> response_of(const json::Value& v) {
  EdgeResponseHeaders out;
  for (const auto& p : v.get_array("put")) {
    EdgeResponseHeaders::Put put;
    put.name = TRY(text(p, "name"));
    put.value = TRY(text(p, "value", false));
    put.replace = p.get_bool("replace");
    if (put.name.find_first_of(": ") != std::string::npos || out.put.size() == 100)
      return bad("a malformed response header");
    out.put.push_back(std::move(put));
  }
  out.remove = TRY(texts(v, "remove"));
  out.cors = v.get_bool("cors");
  out.cors_replace = v.get_bool("cors_replace");
  out.cors_credentials = v.get_bool("cors_credentials");
  out.cors_origins = TRY(texts(v, "cors_origins"));
  out.cors_methods = TRY(texts(v, "cors_methods"));
  out.cors_headers = TRY(texts(v, "cors_headers"));
  out.cors_expose = TRY(texts(v, "cors_expose"));
  out.cors_max_age = TRY(number(v, "cors_max_age", -1, -1, INT32_MAX));
  return out;
}

json::Value behavior(const EdgeBehavior& b) {
  return json::object({{"pattern", b.pattern},
                       {"origin", b.origin},
                       {"viewer_protocol", b.viewer_protocol},
                       {"methods", list(b.methods)},
                       {"cached_methods", list(b.cached_methods)},
                       {"compress", b.compress},
                       {"rfc9111", b.rfc9111},
                       {"min_ttl", b.min_ttl},
                       {"default_ttl", b.default_ttl},
                       {"max_ttl", b.max_ttl},
                       {"gzip", b.gzip},
                       {"brotli", b.brotli},
                       {"key_headers", selection(b.key_headers)},
                       {"key_cookies", selection(b.key_cookies)},
                       {"key_queries", selection(b.key_queries)},
                       {"send_headers", selection(b.send_headers)},
                       {"send_cookies", selection(b.send_cookies)},
                       {"send_queries", selection(b.send_queries)},
                       {"response", response(b.response)},
                       {"key_groups", list(b.key_groups)},
                       {"restricted", b.restricted}});
}

Result<EdgeBehavior> behavior_of(const json::Value& v) {
  EdgeBehavior out;
  out.pattern = TRY(text(v, "pattern"));
  out.origin = TRY(text(v, "origin"));
  out.viewer_protocol = TRY(text(v, "viewer_protocol"));
  out.methods = TRY(texts(v, "methods"));
  out.cached_methods = TRY(texts(v, "cached_methods"));
  out.compress = v.get_bool("compress");
  out.rfc9111 = v.get_bool("rfc9111");
  out.min_ttl = TRY(number(v, "min_ttl", 0, 0, kMaxSeconds));
  out.default_ttl = TRY(number(v, "default_ttl", 86400, 0, kMaxSeconds));
  out.max_ttl = TRY(number(v, "max_ttl", 31536000, 0, kMaxSeconds));
  out.gzip = v.get_bool("gzip");
  out.brotli = v.get_bool("brotli");
  out.key_headers = TRY(selection(part(v, "key_headers")));
  out.key_cookies = TRY(selection(part(v, "key_cookies")));
  out.key_queries = TRY(selection(part(v, "key_queries")));
  out.send_headers = TRY(selection(part(v, "send_headers")));
  out.send_cookies = TRY(selection(part(v, "send_cookies")));
  out.send_queries = TRY(selection(part(v, "send_queries")));
  out.response = TRY(response_of(part(v, "response")));
  out.key_groups = TRY(texts(v, "key_groups"));
  out.restricted = v.get_bool("restricted");
  return out;
}

}  // namespace

json::Value to_json(const EdgeDistribution& d) {
  json::Array behaviors, origins, origin_groups, pages, key_groups, invalidations;
  for (const auto& b : d.behaviors) behaviors.push_back(behavior(b));
  for (const auto& o : d.origins) origins.push_back(origin(o));
  for (const auto& g : d.origin_groups) {
    json::Array statuses(g.statuses.begin(), g.statuses.end());
    origin_groups.push_back(json::object(
        {{"id", g.id}, {"first", g.first}, {"second", g.second}, {"statuses", std::move(statuses)}}));
  }
  for (const auto& p : d.error_pages) {
    pages.push_back(json::object(
        {{"code", p.code}, {"page", p.page}, {"response_code", p.response_code}, {"min_ttl", p.min_ttl}}));
  }
  for (const auto& g : d.key_groups) {
    json::Array keys;
    for (const auto& k : g.keys) keys.push_back(json::object({{"id", k.id}, {"pem", k.pem}}));
    key_groups.push_back(json::object({{"id", g.id}, {"keys", std::move(keys)}}));
  }
  for (const auto& i : d.invalidations)
    invalidations.push_back(json::object({{"number", i.number}, {"paths", list(i.paths)}}));
  return json::object({{"id", d.id},
                       {"arn", d.arn},
                       {"account", d.account},
                       {"domain", d.domain},
                       {"names", list(d.names)},
                       {"root_object", d.root_object},
                       {"behaviors", std::move(behaviors)},
                       {"origins", std::move(origins)},
                       {"origin_groups", std::move(origin_groups)},
                       {"error_pages", std::move(pages)},
                       {"key_groups", std::move(key_groups)},
                       {"invalidations", std::move(invalidations)},
                       {"invalidations_after", d.invalidations_after}});
}

Result<EdgeDistribution> edge_distribution(const json::Value& v) {
  EdgeDistribution out;
  out.id = TRY(text(v, "id"));
  out.arn = TRY(text(v, "arn"));
  out.account = TRY(text(v, "account"));
  out.domain = TRY(text(v, "domain"));
  out.names = TRY(texts(v, "names"));
  out.root_object = TRY(text(v, "root_object", false));
  std::set<std::string> origins, groups;
  for (const auto& o : v.get_array("origins")) {
    out.origins.push_back(TRY(origin_of(o)));
    if (!origins.insert(out.origins.back().id).second) return bad("an origin is there twice");
    if (origins.size() > kMaxOrigins) return bad("too many origins");
  }
  std::set<std::string> destinations = origins;
  for (const auto& g : v.get_array("origin_groups")) {
    EdgeOriginGroup group;
    group.id = TRY(text(g, "id"));
    group.first = TRY(text(g, "first"));
    group.second = TRY(text(g, "second"));
    for (const auto& s : g.get_array("statuses")) {
      if (!s.is_int() || s.integer() < 400 || s.integer() > 599) return bad("a bad failover status");
      group.statuses.push_back(static_cast<int>(s.integer()));
    }
    if (!origins.count(group.first) || !origins.count(group.second)) return bad("a group of unknown origins");
    destinations.insert(group.id);
    out.origin_groups.push_back(std::move(group));
    if (out.origin_groups.size() > kMaxOrigins) return bad("too many origin groups");
  }
  for (const auto& g : v.get_array("key_groups")) {
    EdgeKeyGroup group;
    group.id = TRY(text(g, "id"));
    for (const auto& k : g.get_array("keys")) {
      group.keys.push_back({
        TRY(text(k, "id"))
        , k.get("pem")
      });
      if (group.keys.size() > kMaxKeys) return bad("too many keys");
    }
    groups.insert(group.id);
    out.key_groups.push_back(std::move(group));
    if (groups.size() > kMaxKeys) return bad("too many key groups");
  }
  for (const auto& b : v.get_array("behaviors")) {
    out.behaviors.push_back(TRY(behavior_of(b)));
    const auto& last = out.behaviors.back();
    if (!destinations.count(last.origin)) return bad("no origin '" + last.origin + "'");
    for (const auto& id : last.key_groups) {
      if (!groups.count(id)) return bad("no key group '" + id + "'");
    }
    if (out.behaviors.size() > kMaxBehaviors) return bad("too many behaviors");
  }
  if (out.behaviors.empty()) return bad("no default behavior");
  for (const auto& p : v.get_array("error_pages")) {
    EdgeErrorPage page;
    page.code = static_cast<int>(TRY(number(p, "code", 0, 400, 599)));
    page.page = TRY(text(p, "page", false));
    page.response_code = static_cast<int>(TRY(number(p, "response_code", 0, 0, 599)));
    page.min_ttl = TRY(number(p, "min_ttl", 10, 0, kMaxSeconds));
    if (!page.page.empty() && (page.page[0] != '/' || page.page.find(' ') != std::string::npos))
      return bad("an error page is a path");
    out.error_pages.push_back(std::move(page));
    if (out.error_pages.size() > 100) return bad("too many error pages");
  }
  int64_t before = 0;
  for (const auto& i : v.get_array("invalidations")) {
    EdgeInvalidation invalidation;
    invalidation.number = TRY(number(i, "number", 0, before + 1, INT64_MAX));
    before = invalidation.number;
    invalidation.paths = TRY(texts(i, "paths", 3'000));
    out.invalidations.push_back(std::move(invalidation));
    if (out.invalidations.size() > kMaxInvalidations) return bad("too many invalidations");
  }
  out.invalidations_after = TRY(number(v, "invalidations_after", 0, 0, INT64_MAX));
  return out;
}

}  // namespace bastide::internal
