// AWS::ECS::Cluster, TaskDefinition, Service. A service is there when it is stable.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_ECS.html
#include "services/cloudformation/handler.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

constexpr Millis kStable = 3 * kHour;  // AWS gives up on a service after three hours
constexpr Millis kGone = 30 * kMinute;
constexpr Millis kPoll = 250;

Value ecs_tags(const Value& tags) {
  Value out = json::array();
  for (const auto& tag : tags.array())
    out.push(json::object({{"key", tag.get("Key")}, {"value", tag.get("Value")}}));
  return out;
}

std::string camel(const char* key) {
  std::string out = key;
  out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

Value input(const Context& c, const Value& p, std::initializer_list<const char*> keys) {
  Value out = json::object();
  for (const char* key : keys) {
    if (const Value* v = p.find(key)) out[camel(key)] = camel_keys(c.type, key, *v);
  }
  return out;
}

Result<void> retag(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty()) {
    TRY(done(
        c.call("ecs", "TagResource", json::object({{"resourceArn", arn}, {"tags", ecs_tags(change.set)}}))));
  }
  if (!change.remove.array().empty()) {
    TRY(done(
        c.call("ecs", "UntagResource", json::object({{"resourceArn", arn}, {"tagKeys", change.remove}}))));
  }
  return {};
}

void with_tags(const Context& c, const Value& p, Value& in) {
  Value tags = ecs_tags(c.tags(p));
  if (!tags.array().empty()) in["tags"] = std::move(tags);
}

// ---- Cluster

std::string cluster_arn(const Context& c, const std::string& name) {
  return "arn:aws:ecs:" + c.region + ":" + c.account + ":cluster/" + name;
}

Result<Made> make_cluster(const Context& c, const Value& p) {
  const std::string name = c.name(p, "ClusterName", 255);
  Value in = input(c, p, {"CapacityProviders", "Configuration", "DefaultCapacityProviderStrategy"});
  if (const Value* settings = p.find("ClusterSettings"))
    in["settings"] = camel_keys(c.type, "ClusterSettings", *settings);
  in["clusterName"] = name;
  with_tags(c, p, in);
  TRY(done(c.call("ecs", "CreateCluster", std::move(in))));
  return Made{name, json::object({{"Arn", cluster_arn(c, name)}})};
}

Result<void> apply_cluster(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  if (differs(old, next, "ClusterSettings") || differs(old, next, "Configuration")) {
    Value in = input(c, next, {"Configuration"});
    if (const Value* v = next.find("ClusterSettings"))
      in["settings"] = camel_keys(c.type, "ClusterSettings", *v);
    in["cluster"] = name;
    TRY(done(c.call("ecs", "UpdateCluster", std::move(in))));
  }
  if (differs(old, next, "CapacityProviders") || differs(old, next, "DefaultCapacityProviderStrategy")) {
    Value in = json::object({{"cluster", name},
                             {"capacityProviders", json::array()},
                             {"defaultCapacityProviderStrategy", json::array()}});
    for (const auto& [key, v] :
         input(c, next, {"CapacityProviders", "DefaultCapacityProviderStrategy"}).object())
      in[key] = v;
    TRY(done(c.call("ecs", "PutClusterCapacityProviders", std::move(in))));
  }
  return retag(c, cluster_arn(c, name), old, next);
}

Result<void> remove_cluster(const Context& c, const std::string& name, const Value&) {
  return unless_missing(c.call("ecs", "DeleteCluster", json::object({{"cluster", name}})));
}

Result<Value> cluster_attributes(const Context& c, const std::string& name, const Value&) {
  return json::object({{"Arn", cluster_arn(c, name)}});
}

Result<std::string> find_cluster(const Context& c, const Value& p) {
  const std::string name = c.name(p, "ClusterName", 255);
  const Value out = TRY(c.call("ecs", "DescribeClusters", json::object({{"clusters", json::array({name})}})));
  for (const auto& cluster : out.get_array("clusters")) {
    if (cluster.get("status") == "ACTIVE") return name;
  }
  return std::string();
}

// ---- TaskDefinition

Result<Made> make_task(const Context& c, const Value& p) {
  Value in = input(c, p,
                   {"ContainerDefinitions", "Cpu", "EphemeralStorage", "ExecutionRoleArn", "IpcMode",
                    "Memory", "NetworkMode", "PidMode", "PlacementConstraints", "RequiresCompatibilities",
                    "RuntimePlatform", "TaskRoleArn", "Volumes"});
  in["family"] = c.name(p, "Family", 255);
  with_tags(c, p, in);
  const Value out = TRY(c.call("ecs", "RegisterTaskDefinition", std::move(in)));
  const Value* task = out.find("taskDefinition");
  const std::string arn = task == nullptr ? "" : task->get("taskDefinitionArn");
  return Made{arn, json::object({{"TaskDefinitionArn", arn}})};
}

Result<void> apply_task(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  return old.is_null() ? Result<void>() : retag(c, arn, old, next);
}

Result<void> remove_task(const Context& c, const std::string& arn, const Value&) {
  auto out = c.call("ecs", "DeregisterTaskDefinition", json::object({{"taskDefinition", arn}}));
  if (!out && out.error().code == "ClientException")
    return {};  // "The specified task definition does not exist."
  return unless_missing(std::move(out));
}

Result<Value> task_attributes(const Context&, const std::string& arn, const Value&) {
  return json::object({{"TaskDefinitionArn", arn}});
}

