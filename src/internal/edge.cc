#include "internal/edge.h"

#include <arpa/inet.h>

#include <set>

#include "base/bytes.h"

namespace bastide::internal {
namespace {

constexpr size_t kMaxListeners = 2'000;
constexpr size_t kMaxRules = 500;
constexpr size_t kMaxGroups = 5'000;
constexpr size_t kMaxTargets = 2'000;
constexpr size_t kMaxNames = 1'000;
constexpr size_t kMaxText = 8 << 10;
constexpr size_t kMaxDistributions = 500;

json::Value strings(const std::vector<std::string>& texts) {
  json::Array out;
  for (const auto& t : texts) out.emplace_back(t);
  return out;
}

Result<std::vector<std::string>> strings_of(const json::Value& value, std::string_view key, size_t most) {
  std::vector<std::string> out;
  for (const auto& v : value.get_array(key)) {
    if (!v.is_string() || v.string().empty() || v.string().size() > kMaxText || out.size() == most) {
      return error("Invalid",
                   "'" + std::string(key) + "' is not a list of at most " + std::to_string(most) + " texts");
    }
    out.push_back(v.string());
  }
  return out;
}

Result<std::string> text_of(const json::Value& value, std::string_view key) {
  auto text = value.get(key);
  if (text.empty() || text.size() > kMaxText)
    return error("Invalid", "'" + std::string(key) + "' is missing or too long");
  return text;
}

Result<int64_t> number_of(const json::Value& value, std::string_view key, int64_t fallback, int64_t least,
                          int64_t most) {
  auto number = value.get_int(key, fallback);
  if (number < least || number > most) {
    return error("Invalid", "'" + std::string(key) + "' is " + std::to_string(number) + ", outside of " +
                                std::to_string(least) + " to " + std::to_string(most));
  }
  return number;
}

bool header_safe(std::string_view text) {
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) return false;
  }
  return true;
}

json::Value action_json(const EdgeAction& a) {
  switch (a.kind) {
    case EdgeAction::Kind::forward: {
      json::Array groups;
      for (const auto& w : a.forward)
        groups.push_back(json::object({{"target_group", w.target_group}, {"weight", w.weight}}));
      return json::object({{"kind", "forward"}, {"forward", groups}});
    }
    case EdgeAction::Kind::redirect:
      return json::object({{"kind", "redirect"}, {"status", a.status}, {"location", a.location}});
    case EdgeAction::Kind::fixed:
      break;
  }
  return json::object(
      {{"kind", "fixed"}, {"status", a.status}, {"content_type", a.content_type}, {"body", a.body}});
}

Result<EdgeAction> action_of(const json::Value* value, const std::set<std::string>& groups) {
  if (value == nullptr) return error("Invalid", "an action is missing");
  EdgeAction out;
  auto kind = value->get("kind");
  if (kind == "forward") {
    out.kind = EdgeAction::Kind::forward;
    for (const auto& g : value->get_array("forward")) {
      EdgeAction::Weighted w;
      w.target_group = TRY(text_of(g, "target_group"));
      w.weight = static_cast<int>(TRY(number_of(g, "weight", 1, 0, 999)));
      if (!groups.count(w.target_group)) return error("Invalid", "no target group '" + w.target_group + "'");
      out.forward.push_back(std::move(w));
    }
    if (out.forward.empty() || out.forward.size() > 5)
      return error("Invalid", "a forward action has 1 to 5 target groups");
    return out;
  }
  if (kind == "redirect") {
    out.kind = EdgeAction::Kind::redirect;
    out.status = static_cast<int>(TRY(number_of(*value, "status", 302, 301, 308)));
    out.location = TRY(text_of(*value, "location"));
    if (!header_safe(out.location)) return error("Invalid", "a redirect's location has control characters");
    return out;
  }
  if (kind != "fixed") return error("Invalid", "an action of the unknown kind '" + kind + "'");
  out.status = static_cast<int>(TRY(number_of(*value, "status", 503, 200, 599)));
  out.content_type = value->get("content_type");
  out.body = value->get("body");
  if (!header_safe(out.content_type) || out.content_type.size() > 128)
    return error("Invalid", "a bad content type");
  if (out.body.size() > kMaxText) return error("Invalid", "a fixed body beyond 8 KiB");
  return out;
}

json::Value rule_json(const EdgeRule& r) {
  return json::object({{"priority", r.priority},
                       {"hosts", strings(r.hosts)},
                       {"paths", strings(r.paths)},
                       {"action", action_json(r.action)}});
}

