// What ECS's operations are authorised against.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
#pragma once

#include <string>
#include <vector>

#include "aws/arn.h"
#include "aws/service.h"
#include "gen/ecs.h"
#include "services/ecs/rows.h"

namespace bastide::services::ecs::rules {

using Targets = std::vector<aws::Target>;

inline Targets one(std::string resource) {
  Targets all(1);
  all[0].resource = std::move(resource);
  return all;
}
inline Place place_of(const aws::Call& call) { return {call.account, call.region}; }

template <class Op>
aws::Rule<Op> by_arn(const char* action) {
  return {action, [](const aws::Call&, const typename Op::Request& r) -> Result<Targets> {
            return one(r.resource_arn);
          }};
}
template <class Op>
aws::Rule<Op> by_service(const char* action) {
  return {action, [](const aws::Call& call, const typename Op::Request& r) -> Result<Targets> {
            return one(service_arn(place_of(call), cluster_name(r.cluster), short_name(r.service)));
          }};
}

aws::Rule<model::ecs::op::CreateCluster> create_cluster();
aws::Rule<model::ecs::op::DescribeClusters> describe_clusters();
aws::Rule<model::ecs::op::DeleteCluster> delete_cluster();
aws::Rule<model::ecs::op::RegisterTaskDefinition> register_definition();
aws::Rule<model::ecs::op::CreateService> create_service();
aws::Rule<model::ecs::op::DescribeServices> describe_services();
aws::Rule<model::ecs::op::RunTask> run_task();
aws::Rule<model::ecs::op::StopTask> stop_task();
aws::Rule<model::ecs::op::DescribeTasks> describe_tasks();

}  // namespace bastide::services::ecs::rules
