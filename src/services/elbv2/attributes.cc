#include "services/elbv2/attributes.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"

namespace bastide::services::elbv2 {
namespace {

struct Known {
  const char* key;
  const char* fallback;
  std::vector<std::string> values;  // what it may be set to; empty: a number
  int64_t least = 0, most = 0;
};

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
const std::vector<Known>& balancer() {
  static const std::vector<Known> all{
      {"deletion_protection.enabled", "false", {"true", "false"}},
      {"idle_timeout.timeout_seconds", "60", {}, 1, 4000},
      {"routing.http.xff_header_processing.mode", "append", {"append", "preserve", "remove"}},
      {"access_logs.s3.enabled", "false", {"false"}},
      {"connection_logs.s3.enabled", "false", {"false"}},
      {"routing.http.desync_mitigation_mode", "strictest", {"strictest"}},
      {"routing.http.drop_invalid_header_fields.enabled", "true", {"true"}},
      {"routing.http.preserve_host_header.enabled", "true", {"true"}},
      {"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", {"false"}},
      {"routing.http.xff_client_port.enabled", "false", {"false"}},
      {"routing.http2.enabled", "false", {"false"}},
      {"load_balancing.cross_zone.enabled", "true", {"true"}},
      {"waf.fail_open.enabled", "false", {"false"}},
      {"zonal_shift.config.enabled", "false", {"false"}}};
  return all;
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
const std::vector<Known>& target_group() {
  static const std::vector<Known> all{
      {"deregistration_delay.timeout_seconds", "300", {}, 0, 3600},
      {"load_balancing.algorithm.type", "round_robin", {"round_robin", "least_outstanding_requests"}},
      {"load_balancing.algorithm.anomaly_mitigation", "off", {"off"}},
      {"load_balancing.cross_zone.enabled",
       "use_load_balancer_configuration",
       {"use_load_balancer_configuration", "true"}},
      {"slow_start.duration_seconds", "0", {"0"}},
      {"stickiness.enabled", "false", {"false"}},
      {"stickiness.type", "lb_cookie", {"lb_cookie"}},
      {"stickiness.lb_cookie.duration_seconds", "86400", {}, 1, 604800},
      {"target_group_health.dns_failover.minimum_healthy_targets.count", "1", {"1"}},
      {"target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", {"off"}},
      {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", {"1"}},
      {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off", {"off"}}};
  return all;
}

const std::vector<Known>& table(AttributesOf of) {
  return of == AttributesOf::balancer ? balancer() : target_group();
}

}  // namespace

json::Array attribute_list(AttributesOf of, const json::Value& kept) {
  json::Array out;
  for (const auto& k : table(of))
    out.push_back(json::object({{"Key", k.key}, {"Value", kept.get(k.key, k.fallback)}}));
  return out;
}

std::string attribute(AttributesOf of, const json::Value& kept, std::string_view key) {
  for (const auto& k : table(of)) {
    if (key == k.key) return kept.get(key, k.fallback);
  }
  return "";
}

Result<void> apply_attributes(AttributesOf of, const json::Value& attributes, json::Value& kept) {
  if (!attributes.is_array()) return {};
  for (const auto& a : attributes.array()) {
    auto key = a.get("Key"), value = a.get("Value");
    const auto& all = table(of);
    auto known = std::find_if(all.begin(), all.end(), [&](const Known& k) { return key == k.key; });
    if (known == all.end())
      return fault("ValidationError",
                   "Load balancer or target group attribute key '" + key + "' is not recognized");
    if (known->values.empty()) {
      auto number = parse_int(value);
      if (!number || *number < known->least || *number > known->most) {
        return fault("ValidationError", "The value of '" + key + "' is a number from " +
                                            std::to_string(known->least) + " to " +
                                            std::to_string(known->most));
      }
    } else if (std::find(known->values.begin(), known->values.end(), value) == known->values.end()) {
      return fault("InvalidConfigurationRequest",
                   "The value '" + value + "' of '" + key +
                       "' is not supported; supported: " + join(known->values, ", "));
    }
    kept[key] = value;
  }
  return {};
}

}  // namespace bastide::services::elbv2