Result<EdgeListener> listener_of(const json::Value& v, const std::set<std::string>& groups) {
  EdgeListener out;
  out.id = TRY(text_of(v, "id"));
  out.balancer = v.get("balancer");
  out.account = v.get("account");
  out.socket = TRY(text_of(v, "socket"));
  if (out.socket != "https" && out.socket != "http")
    return error("Invalid", "no socket is called '" + out.socket + "'");
  out.host_names = TRY(strings_of(v, "host_names", kMaxNames));
  out.idle_timeout = TRY(number_of(v, "idle_timeout", 60 * kSecond, 1, 4000 * kSecond));
  out.forwarded_for = v.get("forwarded_for", "append");
  if (out.forwarded_for != "append" && out.forwarded_for != "preserve" && out.forwarded_for != "remove") {
    return error("Invalid", "'forwarded_for' is append, preserve or remove");
  }
  int before = 0;
  for (const auto& r : v.get_array("rules")) {
    EdgeRule rule;
    rule.priority = static_cast<int>(TRY(number_of(r, "priority", 0, 1, 50'000)));
    if (rule.priority <= before) return error("Invalid", "rules are not in the order of their priorities");
    before = rule.priority;
    rule.hosts = TRY(strings_of(r, "hosts", 100));
    rule.paths = TRY(strings_of(r, "paths", 100));
    rule.action = TRY(action_of(r.find("action"), groups));
    out.rules.push_back(std::move(rule));
    if (out.rules.size() > kMaxRules) return error("Invalid", "too many rules");
  }
  out.fallback = TRY(action_of(v.find("fallback"), groups));
  return out;
}

Result<EdgeTargetGroup> group_of(const json::Value& v) {
  EdgeTargetGroup out;
  out.id = TRY(text_of(v, "id"));
  out.account = v.get("account");
  out.vpc = v.get("vpc");
  out.algorithm = v.get("algorithm", "round_robin");
  if (out.algorithm != "round_robin" && out.algorithm != "least_outstanding_requests") {
    return error("Invalid", "the unknown algorithm '" + out.algorithm + "'");
  }
  out.deregistration_delay = TRY(number_of(v, "deregistration_delay", 300 * kSecond, 0, 3600 * kSecond));
  std::set<std::string> seen;
  for (const auto& t : v.get_array("targets")) {
    EdgeTarget target;
    target.id = TRY(text_of(t, "id"));
    target.address = TRY(text_of(t, "address"));
    unsigned char raw[16];
    if (inet_pton(AF_INET, target.address.c_str(), raw) != 1 &&
        inet_pton(AF_INET6, target.address.c_str(), raw) != 1) {
      return error("Invalid", "'" + target.address + "' is not an IP address");
    }
    target.port = static_cast<uint16_t>(TRY(number_of(t, "port", 0, 1, 65535)));
    target.draining = t.get_bool("draining");
    if (!seen.insert(target.id).second)
      return error("Invalid", "the target '" + target.id + "' is there twice");
    out.targets.push_back(std::move(target));
    if (out.targets.size() > kMaxTargets) return error("Invalid", "too many targets");
  }
  const auto* h = v.find("health");
  if (h != nullptr) {
    auto& health = out.health;
    health.enabled = h->get_bool("enabled", true);
    health.path = h->get("path", "/");
    if (health.path.empty() || health.path[0] != '/' || health.path.size() > 1024 ||
        !header_safe(health.path) || health.path.find(' ') != std::string::npos) {
      return error("Invalid", "a health check's path starts with '/' and has no spaces");
    }
    health.matcher = h->get("matcher", "200");
    TRY(parse_matcher(health.matcher));
    health.port = static_cast<int>(TRY(number_of(*h, "port", 0, 0, 65535)));
    health.interval = TRY(number_of(*h, "interval", 30 * kSecond, 10, 300 * kSecond));
    health.timeout = TRY(number_of(*h, "timeout", 5 * kSecond, 10, 120 * kSecond));
    health.healthy = static_cast<int>(TRY(number_of(*h, "healthy", 5, 1, 10)));
    health.unhealthy = static_cast<int>(TRY(number_of(*h, "unhealthy", 2, 1, 10)));
  }
  return out;
}

json::Value group_json(const EdgeTargetGroup& g) {
  json::Array targets;
  for (const auto& t : g.targets) {
    targets.push_back(json::object(
        {{"id", t.id}, {"address", t.address}, {"port", int{t.port}}, {"draining", t.draining}}));
  }
  const auto& h = g.health;
  auto health = json::object({{"enabled", h.enabled},
                              {"path", h.path},
                              {"matcher", h.matcher},
                              {"port", h.port},
                              {"interval", h.interval},
                              {"timeout", h.timeout},
                              {"healthy", h.healthy},
                              {"unhealthy", h.unhealthy}});
  return json::object({{"id", g.id},
                       {"account", g.account},
                       {"vpc", g.vpc},
                       {"algorithm", g.algorithm},
                       {"targets", targets},
                       {"health", health},
                       {"deregistration_delay", g.deregistration_delay}});
}

}  // namespace

Result<std::vector<std::pair<int, int>>> parse_matcher(std::string_view text) {
  std::vector<std::pair<int, int>> out;
  for (auto part : split(text, ',')) {
    auto dash = part.find('-');
    auto from = TRY(parse_int(trim(part.substr(0, dash))));
    auto to = from;
    if (dash != std::string_view::npos) to = TRY(parse_int(trim(part.substr(dash + 1))));
    if (from < 200 || to > 499 || from > to || out.size() == 100) {
      return error("Invalid", "health check codes are numbers and ranges from 200 to 499");
    }
    out.emplace_back(static_cast<int>(from), static_cast<int>(to));
  }
  return out;
}

json::Value to_json(const EdgeSnapshot& s) {
  json::Array certificates, listeners, groups;
  for (const auto& c : s.certificates) {
    certificates.push_back(
        json::object({{"names", strings(c.names)}, {"chain", c.chain_pem}, {"key", c.key_pem}}));
  }
  for (const auto& l : s.listeners) {
    json::Array rules;
    for (const auto& r : l.rules) rules.push_back(rule_json(r));
    listeners.push_back(json::object({{"id", l.id},
                                      {"balancer", l.balancer},
                                      {"account", l.account},
                                      {"socket", l.socket},
                                      {"host_names", strings(l.host_names)},
                                      {"rules", rules},
                                      {"fallback", action_json(l.fallback)},
                                      {"idle_timeout", l.idle_timeout},
                                      {"forwarded_for", l.forwarded_for}}));
  }
  for (const auto& g : s.target_groups) groups.push_back(group_json(g));
  json::Array distributions;
  for (const auto& d : s.distributions) distributions.push_back(to_json(d));
  return json::object({{"number", s.number},
                       {"distributions", std::move(distributions)},
                       {"private_origins", s.private_origins},
                       {"authority", s.authority_pem},
                       {"certificates", certificates},
                       {"listeners", listeners},
                       {"target_groups", groups}});
}

Result<EdgeSnapshot> edge_snapshot(const json::Value& v) {
  if (!v.is_object()) return error("Invalid", "a snapshot is an object");
  EdgeSnapshot out;
  out.number = TRY(number_of(v, "number", 0, 1, INT64_MAX));
  for (const auto& c : v.get_array("certificates")) {
    EdgeCertificate certificate;
    certificate.names = TRY(strings_of(c, "names", kMaxNames));
    certificate.chain_pem = c.get("chain");
    certificate.key_pem = c.get("key");
    if (certificate.chain_pem.empty() || certificate.key_pem.empty())
      return error("Invalid", "a certificate without chain or key");
    out.certificates.push_back(std::move(certificate));
  }
  std::set<std::string> groups;
  for (const auto& g : v.get_array("target_groups")) {
    out.target_groups.push_back(TRY(group_of(g)));
    if (!groups.insert(out.target_groups.back().id).second)
      return error("Invalid", "a target group is there twice");
    if (groups.size() > kMaxGroups) return error("Invalid", "too many target groups");
  }
  for (const auto& l : v.get_array("listeners")) {
    out.listeners.push_back(TRY(listener_of(l, groups)));
    if (out.listeners.size() > kMaxListeners) return error("Invalid", "too many listeners");
    if (out.listeners.back().socket == "https" && out.certificates.empty()) {
      return error("Invalid", "an https listener, and no certificate");
    }
  }
  for (const auto& d : v.get_array("distributions")) {
    out.distributions.push_back(TRY(edge_distribution(d)));
    if (out.distributions.size() > kMaxDistributions) return error("Invalid", "too many distributions");
  }
  out.private_origins = v.get_bool("private_origins");
  out.authority_pem = v.get("authority");
  return out;
}

}  // namespace bastide::internal
