// Why tasks of a deployment ended, in words: ECS's reason, the exit status, and the last lines they wrote.
#include <fmt/format.h>

#include "base/bytes.h"
#include "delivery/deploy.h"

namespace bastide::delivery {
namespace {

constexpr int kLastLines = 10;
constexpr int kMaxTasks = 100;

}  // namespace

std::string Deployer::why_tasks_ended(const aws::Principal& principal, const Plan& plan, const App& app,
                                      const Placement& placement, const std::string& task_definition, const Say& say) {
  const auto call = [&](const char* service, const char* operation, const json::Value& input) {
    return client_.call(principal, placement.account, plan.region, service, operation, input);
  };
  const auto stopped = call("ecs", "ListTasks", json::object({{"cluster", placement.cluster},
                                                              {"family", app.name},
                                                              {"desiredStatus", "STOPPED"},
                                                              {"maxResults", kMaxTasks}}));
  if (!stopped || stopped->get_array("taskArns").empty()) return "";
  const auto described = call("ecs", "DescribeTasks", json::object({{"cluster", placement.cluster}, {"tasks", stopped->get_array("taskArns")}}));
  if (!described) return "";
  for (const auto& task : described->get_array("tasks")) {
    const std::string code = task.get("stopCode");
    const std::string reason = task.get("stoppedReason");
    const bool failed = code == "EssentialContainerExited" || code == "TaskFailedToStart" || reason.find("health checks") != std::string::npos;
    if (task.get("taskDefinitionArn") != task_definition || !failed) continue;
    std::string why = reason;
    for (const auto& container : task.get_array("containers")) {
      if (const json::Value* status = container.find("exitCode")) why += fmt::format(" (exit status {})", status->number());
      if (!container.get("reason").empty()) why += "; " + container.get("reason");
    }
    const std::string arn = task.get("taskArn");
    const std::string stream = fmt::format("{0}/{0}/{1}", app.name, arn.substr(arn.rfind('/') + 1));
    const auto lines = call("logs", "GetLogEvents", json::object({{"logGroupName", placement.log_group}, {"logStreamName", stream}, {"limit", kLastLines}, {"startFromHead", false}}));
    if (lines && !lines->get_array("events").empty()) {
      say("  the last it wrote:");
      for (const auto& event : lines->get_array("events")) say("    " + std::string(trim(event.get("message"))));
    }
    return why;
  }
  return "";
}

}  // namespace bastide::delivery
