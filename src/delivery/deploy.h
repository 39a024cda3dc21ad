// One release onto one environment: a new task definition by digest, the ECS service made or updated, and the wait
// until ECS says that the deployment completed or failed. Calls ECS as anyone does, with the environment's deploy
// role. Waits.
#pragma once

#include <functional>
#include <string>

#include "aws/local_client.h"
#include "internal/plan.h"
#include "delivery/records.h"

namespace bastide::delivery {

using AssumeRole = std::function<Result<aws::Principal>(const std::string& role_arn, const std::string& session_name)>;
using Say = std::function<void(std::string line)>;

class Deployer {
 public:
  Deployer(aws::LocalClient& client, Records& records, AssumeRole assume, Clock& clock)
      : client_(client), records_(records), assume_(std::move(assume)), clock_(clock) {}

  // An error says why, with the failing task's own words where there are any. The environment's record is kept.
  Result<void> deploy(const Plan& plan, const App& app, const Placement& placement, const json::Value& release,
                      const Say& say);

 private:
  Result<std::string> register_task(const aws::Principal& principal, const Plan& plan, const App& app,
                                    const Placement& placement, const json::Value& release);
  Result<void> ensure_rule(const aws::Principal& principal, const Plan& plan, const Placement& placement);
  Result<void> update_service(const aws::Principal& principal, const Plan& plan, const App& app,
                              const Placement& placement, const std::string& task_definition);
  Result<void> wait_until_stable(const aws::Principal& principal, const Plan& plan, const App& app,
                                 const Placement& placement, const std::string& task_definition, const Say& say);
  // Tells the first failed task's last lines; its reason, or nothing where none is known.
  std::string why_tasks_ended(const aws::Principal& principal, const Plan& plan, const App& app, const Placement& placement,
                              const std::string& task_definition, const Say& say);

  aws::LocalClient& client_;
  Records& records_;
  AssumeRole assume_;
  Clock& clock_;
};

}  // namespace bastide::delivery
