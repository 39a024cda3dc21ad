// AWS::ElasticLoadBalancingV2::LoadBalancer, TargetGroup, Listener, ListenerRule.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_ElasticLoadBalancingV2.html
#include <fmt/format.h>

#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Result<void> retag(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty()) {
    TRY(done(c.call("elbv2", "AddTags",
                    json::object({{"ResourceArns", json::array({arn})}, {"Tags", change.set}}))));
  }
  if (!change.remove.array().empty()) {
    TRY(done(c.call("elbv2", "RemoveTags",
                    json::object({{"ResourceArns", json::array({arn})}, {"TagKeys", change.remove}}))));
  }
  return {};
}

Result<void> set_attributes(const Context& c, const char* operation, const char* arn_key,
                            const std::string& arn, const Value& old, const Value& next,
                            const char* property) {
  const Value* wanted = next.find(property);
  if (wanted == nullptr || wanted->array().empty() || !differs(old, next, property)) return {};
  return done(c.call("elbv2", operation, json::object({{arn_key, arn}, {"Attributes", *wanted}})));
}

void with_tags(const Context& c, const Value& p, Value& in) {
  Value tags = c.tags(p);
  if (!tags.array().empty()) in["Tags"] = std::move(tags);
}

// The first of the list in an answer.
Result<Value> first(const Result<Value>& answer, const char* list) {
  if (!answer) return answer.error();
  if (answer->get_array(list).empty()) return fault("NotFound", std::string("no ") + list);
  return answer->get_array(list)[0];
}

// "arn:...:loadbalancer/app/name/id" -> "app/name/id"; "arn:...:targetgroup/name/id" ->
// "targetgroup/name/id".
std::string full_name(const std::string& arn, const char* after) {
  const size_t at = arn.find(after);
  return at == std::string::npos ? "" : arn.substr(at + std::string(after).size());
}

// ---- LoadBalancer

Value balancer_attributes_of(const Value& b) {
  const std::string arn = b.get("LoadBalancerArn");
  return json::object({{"LoadBalancerArn", arn},
                       {"DNSName", b.get("DNSName")},
                       {"LoadBalancerName", b.get("LoadBalancerName")},
                       {"LoadBalancerFullName", full_name(arn, ":loadbalancer/")},
                       {"CanonicalHostedZoneID", b.get("CanonicalHostedZoneId")}});
}

Result<Made> make_balancer(const Context& c, const Value& p) {
  Value in = pick(p, {"IpAddressType", "Scheme", "SecurityGroups", "SubnetMappings", "Subnets", "Type"});
  in["Name"] = c.name(p, "Name", 32);
  with_tags(c, p, in);
  const Value b = TRY(first(c.call("elbv2", "CreateLoadBalancer", std::move(in)), "LoadBalancers"));
  return Made{b.get("LoadBalancerArn"), balancer_attributes_of(b)};
}

Result<Value> balancer_attributes(const Context& c, const std::string& arn, const Value&) {
  const Value b = TRY(first(
      c.call("elbv2", "DescribeLoadBalancers", json::object({{"LoadBalancerArns", json::array({arn})}})),
      "LoadBalancers"));
  return balancer_attributes_of(b);
}

Result<void> apply_balancer(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (!old.is_null()) {
    if (differs(old, next, "SecurityGroups")) {
      Value groups = json::array();
      for (const auto& g : strings(next, "SecurityGroups")) groups.push(g);
      TRY(done(c.call("elbv2", "SetSecurityGroups",
                      json::object({{"LoadBalancerArn", arn}, {"SecurityGroups", groups}}))));
    }
    if (differs(old, next, "Subnets") || differs(old, next, "SubnetMappings")) {
      Value in = pick(next, {"Subnets", "SubnetMappings"});
      in["LoadBalancerArn"] = arn;
      TRY(done(c.call("elbv2", "SetSubnets", std::move(in))));
    }
    if (differs(old, next, "IpAddressType")) {
      TRY(done(c.call(
          "elbv2", "SetIpAddressType",
          json::object({{"LoadBalancerArn", arn}, {"IpAddressType", next.get("IpAddressType", "ipv4")}}))));
    }
    TRY(retag(c, arn, old, next));
  }
  return set_attributes(c, "ModifyLoadBalancerAttributes", "LoadBalancerArn", arn, old, next,
                        "LoadBalancerAttributes");
}

