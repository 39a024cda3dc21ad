#include "services/elbv2/snapshot.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "services/elbv2/attributes.h"
#include "services/elbv2/common.h"

namespace bastide::services {
using namespace elbv2;

namespace {

struct Everything {
  std::vector<store::Resource> balancers, listeners, rules, groups;
};

// 443 and 80 are the ports of sockets that may stand elsewhere on this machine.
std::string redirect_location(const json::Value& c) {
  auto protocol = c.get("Protocol"), port = c.get("Port");
  if (protocol == "HTTPS") protocol = "https";
  if (protocol == "HTTP") protocol = "http";
  if (port == "443") port = "#{https_port}";
  if (port == "80") port = "#{http_port}";
  auto out = protocol + "://" + c.get("Host") + ":" + port + c.get("Path");
  if (!c.get("Query").empty()) out += "?" + c.get("Query");
  return out;
}

internal::EdgeAction action_of(const json::Value& actions) {
  internal::EdgeAction out;
  if (!actions.is_array() || actions.array().empty()) return out;
  const auto& a = actions.array()[0];
  if (a.get("Type") == "forward") {
    out.kind = internal::EdgeAction::Kind::forward;
    for (const auto& g : a.find("ForwardConfig")->get_array("TargetGroups")) {
      out.forward.push_back({g.get("TargetGroupArn"), static_cast<int>(g.get_int("Weight", 1))});
    }
  } else if (a.get("Type") == "redirect") {
    out.kind = internal::EdgeAction::Kind::redirect;
    out.status = a.find("RedirectConfig")->get("StatusCode") == "HTTP_301" ? 301 : 302;
    out.location = redirect_location(*a.find("RedirectConfig"));
  } else if (const auto* fixed = a.find("FixedResponseConfig")) {
    out.status = std::stoi(fixed->get("StatusCode"));
    out.content_type = fixed->get("ContentType", "text/plain");
    out.body = fixed->get("MessageBody");
  }
  return out;
}

std::vector<std::string> values_of(const json::Value& conditions, std::string_view field) {
  std::vector<std::string> out;
  for (const auto& c : conditions.array()) {
    if (c.get("Field") != field) continue;
    for (const auto& v : c.get_array("Values")) out.push_back(v.string());
  }
  return out;
}

internal::EdgeTargetGroup group_of(const store::Resource& r) {
  const auto& b = r.body;
  const auto* kept = b.find("Attributes");
  auto attributes = kept == nullptr ? json::object() : *kept;
  internal::EdgeTargetGroup out;
  out.id = b.get("TargetGroupArn");
  out.account = r.key.account;
  out.vpc = b.get("VpcId");
  out.algorithm = attribute(AttributesOf::target_group, attributes, "load_balancing.algorithm.type");
  auto delay =
      parse_int(attribute(AttributesOf::target_group, attributes, "deregistration_delay.timeout_seconds"));
  if (delay) out.deregistration_delay = *delay * kSecond;
  for (const auto& t : b.get_array("Targets")) {
    internal::EdgeTarget target;
    target.address = t.get("Id");
    target.port = static_cast<uint16_t>(t.get_int("Port"));
    target.id = target.address + ":" + std::to_string(target.port);
    target.draining = t.has("DrainUntil");
    out.targets.push_back(std::move(target));
  }
  auto& h = out.health;
  h.enabled = b.get_bool("HealthCheckEnabled", true);
  h.path = b.get("HealthCheckPath", "/");
  if (const auto* matcher = b.find("Matcher")) h.matcher = matcher->get("HttpCode", "200");
  auto port = parse_int(b.get("HealthCheckPort"));
  h.port = port ? static_cast<int>(*port) : 0;
  h.interval = b.get_int("HealthCheckIntervalSeconds", 30) * kSecond;
  h.timeout = b.get_int("HealthCheckTimeoutSeconds", 5) * kSecond;
  h.healthy = static_cast<int>(b.get_int("HealthyThresholdCount", 5));
  h.unhealthy = static_cast<int>(b.get_int("UnhealthyThresholdCount", 2));
  return out;
}

// A name that a certificate and the edge's table of names can have: exact, or "*." and a name.
bool plain_name(std::string_view name) {
  if (name.substr(0, 2) == "*.") name.remove_prefix(2);
  return !name.empty() && name.find_first_of("*?_:") == std::string_view::npos;
}

}  // namespace

Result<internal::EdgeSnapshot> compile_snapshot(store::Database& database, LocalCertificates& local,
                                                CertificateSource* source) {
  Everything all;
  TRY(database.read([&](store::Reader& reader) -> Result<void> {
    all.balancers = TRY(reader.list("*", "*", kBalancer.kind));
    all.listeners = TRY(reader.list("*", "*", kListener.kind));
    all.rules = TRY(reader.list("*", "*", kRule.kind));
    all.groups = TRY(reader.list("*", "*", kTargetGroup.kind));
    return {};
  }));
  std::map<std::string, const store::Resource*> balancers;
  for (const auto& b : all.balancers) balancers[b.body.get("LoadBalancerArn")] = &b;
  std::map<std::string, std::vector<const json::Value*>> rules;
  for (const auto& r : all.rules) rules[r.body.get("ListenerArn")].push_back(&r.body);

  internal::EdgeSnapshot out;
  std::set<std::string> used;
  std::vector<internal::EdgeCertificate> brought;
  for (const auto& l : all.listeners) {
    auto found = balancers.find(l.body.get("LoadBalancerArn"));
    if (found == balancers.end()) continue;
    const auto& balancer = found->second->body;
    const auto* attributes = balancer.find("Attributes");
    auto kept = attributes == nullptr ? json::object() : *attributes;
    internal::EdgeListener listener;
    listener.id = l.body.get("ListenerArn");
    listener.balancer = l.body.get("LoadBalancerArn");
    listener.account = l.key.account;
    listener.socket = l.body.get("Protocol") == "HTTPS" ? "https" : "http";
    auto idle = parse_int(attribute(AttributesOf::balancer, kept, "idle_timeout.timeout_seconds"));
    if (idle) listener.idle_timeout = *idle * kSecond;
    listener.forwarded_for =
        attribute(AttributesOf::balancer, kept, "routing.http.xff_header_processing.mode");
    listener.fallback = action_of(*l.body.find("DefaultActions"));
    std::set<std::string> names{balancer.get("DNSName")};
    for (const auto* body : rules[listener.id]) {
      internal::EdgeRule rule;
      rule.priority = std::stoi(body->get("Priority"));
      rule.hosts = values_of(*body->find("Conditions"), "host-header");
      rule.paths = values_of(*body->find("Conditions"), "path-pattern");
      rule.action = action_of(*body->find("Actions"));
      for (const auto& host : rule.hosts) names.insert(plain_name(host) ? lower(host) : "*");
      listener.rules.push_back(std::move(rule));
    }
    std::sort(listener.rules.begin(), listener.rules.end(),
              [](const auto& a, const auto& b) { return a.priority < b.priority; });
    listener.host_names.assign(names.begin(), names.end());
    for (const auto& rule : listener.rules) {
      for (const auto& w : rule.action.forward) used.insert(w.target_group);
    }
    for (const auto& w : listener.fallback.forward) used.insert(w.target_group);
    if (listener.socket == "https") {
      std::vector<std::string> certified;
      std::copy_if(names.begin(), names.end(), std::back_inserter(certified), plain_name);
      out.certificates.push_back(TRY(local.certificate(certified)));
      for (const auto* list : {"Certificates", "MoreCertificates"}) {
        for (const auto& c : l.body.get_array(list)) {
          auto given = source == nullptr
                           ? Result<internal::EdgeCertificate>(error("no source of certificates"))
                           : source->certificate(c.get("CertificateArn"));
          if (given)
            brought.push_back(std::move(*given));
          else
            log::warn("elbv2: certificate {} is not usable: {}", c.get("CertificateArn"),
                      given.error().message);
        }
      }
    }
    out.listeners.push_back(std::move(listener));
  }
  // A certificate that was brought goes before the local CA's for the same name.
  out.certificates.insert(out.certificates.begin(), std::make_move_iterator(brought.begin()),
                          std::make_move_iterator(brought.end()));
  for (const auto& g : all.groups) {
    if (used.count(g.body.get("TargetGroupArn"))) out.target_groups.push_back(group_of(g));
  }
  return out;
}

}  // namespace bastide::services
