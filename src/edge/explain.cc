#include "edge/explain.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "edge/fetch.h"

namespace bastide::edge {
namespace {

std::string seconds(Millis d) { return human_duration(d); }

json::Value selection(const internal::EdgeSelection& s) {
  switch (s.kind) {
    case internal::EdgeSelection::Kind::none:
      return "none";
    case internal::EdgeSelection::Kind::all:
      return "all";
    case internal::EdgeSelection::Kind::all_but:
      return "all but " + join(s.names, ", ");
    case internal::EdgeSelection::Kind::some:
      break;
  }
  return join(s.names, ", ");
}

}  // namespace

json::Value cdn_stats(Core& core) {
  json::Array list;
  for (const auto& [id, s] : core.cdn->stats) {
    list.push_back(json::object({{"id", id},
                                 {"requests", s.requests},
                                 {"hits", s.hits},
                                 {"misses", s.misses},
                                 {"refreshes", s.refreshes},
                                 {"stale", s.stale},
                                 {"errors", s.errors},
                                 {"refused", s.refused},
                                 {"collapsed", s.collapsed},
                                 {"bytes", s.bytes},
                                 {"originRequests", s.origin_requests},
                                 {"originFailures", s.origin_failures}}));
  }
  auto& cache = core.cdn->cache;
  return json::object(
      {{"distributions", std::move(list)},
       {"memory", json::object({{"objects", cache.memory().count()},
                                {"bytes", cache.memory().bytes()},
                                {"evicted", cache.memory().evicted()}})},
       {"disk", json::object({{"objects", cache.disk().count()}, {"bytes", cache.disk().bytes()}})}});
}

Result<json::Value> cdn_explain(Core& core, const json::Value& request) {
  const auto url = request.get("url");
  const auto scheme = url.find("://");
  if (scheme == std::string::npos || url.size() > 8192 || url.find_first_of(" \r\n") != std::string::npos)
    return error("Invalid", "a URL is https://host/path");
  const bool https = url.substr(0, scheme) == "https";
  auto slash = url.find('/', scheme + 3);
  const auto host =
      url.substr(scheme + 3, slash == std::string::npos ? std::string::npos : slash - scheme - 3);
  const auto target = slash == std::string::npos ? std::string("/") : url.substr(slash);
  auto text = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n", target, host);
  for (const auto& h : request.get_array("headers"))
    text += fmt::format("{}: {}\r\n", h.get("name"), h.get("value"));
  text += "\r\n";
  RequestHead head;
  if (auto refusal = parse_request(text, head)) return error("Invalid", refusal.why);
  auto out = json::object({{"url", url}});
  auto config = core.config;
  auto* d = config ? config->distribution(head.host_name) : nullptr;
  if (d == nullptr) {
    out["verdict"] = config && config->has_listener(https, head.host_name)
                         ? "a load balancer answers this name"
                         : "nothing on this edge has this name";
    return out;
  }
  std::string path(head.path);
  if (path == "/" && !d->spec.root_object.empty()) path += d->spec.root_object;
  const auto& b = d->behavior(path);
  out["distribution"] = d->spec.id;
  out["behavior"] = b.pattern;
  out["origin"] = b.origin;
  auto verdict = [&](std::string text_of) {
    out["verdict"] = std::move(text_of);
    return out;
  };
  if (!https && b.viewer_protocol != "allow-all") {
    return verdict(b.viewer_protocol == "https-only" ? "refused by the edge: HTTPS only"
                                                     : "redirected to HTTPS");
  }
  if (!b.key_groups.empty() || b.restricted) {
    SignedRequest signed_request{
        https ? "https" : "http", head.host, head.path, head.query, "", &head.fields};
    if (const char* why = refused_by_signature(signed_request, d->keys, b.key_groups, core.clock.wall()))
      return verdict(std::string("refused by the edge: ") + why);
  }
  const auto query = without_signature(head.query);
  if (!b.key_groups.empty()) head.query = query;
  auto ask = make_ask(d->spec, b, head, path, "127.0.0.1", https);
  out["key"] = json::object({{"uri", ask.uri},
                             {"headers", selection(b.key_headers)},
                             {"cookies", selection(b.key_cookies)},
                             {"queries", selection(b.key_queries)},
                             {"coding", ask.brotli ? "br"
                                        : ask.gzip ? "gzip"
                                                   : "identity"}});
  out["ttl"] =
      b.rfc9111 ? json::Value("RFC 9111")
                : json::Value(fmt::format("min {} default {} max {} s", b.min_ttl, b.default_ttl, b.max_ttl));
  if (ask.key.empty()) return verdict("passed to the origin: this policy caches nothing");
  auto found = core.cdn->cache.find(ask.key, head.fields);
  if (!found) return verdict("a miss: it is not in the cache");
  const auto now = core.clock.wall();
  const auto& s = found->head;
  out["status"] = s.status;
  out["age"] = s.age(now) / kSecond;
  out["lifetime"] = s.fresh;
  out["because"] = s.why;
  out["size"] = found->body->size();
  out["layer"] = found->body->is_file() ? "disk" : "memory";
  if (d->invalidated(s)) return verdict("a miss: an invalidation took it");
  if (s.is_fresh(now)) return verdict("a hit, for another " + seconds(s.fresh * kSecond - s.age(now)));
  if (found->error_until > now) return verdict("a stale hit: the origin failed, and is asked again later");
  if (s.age(now) - s.fresh * kSecond < s.while_revalidate * kSecond)
    return verdict("a stale hit, validated in the background");
  return verdict("stale for " + seconds(s.age(now) - s.fresh * kSecond) + ": validated at the origin first");
}

}  // namespace bastide::edge
