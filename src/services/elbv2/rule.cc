#include <algorithm>
#include <set>

#include "services/elbv2/common.h"
#include "services/elbv2/elbv2.h"

namespace bastide::services {
using namespace elbv2;

namespace {

constexpr size_t kMaxRules = 100;

json::Value default_rule(const aws::Call& call, const json::Value& listener) {
  auto id = id_of(call, kListener, listener.get("ListenerArn"));
  auto arn = arn_of(call, kRule, (id ? *id : std::string()) + "/" + listener.get("DefaultRule"));
  return json::object({{"RuleArn", arn},
                       {"Priority", "default"},
                       {"Conditions", json::array()},
                       {"Actions", *listener.find("DefaultActions")},
                       {"IsDefault", true}});
}

// The listener's ARN of a rule's.
std::string listener_of(const std::string& rule_arn) {
  auto at = rule_arn.find(":listener-rule/");
  if (at == std::string::npos) return "";
  auto arn = rule_arn.substr(0, at) + ":listener/" + rule_arn.substr(at + 15);
  return arn.substr(0, arn.rfind('/'));
}

bool is_default(const json::Value& listener, const std::string& rule_arn) {
  return rule_arn.substr(rule_arn.rfind('/') + 1) == listener.get("DefaultRule");
}

Result<void> not_default(store::Reader& reader, const aws::Call& call, const std::string& arn) {
  auto listener = load(reader, call, kListener, listener_of(arn));
  if (listener && is_default(*listener, arn))
    return fault("OperationNotPermitted", "Default rule '" + arn + "' cannot be modified");
  return {};
}

}  // namespace

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html
Result<json::Value> Elbv2::create_rule(aws::Call& call, const Json& in) {
  if (!in.get_array("Transforms").empty())
    return fault("InvalidConfigurationRequest", "Transforms are not supported");
  auto priority = in.get_int("Priority");
  if (priority < 1 || priority > 50'000) return validation("Rule priority must be from 1 to 50000");
  auto conditions = TRY(checked_conditions(Json(in.get_array("Conditions"))));
  auto tags = TRY(tags_of(in));
  Json rule;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto listener = TRY(load(writer, call, kListener, in.get("ListenerArn")));
    auto id = TRY(id_of(call, kListener, in.get("ListenerArn")));
    auto balancer = TRY(id_of(call, kBalancer, listener.get("LoadBalancerArn")));
    if (TRY(all(writer, call, kRule, balancer + "/")).size() >= kMaxRules)
      return fault("TooManyRules", "You've reached the limit on the number of rules per load balancer");
    for (const auto& other : TRY(all(writer, call, kRule, id + "/"))) {
      if (other.get("Priority") == std::to_string(priority))
        return fault("PriorityInUse", "Priority '" + std::to_string(priority) + "' is currently in use");
    }
    auto actions = TRY(checked_actions(writer, call, Json(in.get_array("Actions")), listener.get("VpcId")));
    rule = json::object({{"RuleArn", arn_of(call, kRule, id + "/" + new_suffix())},
                         {"Priority", std::to_string(priority)},
                         {"Conditions", conditions},
                         {"Actions", actions},
                         {"IsDefault", false},
                         {"ListenerArn", in.get("ListenerArn")},
                         {"LoadBalancerArn", listener.get("LoadBalancerArn")},
                         {"Tags", tags}});
    return save(writer, call, kRule, rule);
  }));
  return json::object({{"Rules", json::array({rule})}});
}

Result<json::Value> Elbv2::describe_rules(aws::Call& call, const Json& in) {
  std::vector<Json> found;
  const auto& arns = in.get_array("RuleArns");
  if (arns.empty() == !in.has("ListenerArn"))
    return validation("You must specify either listener rule ARNs or a listener ARN");
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto& arn : arns) {
      auto listener = load(reader, call, kListener, listener_of(arn.string()));
      if (listener && is_default(*listener, arn.string()))
        found.push_back(default_rule(call, *listener));
      else
        found.push_back(TRY(load(reader, call, kRule, arn.string())));
    }
    if (!arns.empty()) return {};
    auto listener = TRY(load(reader, call, kListener, in.get("ListenerArn")));
    found = TRY(all(reader, call, kRule, TRY(id_of(call, kListener, in.get("ListenerArn"))) + "/"));
    found.push_back(default_rule(call, listener));
    return {};
  }));
  auto answer = json::object();
  auto rules = TRY(page(std::move(found), kRule, in, answer));
  auto order = [](const Json& r) {
    return r.get_bool("IsDefault") ? 1'000'000 : std::stoi(r.get("Priority"));
  };
  std::sort(rules.begin(), rules.end(), [&](const Json& a, const Json& b) { return order(a) < order(b); });
  answer["Rules"] = std::move(rules);
  return answer;
}

