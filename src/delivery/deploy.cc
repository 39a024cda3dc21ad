#include "delivery/deploy.h"

#include <fmt/format.h>

#include <set>

#include "net/loop.h"

namespace bastide::delivery {
namespace {

constexpr Millis kPoll = 100;
constexpr Millis kPatience = 15 * kMinute;
constexpr size_t kHistory = 50;

json::Array strings(const std::vector<std::string>& in) { return json::Array(in.begin(), in.end()); }

}  // namespace

Result<std::string> Deployer::register_task(const aws::Principal& principal, const Plan& plan, const App& app,
                                            const Placement& placement, const json::Value& release) {
  json::Array environment;
  auto variables = placement.variables;
  variables.try_emplace("ENVIRONMENT", placement.environment);
  variables.try_emplace("PORT", std::to_string(app.port));
  for (const auto& [name, value] : variables) environment.push_back(json::object({{"name", name}, {"value", value}}));
  const json::Value container = json::object(
      {{"name", app.name},
       {"image", release.get("imageUri")},
       {"essential", true},
       {"portMappings", json::array({json::object({{"containerPort", app.port}, {"protocol", "tcp"}})})},
       {"environment", std::move(environment)},
       {"logConfiguration", json::object({{"logDriver", "awslogs"},
                                          {"options", json::object({{"awslogs-group", placement.log_group},
                                                                    {"awslogs-region", plan.region},
                                                                    {"awslogs-stream-prefix", app.name}})}})}});
  const auto answer = TRY(client_.call(
      principal, placement.account, plan.region, "ecs", "RegisterTaskDefinition",
      json::object({{"family", app.name},
                    {"networkMode", "awsvpc"},
                    {"requiresCompatibilities", json::array({"FARGATE"})},
                    {"cpu", std::to_string(placement.cpu)},
                    {"memory", std::to_string(placement.memory)},
                    {"taskRoleArn", placement.task_role},
                    {"executionRoleArn", placement.execution_role},
                    {"containerDefinitions", json::array({container})},
                    {"tags", json::array({json::object({{"key", "bastide:commit"}, {"value", release.get("commit")}})})}})));
  const json::Value* definition = answer.find("taskDefinition");
  if (!definition) return error("ECS answered no task definition");
  return definition->get("taskDefinitionArn");
}

// The rule that sends the app's host name to its tasks, once; ECS wants the target group to have a load balancer.
Result<void> Deployer::ensure_rule(const aws::Principal& principal, const Plan& plan, const Placement& placement) {
  const auto call = [&](const char* operation, const json::Value& input) {
    return client_.call(principal, placement.account, plan.region, "elbv2", operation, input);
  };
  const auto rules = TRY(call("DescribeRules", json::object({{"ListenerArn", placement.listener}})));
  for (const auto& rule : rules.get_array("Rules")) {
    if (rule.get("Priority") == std::to_string(placement.priority)) return {};
  }
  const json::Value condition = json::object(
      {{"Field", "host-header"}, {"HostHeaderConfig", json::object({{"Values", json::array({placement.host})}})}});
  TRY(call("CreateRule", json::object({{"ListenerArn", placement.listener},
                                       {"Priority", placement.priority},
                                       {"Conditions", json::array({condition})},
                                       {"Actions", json::array({json::object({{"Type", "forward"}, {"TargetGroupArn", placement.target_group}})})}})));
  return {};
}

Result<void> Deployer::update_service(const aws::Principal& principal, const Plan& plan, const App& app,
                                      const Placement& placement, const std::string& task_definition) {
  const auto call = [&](const char* operation, const json::Value& input) {
    return client_.call(principal, placement.account, plan.region, "ecs", operation, input);
  };
  const auto found = TRY(call("DescribeServices", json::object({{"cluster", placement.cluster}, {"services", json::array({app.name})}})));
  for (const auto& service : found.get_array("services")) {
    if (service.get("status") != "ACTIVE") continue;
    TRY(call("UpdateService", json::object({{"cluster", placement.cluster},
                                            {"service", app.name},
                                            {"taskDefinition", task_definition},
                                            {"desiredCount", placement.count}})));
    return {};
  }
  const json::Value network = json::object({{"awsvpcConfiguration", json::object({{"subnets", strings(placement.subnets)},
                                                                                {"securityGroups", strings(placement.security_groups)},
                                                                                {"assignPublicIp", "DISABLED"}})}});
  const json::Value balancer = json::object(
      {{"targetGroupArn", placement.target_group}, {"containerName", app.name}, {"containerPort", app.port}});
  const json::Value deployment =
      json::object({{"deploymentCircuitBreaker", json::object({{"enable", true}, {"rollback", true}})},
                    {"minimumHealthyPercent", 100},
                    {"maximumPercent", 200}});
  TRY(ensure_rule(principal, plan, placement));
  TRY(call("CreateService", json::object({{"cluster", placement.cluster},
                                          {"serviceName", app.name},
                                          {"taskDefinition", task_definition},
                                          {"desiredCount", placement.count},
                                          {"launchType", "FARGATE"},
                                          {"networkConfiguration", network},
                                          {"loadBalancers", json::array({balancer})},
                                          {"deploymentConfiguration", deployment}})));
  return {};
}

Result<void> Deployer::wait_until_stable(const aws::Principal& principal, const Plan& plan, const App& app,
                                         const Placement& placement, const std::string& task_definition, const Say& say) {
  const Millis deadline = clock_.steady() + kPatience;
  std::set<std::string> told;
  bool first = true;
  for (;;) {
    const auto found =
        TRY(client_.call(principal, placement.account, plan.region, "ecs", "DescribeServices",
                         json::object({{"cluster", placement.cluster}, {"services", json::array({app.name})}})));
    if (found.get_array("services").empty()) return error("the service " + app.name + " is gone");
    const auto& service = found.get_array("services").front();
    // Events come newest first; those of before this deployment are not news.
    const auto& events = service.get_array("events");
    for (auto event = events.rbegin(); event != events.rend(); ++event) {
      if (told.insert(event->get("id")).second && !first) say("  " + event->get("message"));
    }
    first = false;
    bool ours = false;
    std::string failure;
    for (const auto& d : service.get_array("deployments")) {
      if (d.get("taskDefinition") != task_definition) continue;
      ours = true;
      const std::string state = d.get("rolloutState");
      if (state == "COMPLETED") return {};
      if (state == "FAILED") failure = d.get("rolloutStateReason", "the deployment failed");
    }
    if (!ours) failure = "the deployment was rolled back: its tasks never became healthy";
    if (!failure.empty()) {
      const std::string why = why_tasks_ended(principal, plan, app, placement, task_definition, say);
      return error("Failed", why.empty() ? failure : failure + " " + why);
    }
    if (clock_.steady() > deadline) return error("Timeout", "not stable after " + human_duration(kPatience));
    net::sleep_for(kPoll);
  }
}

Result<void> Deployer::deploy(const Plan& plan, const App& app, const Placement& placement, const json::Value& release,
                              const Say& say) {
  const auto principal = TRY(assume_(placement.deploy_role, "delivery"));
  const std::string id = release.get("releaseId");
  TRY(records_.change_deployment(app.name, placement.environment, [&](json::Value& d) {
    d["health"] = "DEPLOYING";
    d["deployingReleaseId"] = id;
    d.remove("message");
  }));
  const auto outcome = [&]() -> Result<void> {
    const std::string definition = TRY(register_task(principal, plan, app, placement, release));
    TRY(update_service(principal, plan, app, placement, definition));
    return wait_until_stable(principal, plan, app, placement, definition, say);
  }();
  TRY(records_.change_deployment(app.name, placement.environment, [&](json::Value& d) {
    d.remove("deployingReleaseId");
    if (!outcome) {
      d["health"] = d.has("releaseId") ? "HEALTHY" : "DEGRADED";
      d["message"] = "release " + release.get("commit").substr(0, 12) + " failed: " + outcome.error().message;
      return;
    }
    d["health"] = "HEALTHY";
    d["releaseId"] = id;
    d["commit"] = release.get("commit");
    d["imageDigest"] = release.get("imageDigest");
    d["deployedAt"] = static_cast<double>(clock_.wall()) / 1000;
    json::Array history = d.get_array("history");
    std::erase_if(history, [&](const json::Value& v) { return v.is_string() && v.string() == id; });
    history.emplace_back(id);
    if (history.size() > kHistory) history.erase(history.begin());
    d["history"] = std::move(history);
  }));
  if (!outcome) return outcome;
  return records_.change_release(id, [&](json::Value& r) -> Result<void> {
    json::Array environments = r.get_array("environments");
    const bool known = std::any_of(environments.begin(), environments.end(),
                                   [&](const auto& v) { return v.is_string() && v.string() == placement.environment; });
    if (!known) environments.emplace_back(placement.environment);
    r["environments"] = std::move(environments);
    if (r.get("state") == "BUILT" || r.get("state") == "FAILED") r["state"] = "DEPLOYED";
    return {};
  });
}

}  // namespace bastide::delivery
