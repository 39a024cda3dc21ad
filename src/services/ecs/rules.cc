#include "services/ecs/rules.h"

namespace bastide::services::ecs::rules {

namespace m = model::ecs;

namespace {

// Giving a role to a task needs iam:PassRole on it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
void pass(Targets& all, const std::optional<std::string>& role) {
  if (!role || role->empty()) return;
  auto& target = all.emplace_back();
  target.action = "iam:PassRole";
  target.resource = *role;
  target.context.emplace_back("iam:PassedToService", "ecs-tasks.amazonaws.com");
}

}  // namespace

aws::Rule<m::op::CreateCluster> create_cluster() {
  return {"ecs:CreateCluster",
          [](const aws::Call& call, const m::CreateClusterRequest& r) -> Result<Targets> {
            return one(cluster_arn(place_of(call), cluster_name(r.cluster_name)));
          }};
}
aws::Rule<m::op::DescribeClusters> describe_clusters() {
  return {"ecs:DescribeClusters",
          [](const aws::Call& call, const m::DescribeClustersRequest& r) -> Result<Targets> {
            Targets all;
            if (r.clusters) {
              for (const auto& name : *r.clusters) {
                all.emplace_back().resource = cluster_arn(place_of(call), short_name(name));
              }
            }
            if (all.empty()) all = one(cluster_arn(place_of(call), "default"));
            return all;
          }};
}
aws::Rule<m::op::DeleteCluster> delete_cluster() {
  return {"ecs:DeleteCluster",
          [](const aws::Call& call, const m::DeleteClusterRequest& r) -> Result<Targets> {
            return one(cluster_arn(place_of(call), short_name(r.cluster)));
          }};
}
aws::Rule<m::op::RegisterTaskDefinition> register_definition() {
  return {"ecs:RegisterTaskDefinition",
          [](const aws::Call& call, const m::RegisterTaskDefinitionRequest& r) -> Result<Targets> {
            Targets all =
                one(aws::make_arn("ecs", call.region, call.account, "task-definition/" + r.family + ":*"));
            pass(all, r.task_role_arn);
            pass(all, r.execution_role_arn);
            return all;
          }};
}
aws::Rule<m::op::CreateService> create_service() {
  return {"ecs:CreateService",
          [](const aws::Call& call, const m::CreateServiceRequest& r) -> Result<Targets> {
            Targets all = one(service_arn(place_of(call), cluster_name(r.cluster), r.service_name));
            all[0].context.emplace_back("ecs:cluster", cluster_arn(place_of(call), cluster_name(r.cluster)));
            if (r.task_definition) {
              all[0].context.emplace_back("ecs:task-definition",
                                          aws::make_arn("ecs", call.region, call.account,
                                                        "task-definition/" + short_name(*r.task_definition)));
            }
            return all;
          }};
}
aws::Rule<m::op::DescribeServices> describe_services() {
  return {"ecs:DescribeServices",
          [](const aws::Call& call, const m::DescribeServicesRequest& r) -> Result<Targets> {
            Targets all;
            for (const auto& name : r.services) {
              all.emplace_back().resource =
                  service_arn(place_of(call), cluster_name(r.cluster), short_name(name));
            }
            return all;
          }};
}
aws::Rule<m::op::RunTask> run_task() {
  return {"ecs:RunTask", [](const aws::Call& call, const m::RunTaskRequest& r) -> Result<Targets> {
            Targets all = one(aws::make_arn("ecs", call.region, call.account,
                                            "task-definition/" + short_name(r.task_definition)));
            all[0].context.emplace_back("ecs:cluster", cluster_arn(place_of(call), cluster_name(r.cluster)));
            if (r.overrides) {
              pass(all, r.overrides->task_role_arn);
              pass(all, r.overrides->execution_role_arn);
            }
            return all;
          }};
}
aws::Rule<m::op::StopTask> stop_task() {
  return {"ecs:StopTask", [](const aws::Call& call, const m::StopTaskRequest& r) -> Result<Targets> {
            return one(task_arn(place_of(call), cluster_name(r.cluster), short_name(r.task)));
          }};
}
aws::Rule<m::op::DescribeTasks> describe_tasks() {
  return {
      "ecs:DescribeTasks", [](const aws::Call& call, const m::DescribeTasksRequest& r) -> Result<Targets> {
        Targets all;
        for (const auto& task : r.tasks) {
          all.emplace_back().resource = task_arn(place_of(call), cluster_name(r.cluster), short_name(task));
        }
        return all;
      }};
}

}  // namespace bastide::services::ecs::rules