// The family's newest revision, when it came after the attempt began.
Result<std::string> find_task(const Context& c, const Value& p) {
  auto out =
      c.call("ecs", "DescribeTaskDefinition", json::object({{"taskDefinition", c.name(p, "Family", 255)}}));
  if (!out) return std::string();
  const Value* task = out->find("taskDefinition");
  const Value* made = task == nullptr ? nullptr : task->find("registeredAt");
  if (made == nullptr || !made->is_number() || (made->number() + 1) * 1000 < static_cast<double>(c.started))
    return std::string();
  const std::string arn = task->get("taskDefinitionArn");
  return only_in({arn}, c.known).empty() ? std::string() : arn;
}

// ---- Service

Result<Value> describe_service(const Context& c, const std::string& cluster, const std::string& service) {
  const Value out = TRY(c.call("ecs", "DescribeServices",
                               json::object({{"cluster", cluster}, {"services", json::array({service})}})));
  if (out.get_array("services").empty()) return fault("ServiceNotFoundException", "Service not found.");
  return out.get_array("services")[0];
}

std::string cluster_of(const Value& p) { return p.get("Cluster", "default"); }

Result<void> wait_stable(const Context& c, const std::string& arn, const Value& p) {
  return c.wait_until(kStable, kPoll, [&]() -> Result<bool> {
    const Value service = TRY(describe_service(c, cluster_of(p), arn));
    const auto& deployments = service.get_array("deployments");
    for (const auto& deployment : deployments) {
      if (deployment.get("status") == "PRIMARY" && deployment.get("rolloutState") == "FAILED") {
        return fault("NotStabilized",
                     "ECS Deployment Circuit Breaker was triggered: " + deployment.get("rolloutStateReason"));
      }
    }
    return deployments.size() <= 1 && service.get_int("runningCount") == service.get_int("desiredCount") &&
           (deployments.empty() || deployments[0].get("rolloutState", "COMPLETED") == "COMPLETED");
  });
}

Result<Made> make_service(const Context& c, const Value& p) {
  Value in = input(c, p,
                   {"CapacityProviderStrategy", "Cluster", "DeploymentConfiguration", "DeploymentController",
                    "DesiredCount", "EnableECSManagedTags", "EnableExecuteCommand",
                    "HealthCheckGracePeriodSeconds", "LaunchType", "LoadBalancers", "NetworkConfiguration",
                    "PlatformVersion", "PropagateTags", "SchedulingStrategy", "TaskDefinition"});
  if (in.get("schedulingStrategy") != "DAEMON" && !in.has("desiredCount")) in["desiredCount"] = 1;
  in["serviceName"] = c.name(p, "ServiceName", 255);
  in["clientToken"] = c.token;
  with_tags(c, p, in);
  const Value out = TRY(c.call("ecs", "CreateService", std::move(in)));
  const Value* service = out.find("service");
  const std::string arn = service == nullptr ? "" : service->get("serviceArn");
  return Made{arn, json::object({{"ServiceArn", arn}, {"Name", c.name(p, "ServiceName", 255)}})};
}

Result<void> apply_service(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (!old.is_null()) {
    for (const char* fixed : {"LaunchType", "DeploymentController"}) {
      if (differs(old, next, fixed)) return not_updatable(c, fixed);
    }
    Value in = input(
        c, next,
        {"CapacityProviderStrategy", "Cluster", "DeploymentConfiguration", "DesiredCount",
         "EnableECSManagedTags", "EnableExecuteCommand", "HealthCheckGracePeriodSeconds", "LoadBalancers",
         "NetworkConfiguration", "PlatformVersion", "PropagateTags", "TaskDefinition", "ForceNewDeployment"});
    if (const Value* force = next.find("ForceNewDeployment")) {
      in["forceNewDeployment"] = force->get_bool("EnableForceNewDeployment");
    }
    in["service"] = arn;
    TRY(done(c.call("ecs", "UpdateService", std::move(in))));
    TRY(retag(c, arn, old, next));
  }
  return wait_stable(c, arn, next);
}

Result<void> remove_service(const Context& c, const std::string& arn, const Value& p) {
  auto out = c.call("ecs", "DeleteService",
                    json::object({{"cluster", cluster_of(p)}, {"service", arn}, {"force", true}}));
  if (!out && out.error().code == "ServiceNotActiveException") return {};
  if (!out) return unless_missing(std::move(out));
  return c.wait_until(kGone, kPoll, [&]() -> Result<bool> {
    auto service = describe_service(c, cluster_of(p), arn);
    if (!service && is_missing(service.error())) return true;
    if (!service) return std::move(service).error();
    return service->get("status") == "INACTIVE";
  });
}

Result<Value> service_attributes(const Context& c, const std::string& arn, const Value& p) {
  const Value service = TRY(describe_service(c, cluster_of(p), arn));
  return json::object({{"ServiceArn", arn}, {"Name", service.get("serviceName")}});
}

Result<std::string> find_service(const Context& c, const Value& p) {
  auto service = describe_service(c, cluster_of(p), c.name(p, "ServiceName", 255));
  if (!service && is_missing(service.error())) return std::string();
  if (!service) return std::move(service).error();
  return service->get("status") == "ACTIVE" ? service->get("serviceArn") : std::string();
}

}  // namespace

void add_ecs(Handlers& h) {
  h["AWS::ECS::Cluster"] = {.name_property = "ClusterName",
                            .make = make_cluster,
                            .apply = apply_cluster,
                            .remove = remove_cluster,
                            .attributes = cluster_attributes,
                            .find = find_cluster};
  h["AWS::ECS::TaskDefinition"] = {.make = make_task,
                                   .apply = apply_task,
                                   .remove = remove_task,
                                   .attributes = task_attributes,
                                   .find = find_task};
  h["AWS::ECS::Service"] = {.name_property = "ServiceName",
                            .waits = true,
                            .make = make_service,
                            .apply = apply_service,
                            .remove = remove_service,
                            .attributes = service_attributes,
                            .find = find_service};
}

}  // namespace bastide::services::cfn
