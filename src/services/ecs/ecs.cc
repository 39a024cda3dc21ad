#include "services/ecs/ecs.h"

#include "services/ecs/rules.h"

namespace bastide::services {

namespace op = model::ecs::op;

Ecs::Ecs(EcsParts parts) : parts_(std::move(parts)) {}
Ecs::~Ecs() = default;

void Ecs::offer(aws::Registry& registry) {
  namespace rules = ecs::rules;
  registry.add<op::CreateCluster>(this, &Ecs::typed<op::CreateCluster, &Ecs::create_cluster>,
                                  rules::create_cluster());
  registry.add<op::DescribeClusters>(this, &Ecs::typed<op::DescribeClusters, &Ecs::describe_clusters>,
                                     rules::describe_clusters());
  registry.add<op::ListClusters>(this, &Ecs::typed<op::ListClusters, &Ecs::list_clusters>,
                                 {"ecs:ListClusters"});
  registry.add<op::DeleteCluster>(this, &Ecs::typed<op::DeleteCluster, &Ecs::delete_cluster>,
                                  rules::delete_cluster());
  registry.add<op::TagResource>(this, &Ecs::typed<op::TagResource, &Ecs::tag_resource>,
                                rules::by_arn<op::TagResource>("ecs:TagResource"));
  registry.add<op::UntagResource>(this, &Ecs::typed<op::UntagResource, &Ecs::untag_resource>,
                                  rules::by_arn<op::UntagResource>("ecs:UntagResource"));
  registry.add<op::ListTagsForResource>(this,
                                        &Ecs::typed<op::ListTagsForResource, &Ecs::list_tags_for_resource>,
                                        rules::by_arn<op::ListTagsForResource>("ecs:ListTagsForResource"));
  registry.add<op::RegisterTaskDefinition>(
      this, &Ecs::typed<op::RegisterTaskDefinition, &Ecs::register_task_definition>,
      rules::register_definition());
  registry.add<op::DeregisterTaskDefinition>(
      this, &Ecs::typed<op::DeregisterTaskDefinition, &Ecs::deregister_task_definition>,
      {"ecs:DeregisterTaskDefinition"});
  registry.add<op::DescribeTaskDefinition>(
      this, &Ecs::typed<op::DescribeTaskDefinition, &Ecs::describe_task_definition>,
      {"ecs:DescribeTaskDefinition"});
  registry.add<op::ListTaskDefinitions>(
      this, &Ecs::typed<op::ListTaskDefinitions, &Ecs::list_task_definitions>, {"ecs:ListTaskDefinitions"});
  registry.add<op::ListTaskDefinitionFamilies>(
      this, &Ecs::typed<op::ListTaskDefinitionFamilies, &Ecs::list_task_definition_families>,
      {"ecs:ListTaskDefinitionFamilies"});
  registry.add<op::CreateService>(this, &Ecs::typed<op::CreateService, &Ecs::create_service>,
                                  rules::create_service());
  registry.add<op::UpdateService>(this, &Ecs::typed<op::UpdateService, &Ecs::update_service>,
                                  rules::by_service<op::UpdateService>("ecs:UpdateService"));
  registry.add<op::DeleteService>(this, &Ecs::typed<op::DeleteService, &Ecs::delete_service>,
                                  rules::by_service<op::DeleteService>("ecs:DeleteService"));
  registry.add<op::DescribeServices>(this, &Ecs::typed<op::DescribeServices, &Ecs::describe_services>,
                                     rules::describe_services());
  registry.add<op::ListServices>(this, &Ecs::typed<op::ListServices, &Ecs::list_services>,
                                 {"ecs:ListServices"});
  registry.add<op::RunTask>(this, &Ecs::typed<op::RunTask, &Ecs::run_task>, rules::run_task());
  registry.add<op::StopTask>(this, &Ecs::typed<op::StopTask, &Ecs::stop_task>, rules::stop_task());
  registry.add<op::ListTasks>(this, &Ecs::typed<op::ListTasks, &Ecs::list_tasks>, {"ecs:ListTasks"});
  registry.add<op::DescribeTasks>(this, &Ecs::typed<op::DescribeTasks, &Ecs::describe_tasks>,
                                  rules::describe_tasks());
}

Result<void> Ecs::start() {
  parts_.runner.on_events({[this] { connected(); },
                           [this](internal::TaskState state) { return changed(state); },
                           [this](ecs::TaskOutput out) { return output(out); }});
  parts_.database.run_jobs("ecs.task", [this](store::Job& job) { return run_task_job(job); });
  parts_.database.run_jobs("ecs.service", [this](store::Job& job) { return reconcile(job); });
  return {};
}

namespace ecs {
aws::Principal service_principal() { return aws::Principal::service("ecs.amazonaws.com"); }
}  // namespace ecs

}  // namespace bastide::services