Result<void> remove_balancer(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("elbv2", "DeleteLoadBalancer", json::object({{"LoadBalancerArn", arn}})));
}

Result<std::string> found(const Result<Value>& one, const char* key) {
  if (!one && is_missing(one.error())) return std::string();
  if (!one) return one.error();
  return one->get(key);
}

Result<std::string> find_balancer(const Context& c, const Value& p) {
  return found(first(c.call("elbv2", "DescribeLoadBalancers",
                            json::object({{"Names", json::array({c.name(p, "Name", 32)})}})),
                     "LoadBalancers"),
               "LoadBalancerArn");
}

// ---- TargetGroup

Value group_attributes_of(const Value& g) {
  const std::string arn = g.get("TargetGroupArn");
  Value out = pick(g, {"TargetGroupArn", "TargetGroupName", "LoadBalancerArns"});
  if (!out.has("LoadBalancerArns")) out["LoadBalancerArns"] = json::array();
  const std::string rest = full_name(arn, ":targetgroup/");
  out["TargetGroupFullName"] = "targetgroup/" + rest;
  return out;
}

Value group_health(const Value& p) {
  return pick(p, {"HealthCheckEnabled", "HealthCheckIntervalSeconds", "HealthCheckPath", "HealthCheckPort",
                  "HealthCheckProtocol", "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "Matcher",
                  "UnhealthyThresholdCount"});
}

Result<Made> make_group(const Context& c, const Value& p) {
  Value in = group_health(p);
  const Value fixed =
      pick(p, {"IpAddressType", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId"});
  for (const auto& [key, v] : fixed.object()) in[key] = v;
  in["Name"] = c.name(p, "Name", 32);
  with_tags(c, p, in);
  const Value g = TRY(first(c.call("elbv2", "CreateTargetGroup", std::move(in)), "TargetGroups"));
  return Made{g.get("TargetGroupArn"), group_attributes_of(g)};
}

Result<Value> group_attributes(const Context& c, const std::string& arn, const Value&) {
  const Value g = TRY(
      first(c.call("elbv2", "DescribeTargetGroups", json::object({{"TargetGroupArns", json::array({arn})}})),
            "TargetGroups"));
  return group_attributes_of(g);
}

Result<void> apply_group(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (!old.is_null()) {
    Value in = group_health(next);
    if (!(in == group_health(old))) {
      in["TargetGroupArn"] = arn;
      TRY(done(c.call("elbv2", "ModifyTargetGroup", std::move(in))));
    }
    TRY(retag(c, arn, old, next));
  }
  if (differs(old, next, "Targets")) {
    const Value* before = old.find("Targets");
    const Value* after = next.find("Targets");
    if (before != nullptr && !before->array().empty()) {
      TRY(unless_missing(c.call("elbv2", "DeregisterTargets",
                                json::object({{"TargetGroupArn", arn}, {"Targets", *before}}))));
    }
    if (after != nullptr && !after->array().empty()) {
      TRY(done(
          c.call("elbv2", "RegisterTargets", json::object({{"TargetGroupArn", arn}, {"Targets", *after}}))));
    }
  }
  return set_attributes(c, "ModifyTargetGroupAttributes", "TargetGroupArn", arn, old, next,
                        "TargetGroupAttributes");
}

Result<void> remove_group(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("elbv2", "DeleteTargetGroup", json::object({{"TargetGroupArn", arn}})));
}

Result<std::string> find_group(const Context& c, const Value& p) {
  return found(first(c.call("elbv2", "DescribeTargetGroups",
                            json::object({{"Names", json::array({c.name(p, "Name", 32)})}})),
                     "TargetGroups"),
               "TargetGroupArn");
}

// ---- Listener

Result<Made> make_listener(const Context& c, const Value& p) {
  Value in = pick(p, {"AlpnPolicy", "Certificates", "DefaultActions", "LoadBalancerArn", "Port", "Protocol",
                      "SslPolicy"});
  const Value l = TRY(first(c.call("elbv2", "CreateListener", std::move(in)), "Listeners"));
  return Made{l.get("ListenerArn"), pick(l, {"ListenerArn"})};
}

Result<void> apply_listener(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (!old.is_null()) {
    Value in = pick(next, {"AlpnPolicy", "Certificates", "DefaultActions", "Port", "Protocol", "SslPolicy"});
    in["ListenerArn"] = arn;
    TRY(done(c.call("elbv2", "ModifyListener", std::move(in))));
  }
  return set_attributes(c, "ModifyListenerAttributes", "ListenerArn", arn, old, next, "ListenerAttributes");
}

Result<void> remove_listener(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("elbv2", "DeleteListener", json::object({{"ListenerArn", arn}})));
}