Result<json::Value> Elbv2::modify_rule(aws::Call& call, const Json& in) {
  if (!in.get_array("Transforms").empty())
    return fault("InvalidConfigurationRequest", "Transforms are not supported");
  auto arn = in.get("RuleArn");
  Json rule;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    TRY(not_default(writer, call, arn));
    rule = TRY(load(writer, call, kRule, arn));
    auto listener = TRY(load(writer, call, kListener, rule.get("ListenerArn")));
    if (in.has("Conditions")) rule["Conditions"] = TRY(checked_conditions(*in.find("Conditions")));
    if (in.has("Actions"))
      rule["Actions"] = TRY(checked_actions(writer, call, *in.find("Actions"), listener.get("VpcId")));
    return save(writer, call, kRule, rule);
  }));
  return json::object({{"Rules", json::array({rule})}});
}

Result<json::Value> Elbv2::delete_rule(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    TRY(not_default(writer, call, in.get("RuleArn")));
    TRY(load(writer, call, kRule, in.get("RuleArn")));
    return elbv2::remove(writer, call, kRule, in.get("RuleArn"));
  }));
  return json::object();
}

Result<json::Value> Elbv2::set_rule_priorities(aws::Call& call, const Json& in) {
  json::Array out;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    out.clear();
    std::set<std::string> listeners;
    for (const auto& pair : in.get_array("RulePriorities")) {
      auto arn = pair.get("RuleArn");
      auto priority = pair.get_int("Priority");
      if (priority < 1 || priority > 50'000) return validation("Rule priority must be from 1 to 50000");
      TRY(not_default(writer, call, arn));
      auto rule = TRY(load(writer, call, kRule, arn));
      rule["Priority"] = std::to_string(priority);
      listeners.insert(rule.get("ListenerArn"));
      TRY(save(writer, call, kRule, rule));
      out.push_back(std::move(rule));
    }
    if (listeners.size() > 1) return validation("The rules must belong to the same listener");
    std::set<std::string> taken;
    for (const auto& arn : listeners) {
      for (const auto& rule : TRY(all(writer, call, kRule, TRY(id_of(call, kListener, arn)) + "/"))) {
        if (!taken.insert(rule.get("Priority")).second)
          return fault("PriorityInUse", "Priority '" + rule.get("Priority") + "' is currently in use");
      }
    }
    return {};
  }));
  return json::object({{"Rules", out}});
}

namespace {

Result<const KindOf*> kind_of(const std::string& arn) {
  for (const auto* kind : {&kBalancer, &kTargetGroup, &kListener, &kRule}) {
    if (arn.find(std::string(":") + kind->resource) != std::string::npos) return kind;
  }
  return validation("'" + arn + "' is not a valid load balancer, target group, listener or rule ARN");
}

}  // namespace

Result<json::Value> Elbv2::add_tags(aws::Call& call, const Json& in) {
  auto tags = TRY(tags_of(in));
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    for (const auto& arn : in.get_array("ResourceArns")) {
      const auto* kind = TRY(kind_of(arn.string()));
      auto body = TRY(load(writer, call, *kind, arn.string()));
      auto& kept = body["Tags"].array();
      for (const auto& t : tags) {
        std::erase_if(kept, [&](const Json& k) { return k.get("Key") == t.get("Key"); });
        kept.push_back(t);
      }
      if (kept.size() > 50)
        return fault("TooManyTags", "You've reached the limit on the number of tags for this resource");
      TRY(save(writer, call, *kind, body));
    }
    return {};
  }));
  return json::object();
}

Result<json::Value> Elbv2::remove_tags(aws::Call& call, const Json& in) {
  const auto& keys = in.get_array("TagKeys");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    for (const auto& arn : in.get_array("ResourceArns")) {
      const auto* kind = TRY(kind_of(arn.string()));
      auto body = TRY(load(writer, call, *kind, arn.string()));
      std::erase_if(body["Tags"].array(), [&](const Json& k) {
        return std::find(keys.begin(), keys.end(), Json(k.get("Key"))) != keys.end();
      });
      TRY(save(writer, call, *kind, body));
    }
    return {};
  }));
  return json::object();
}

Result<json::Value> Elbv2::describe_tags(aws::Call& call, const Json& in) {
  json::Array out;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto& arn : in.get_array("ResourceArns")) {
      const auto* kind = TRY(kind_of(arn.string()));
      auto body = TRY(load(reader, call, *kind, arn.string()));
      out.push_back(json::object({{"ResourceArn", arn}, {"Tags", body.get_array("Tags")}}));
    }
    return {};
  }));
  return json::object({{"TagDescriptions", out}});
}

}  // namespace bastide::services
