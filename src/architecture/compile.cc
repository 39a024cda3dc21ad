#include <fmt/format.h>

#include "architecture/architecture.h"
#include "architecture/cloud.h"
#include "architecture/own_stacks.h"
#include "architecture/templates.h"
#include "yaml/yaml.h"

namespace bastide::architecture {
namespace {

Result<std::string> output_of(const Outputs& outputs, const std::string& stack, const std::string& key) {
  auto it = outputs.find(stack);
  if (it != outputs.end()) {
    auto value = it->second.find(key);
    if (value != it->second.end()) return value->second;
  }
  return error("NotFound", fmt::format("the stack {} has no output {}; run up again", stack, key));
}

}  // namespace

Result<std::vector<Stack>> compile(const Architecture& a,
                                   const std::map<std::string, std::string>& accounts) {
  std::vector<std::string> names = {"management", "security", "shared-services"};
  for (const auto& e : a.environments) names.push_back(e.name);
  for (const auto& name : names) {
    if (accounts.count(name) == 0) return error("NotFound", "the account " + name + " is not known");
  }
  std::vector<Stack> out;
  auto add = [&](const std::string& account, const std::string& name, const json::Value& body,
                 std::vector<std::string> after = {}) {
    out.push_back({account, name, yaml::print(body), {}, std::move(after), {{kArchitectureTag, a.name}}, {}});
  };
  for (const auto& name : names) add(name, "bastide-access", access_template(a, accounts, name));
  if (!a.policies.empty()) add("management", "bastide-policies", policies_template(a, accounts));
  add("security", "bastide-people", people_template(a, accounts));
  add("shared-services", "bastide-network",
      network_template("shared-services", kSharedCidr, false, peering_role(a, accounts)));
  const std::string shared_network = "shared-services/bastide-network";
  Stack ways{"shared-services", "bastide-peering", yaml::print(peering_routes_template(a)), {}, {shared_network}, {{kArchitectureTag, a.name}}, {}};
  add("shared-services", "bastide-shared", shared_template(a, accounts));
  for (const auto& e : a.environments) {
    add(e.name, "bastide-network", network_template(e.name, e.cidr, true));
    add(e.name, "bastide-peering", peering_template(accounts, e.name), {e.name + "/bastide-network", shared_network});
    out.back().inputs = {{"PeerVpcId", shared_network + ":VpcId"}, {"PeerRoleArn", shared_network + ":PeerRoleArn"}};
    ways.after.push_back(e.name + "/bastide-peering");
    ways.inputs["Peering" + logical(e.name)] = e.name + "/bastide-peering:PeeringId";
    add(e.name, "bastide-platform", platform_template(a, accounts, e.name), {e.name + "/bastide-network"});
    int priority = 10;
    for (const auto& app : a.apps) {
      add(e.name, "bastide-app-" + app.name, app_template(a, app, e.name, priority),
          {e.name + "/bastide-platform"});
      if (!app.static_folder.empty())
        add(e.name, "bastide-static-" + app.name, static_template(a, accounts, app, e.name));
      priority += 10;
    }
    std::vector<std::string> watched = {e.name + "/bastide-platform"};
    for (const auto& app : a.apps) watched.push_back(e.name + "/bastide-app-" + app.name);
    add(e.name, "bastide-monitoring", monitoring_template(a, e.name), std::move(watched));
  }
  out.push_back(std::move(ways));
  TRY(add_own_stacks(a, out));
  return out;
}

Result<internal::Plan> delivery_plan(const Architecture& a,
                                     const std::map<std::string, std::string>& accounts,
                                     const Outputs& outputs, int https_port) {
  internal::Plan plan;
  plan.name = a.name;
  plan.region = a.region;
  auto shared = accounts.find("shared-services");
  if (shared == accounts.end()) return error("NotFound", "the account shared-services is not known");
  plan.account = shared->second;
  plan.pipeline_role = TRY(output_of(outputs, "shared-services/bastide-shared", "PipelineRoleArn"));
  plan.branch = a.branch;
  plan.promote_tag = a.promote_tag;
  plan.promote_branch = a.promote_branch;
  plan.approval = a.approval;
  int priority = 0;
  for (const auto& app : a.apps) {
    priority += 10;  // as compile() counts
    internal::App one;
    one.name = app.name;
    one.dockerfile = app.dockerfile;
    one.build_image = app.build_image;
    one.network = app.network;
    if (!app.build.empty()) one.steps.push_back({"build", app.build});
    if (!app.test.empty()) one.steps.push_back({"test", app.test});
    one.port = app.port;
    one.static_folder = app.static_folder;
    for (const auto& e : a.environments) {
      auto id = accounts.find(e.name);
      if (id == accounts.end()) return error("NotFound", "the account " + e.name + " is not known");
      internal::Placement p;
      p.environment = e.name;
      p.account = id->second;
      const std::string network = e.name + "/bastide-network", platform = e.name + "/bastide-platform",
                        place = e.name + "/bastide-app-" + app.name;
      p.deploy_role = TRY(output_of(outputs, platform, "DeployRoleArn"));
      p.cluster = TRY(output_of(outputs, platform, "ClusterName"));
      p.execution_role = TRY(output_of(outputs, platform, "ExecutionRoleArn"));
      p.task_role = TRY(output_of(outputs, place, "TaskRoleArn"));
      p.log_group = TRY(output_of(outputs, place, "LogGroup"));
      p.target_group = TRY(output_of(outputs, place, "TargetGroupArn"));
      std::string subnet = TRY(output_of(outputs, network, "SubnetA"));
      p.subnets.push_back(std::move(subnet));
      subnet = TRY(output_of(outputs, network, "SubnetB"));
      p.subnets.push_back(std::move(subnet));
      std::string group = TRY(output_of(outputs, network, "AppGroup"));
      p.security_groups.push_back(std::move(group));
      if (auto size = app.sizes.find(e.name); size != app.sizes.end()) {
        p.count = size->second.count;
        p.cpu = size->second.cpu;
        p.memory = size->second.memory;
      }
      if (auto variables = app.variables.find(e.name); variables != app.variables.end())
        p.variables = variables->second;
      const std::string host = TRY(output_of(outputs, place, "HostName"));
      p.listener = TRY(output_of(outputs, platform, "ListenerArn"));
      p.host = host;
      p.priority = priority;
      p.url = "https://" + host + (https_port == 443 ? "" : fmt::format(":{}", https_port));
      if (!app.static_folder.empty()) {
        const std::string files = e.name + "/bastide-static-" + app.name;
        p.static_bucket = TRY(output_of(outputs, files, "BucketName"));
        p.static_distribution = TRY(output_of(outputs, files, "DistributionId"));
        p.static_role = TRY(output_of(outputs, files, "PublishRoleArn"));
        const std::string name = TRY(output_of(outputs, files, "StaticHostName"));
        p.static_url = "https://" + name + (https_port == 443 ? "" : fmt::format(":{}", https_port));
      }
      one.placements.push_back(std::move(p));
    }
    plan.apps.push_back(std::move(one));
  }
  return plan;
}

}  // namespace bastide::architecture
