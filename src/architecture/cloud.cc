#include "architecture/cloud.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "net/loop.h"

namespace bastide::architecture {
namespace {

constexpr int kMaxPages = 100;
constexpr Millis kServiceBound = 5 * kMinute;

bool gone(const Error& e) {
  return e.code.find("NotFound") != std::string::npos || e.code.find("NotActive") != std::string::npos;
}

}  // namespace

void pause(Millis d) {
  if (net::in_fiber()) {
    net::sleep_for(d);
  } else {
    std::this_thread::sleep_for(std::chrono::milliseconds(d));
  }
}

bool at_rest(const std::string& status) { return !status.ends_with("_IN_PROGRESS"); }

bool good(const std::string& status) {
  return status == "CREATE_COMPLETE" || status == "UPDATE_COMPLETE" || status == "IMPORT_COMPLETE";
}

bool wreck(const std::string& status) {
  return status == "ROLLBACK_COMPLETE" || status == "ROLLBACK_FAILED" || status == "CREATE_FAILED" ||
         status == "DELETE_FAILED" || status == "REVIEW_IN_PROGRESS";
}

Result<std::optional<json::Value>> describe_stack(const Call& call, const std::string& account,
                                                  const std::string& name_or_id) {
  auto out = call(account, "cloudformation", "DescribeStacks", json::object({{"StackName", name_or_id}}));
  if (!out && out.error().code == "ValidationError" &&
      out.error().message.find("does not exist") != std::string::npos) {
    return std::optional<json::Value>();
  }
  if (!out) return std::move(out).error();
  if (out->get_array("Stacks").empty()) return std::optional<json::Value>();
  return std::optional<json::Value>(out->get_array("Stacks")[0]);
}

Result<std::vector<json::Value>> describe_stacks(const Call& call, const std::string& account) {
  std::vector<json::Value> all;
  json::Value in = json::object();
  for (int page = 0; page < kMaxPages; ++page) {
    const json::Value out = TRY(call(account, "cloudformation", "DescribeStacks", in));
    for (const auto& s : out.get_array("Stacks")) all.push_back(s);
    if (!out.has("NextToken")) break;
    in["NextToken"] = out.get("NextToken");
  }
  return all;
}

json::Value stack_input(const Stack& s) {
  json::Value parameters = json::array(), tags = json::array();
  for (const auto& [key, value] : s.parameters)
    parameters.push(json::object({{"ParameterKey", key}, {"ParameterValue", value}}));
  for (const auto& [key, from] : s.inputs) {  // not looked up: as it was
    if (!s.parameters.contains(key))
      parameters.push(json::object({{"ParameterKey", key}, {"UsePreviousValue", true}}));
  }
  for (const auto& [key, value] : s.tags) tags.push(json::object({{"Key", key}, {"Value", value}}));
  return json::object({{"StackName", s.name},
                       {"TemplateBody", s.template_body},
                       {"Parameters", std::move(parameters)},
                       {"Tags", std::move(tags)},
                       {"Capabilities", json::array({"CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"})}});
}

std::string tag_of(const json::Value& stack, const std::string& key) {
  for (const auto& tag : stack.get_array("Tags")) {
    if (tag.get("Key") == key) return tag.get("Value");
  }
  return "";
}

Result<Standing> standing_stacks(const std::map<std::string, std::string>& accounts, const Call& call) {
  Standing out;
  for (const auto& [account, id] : accounts) out[account] = TRY(describe_stacks(call, account));
  return out;
}

std::vector<std::pair<std::string, std::string>> unwanted_stacks(const Architecture& a,
                                                                 const Standing& standing,
                                                                 const std::vector<Stack>& wanted) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [account, all] : standing) {
    for (const auto& s : all) {
      const std::string name = s.get("StackName");
      if (tag_of(s, kArchitectureTag) != a.name || !s.get("ParentId").empty()) continue;
      const bool kept = std::any_of(wanted.begin(), wanted.end(), [&, account = account](const Stack& w) {
        return w.account == account && w.name == name;
      });
      if (!kept) out.emplace_back(account, name);
    }
  }
  return out;
}

Result<void> end_deployments(const Architecture& a, const std::string& environment, const std::string& app,
                             const Call& call, const Observer& observer) {
  auto tell = [&](const std::string& what, const char* state) {
    if (observer.step) observer.step(environment, what, state, "");
  };
  const std::string stack = "bastide-app-" + app;
  const auto place = TRY(describe_stack(call, environment, stack));
  std::string group;
  if (place) {
    for (const auto& o : place->get_array("Outputs")) {
      if (o.get("OutputKey") == "TargetGroupArn") group = o.get("OutputValue");
    }
  }
  const json::Value named = json::object({{"cluster", a.name}, {"services", json::array({app})}});
  auto services = call(environment, "ecs", "DescribeServices", named);
  if (!services && !gone(services.error())) return std::move(services).error();
  bool active = false;
  if (services) {
    for (const auto& s : services->get_array("services")) active = active || s.get("status") == "ACTIVE";
  }
  if (active) {
    const std::string what = "service " + app;
    tell(what, "deleting");
    auto ended = call(environment, "ecs", "DeleteService",
                      json::object({{"cluster", a.name}, {"service", app}, {"force", true}}));
    if (!ended && !gone(ended.error())) return std::move(ended).error();
    for (Millis waited = 0;; waited += 200) {
      const json::Value tasks = TRY(
          call(environment, "ecs", "ListTasks", json::object({{"cluster", a.name}, {"serviceName", app}})));
      if (tasks.get_array("taskArns").empty()) break;
      if (waited > kServiceBound)
        return error("Timeout", "tasks of " + app + " do not end in " + environment);
      pause(200);
    }
    tell(what, "deleted");
  }
  if (group.empty()) return {};
  // Its rules: of the listeners of the balancers that the group stands behind.
  auto described = call(environment, "elbv2", "DescribeTargetGroups",
                        json::object({{"TargetGroupArns", json::array({group})}}));
  if (!described) return gone(described.error()) ? Result<void>() : std::move(described).error();
  for (const auto& g : described->get_array("TargetGroups")) {
    for (const auto& balancer : g.get_array("LoadBalancerArns")) {
      const json::Value listeners =
          TRY(call(environment, "elbv2", "DescribeListeners", json::object({{"LoadBalancerArn", balancer}})));
      for (const auto& l : listeners.get_array("Listeners")) {
        const json::Value rules = TRY(call(environment, "elbv2", "DescribeRules",
                                           json::object({{"ListenerArn", l.get("ListenerArn")}})));
        for (const auto& rule : rules.get_array("Rules")) {
          if (rule.get_bool("IsDefault") || json::print(rule).find(group) == std::string::npos) continue;
          TRY(call(environment, "elbv2", "DeleteRule", json::object({{"RuleArn", rule.get("RuleArn")}})));
        }
      }
    }
  }
  return {};
}

}  // namespace bastide::architecture