Result<Value> listener_attributes(const Context&, const std::string& arn, const Value&) {
  return json::object({{"ListenerArn", arn}});
}

Result<std::string> find_listener(const Context& c, const Value& p) {
  auto out = c.call("elbv2", "DescribeListeners", pick(p, {"LoadBalancerArn"}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  for (const auto& l : out->get_array("Listeners")) {
    if (l.get_int("Port") == p.get_int("Port") && !only_in({l.get("ListenerArn")}, c.known).empty())
      return l.get("ListenerArn");
  }
  return std::string();
}

// ---- ListenerRule

Result<Made> make_rule(const Context& c, const Value& p) {
  const Value r = TRY(first(
      c.call("elbv2", "CreateRule", pick(p, {"Actions", "Conditions", "ListenerArn", "Priority"})), "Rules"));
  return Made{r.get("RuleArn"), json::object({{"RuleArn", r.get("RuleArn")}, {"IsDefault", false}})};
}

Result<void> apply_rule(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  if (differs(old, next, "Priority")) {
    const Value priority = json::object({{"RuleArn", arn}, {"Priority", next.get_int("Priority")}});
    TRY(done(
        c.call("elbv2", "SetRulePriorities", json::object({{"RulePriorities", json::array({priority})}}))));
  }
  if (differs(old, next, "Actions") || differs(old, next, "Conditions")) {
    Value in = pick(next, {"Actions", "Conditions"});
    in["RuleArn"] = arn;
    TRY(done(c.call("elbv2", "ModifyRule", std::move(in))));
  }
  return {};
}

Result<void> remove_rule(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("elbv2", "DeleteRule", json::object({{"RuleArn", arn}})));
}

Result<Value> rule_attributes(const Context&, const std::string& arn, const Value&) {
  return json::object({{"RuleArn", arn}, {"IsDefault", false}});
}

Result<std::string> find_rule(const Context& c, const Value& p) {
  auto out = c.call("elbv2", "DescribeRules", pick(p, {"ListenerArn"}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  const std::string priority = fmt::format("{}", p.get_int("Priority"));
  for (const auto& r : out->get_array("Rules")) {
    if (r.get("Priority") == priority && !only_in({r.get("RuleArn")}, c.known).empty())
      return r.get("RuleArn");
  }
  return std::string();
}

}  // namespace

void add_elbv2(Handlers& h) {
  const std::string front = "AWS::ElasticLoadBalancingV2::";
  h[front + "LoadBalancer"] = {.name_property = "Name",
                               .make = make_balancer,
                               .apply = apply_balancer,
                               .remove = remove_balancer,
                               .attributes = balancer_attributes,
                               .find = find_balancer};
  h[front + "TargetGroup"] = {.name_property = "Name",
                              .make = make_group,
                              .apply = apply_group,
                              .remove = remove_group,
                              .attributes = group_attributes,
                              .find = find_group};
  h[front + "Listener"] = {.make = make_listener,
                           .apply = apply_listener,
                           .remove = remove_listener,
                           .attributes = listener_attributes,
                           .find = find_listener};
  h[front + "ListenerRule"] = {.make = make_rule,
                               .apply = apply_rule,
                               .remove = remove_rule,
                               .attributes = rule_attributes,
                               .find = find_rule};
}

}  // namespace bastide::services::cfn
