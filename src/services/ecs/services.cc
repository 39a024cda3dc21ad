// Services: what was asked. What happens then is reconcile.cc.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/crypto.h"
#include "services/ecs/ecs.h"

namespace bastide::services {

using ecs::Place;

namespace {

constexpr size_t kPage = 10;
constexpr int64_t kMaxTasks = 5'000;

Error invalid(std::string message) { return fault("InvalidParameterException", std::move(message)); }

std::string cluster_of(const json::Value& in) { return ecs::cluster_name(in.get("cluster")); }

Result<void> check_service(const json::Value& in) {
  for (const char* member : {"serviceRegistries", "placementConstraints", "placementStrategy",
                             "volumeConfigurations", "vpcLatticeConfigurations"}) {
    if (!in.get_array(member).empty())
      return invalid(fmt::format("{} is not supported by this ECS.", member));
  }
  if (const json::Value* connect = in.find("serviceConnectConfiguration");
      connect && connect->get_bool("enabled")) {
    return invalid("serviceConnectConfiguration is not supported by this ECS.");
  }
  if (in.get_bool("enableExecuteCommand"))
    return invalid("enableExecuteCommand is not supported by this ECS.");
  if (in.get("schedulingStrategy", "REPLICA") != "REPLICA") {
    return invalid("schedulingStrategy DAEMON is not supported by this ECS.");
  }
  if (const json::Value* controller = in.find("deploymentController");
      controller && controller->get("type") != "ECS") {
    return invalid("deploymentController " + controller->get("type") + " is not supported by this ECS.");
  }
  if (const std::string type = in.get("launchType"); type == "EXTERNAL" || type == "MANAGED_INSTANCES") {
    return invalid("launchType " + type + " is not supported by this ECS.");
  }
  if (const json::Value* d = in.find("deploymentConfiguration")) {
    if (d->get("strategy", "ROLLING") != "ROLLING")
      return invalid("Only the deployment strategy ROLLING is supported by this ECS.");
    if (const json::Value* alarms = d->find("alarms"); alarms && alarms->get_bool("enable")) {
      return invalid("deploymentConfiguration.alarms is not supported by this ECS.");
    }
    if (!d->get_array("lifecycleHooks").empty())
      return invalid("lifecycleHooks are not supported by this ECS.");
    const int64_t low = d->get_int("minimumHealthyPercent", 100), high = d->get_int("maximumPercent", 200);
    if (low < 0 || high < low || high > 200 || (low == 100 && high == 100)) {
      return invalid(fmt::format(
          "maximumPercent {} and minimumHealthyPercent {} leave no room for a deployment.", high, low));
    }
  }
  if (in.get_int("desiredCount") < 0 || in.get_int("desiredCount") > kMaxTasks) {
    return invalid(fmt::format("desiredCount must be between 0 and {}.", kMaxTasks));
  }
  if (in.get_array("loadBalancers").size() > 5) return invalid("A service has at most 5 target groups.");
  for (const auto& b : in.get_array("loadBalancers")) {
    if (b.get("targetGroupArn").empty())
      return invalid("Only target groups are supported: targetGroupArn is missing.");
    if (b.get("containerName").empty() || b.get_int("containerPort") == 0) {
      return invalid("containerName and containerPort are required with a target group.");
    }
  }
  return {};
}

Result<void> check_balancers(const json::Value& service, const json::Value& definition) {
  for (const auto& b : service.get_array("loadBalancers")) {
    bool found = false;
    for (const auto& c : definition.get_array("containerDefinitions")) {
      if (c.get("name") != b.get("containerName")) continue;
      for (const auto& m : c.get_array("portMappings")) {
        found = found || m.get_int("containerPort") == b.get_int("containerPort");
      }
    }
    if (!found) {
      return invalid(fmt::format("The container {} did not have a container port {} defined.",
                                 b.get("containerName"), b.get_int("containerPort")));
    }
  }
  return {};
}

json::Value with_defaults(const json::Value& given) {
  json::Value d = given.is_object() ? given : json::object();
  if (!d.has("maximumPercent")) d["maximumPercent"] = 200;
  if (!d.has("minimumHealthyPercent")) d["minimumHealthyPercent"] = 100;
  if (!d.has("strategy")) d["strategy"] = "ROLLING";
  if (!d.has("deploymentCircuitBreaker")) {
    d["deploymentCircuitBreaker"] = json::object({{"enable", false}, {"rollback", false}});
  }
  return d;
}

}  // namespace

namespace ecs {

Result<void> check_network(const json::Value& in) {
  const json::Value* network = in.find("networkConfiguration");
  const json::Value* vpc = network ? network->find("awsvpcConfiguration") : nullptr;
  if (!vpc || vpc->get_array("subnets").empty()) {
    return invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  }
  return {};
}

json::Value make_deployment(const json::Value& service, Millis now) {
  return json::object(
      {{"id", "ecs-svc/" + random_text(19, "0123456789")},
       {"status", "PRIMARY"},
       {"taskDefinition", service.get("taskDefinition")},
       {"desiredCount", service.get_int("desiredCount")},
       {"pendingCount", 0},
       {"runningCount", 0},
       {"failedTasks", 0},
       {"createdAt", now},
       {"updatedAt", now},
       {"launchType", service.get("launchType")},
       {"platformVersion", "1.4.0"},
       {"platformFamily", "Linux"},
       {"networkConfiguration",
        service.find("networkConfiguration") ? *service.find("networkConfiguration") : json::Value()},
       {"rolloutState", "IN_PROGRESS"},
       {"rolloutStateReason", "ECS deployment ecs-svc in progress."}});
}

}  // namespace ecs

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
Result<json::Value> Ecs::create_service(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = cluster_of(in), name = in.get("serviceName");
  TRY(check_service(in));
  TRY(ecs::check_network(in));
  json::Value s;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    TRY(ecs::load_cluster(w, p, cluster));
    const auto key = ecs::service_key(p, cluster, name);
    auto existing = TRY(w.get(key));
    if (existing && existing->body.get("status") != "INACTIVE") {
      return invalid(existing->body.get("status") == "DRAINING"
                         ? "Unable to Start a service that is still Draining."
                         : "Creation of service was not idempotent.");
    }
    auto definition = ecs::load_definition(w, p, in.get("taskDefinition"));
    if (!definition) return fault("ClientException", "TaskDefinition not found.");
    if (definition.value().get("status") != "ACTIVE")
      return fault("ClientException", "TaskDefinition is inactive");
    s = json::object({{"serviceArn", ecs::service_arn(p, cluster, name)},
                      {"serviceName", name},
                      {"clusterArn", ecs::cluster_arn(p, cluster)},
                      {"status", "ACTIVE"},
                      {"desiredCount", in.get_int("desiredCount")},
                      {"runningCount", 0},
                      {"pendingCount", 0},
                      {"launchType", in.get("launchType", "FARGATE")},
                      {"platformVersion", "1.4.0"},
                      {"platformFamily", "Linux"},
                      {"taskDefinition", definition.value().get("taskDefinitionArn")},
                      {"roleArn", fmt::format("arn:aws:iam::{}:role/aws-service-role/ecs.amazonaws.com/"
                                              "AWSServiceRoleForECS",
                                              p.account)},
                      {"events", json::Array{}},
                      {"createdAt", call.now},
                      {"createdBy", call.principal.arn},
                      {"schedulingStrategy", "REPLICA"},
                      {"deploymentController", json::object({{"type", "ECS"}})},
                      {"enableECSManagedTags", in.get_bool("enableECSManagedTags")},
                      {"propagateTags", in.get("propagateTags", "NONE")},
                      {"enableExecuteCommand", false},
                      {"healthCheckGracePeriodSeconds", in.get_int("healthCheckGracePeriodSeconds")},
                      {"loadBalancers", in.get_array("loadBalancers")},
                      {"serviceRegistries", json::Array{}},
                      {"networkConfiguration", *in.find("networkConfiguration")},
                      {"tags", in.get_array("tags")}});
    const json::Value* d = in.find("deploymentConfiguration");
    s["deploymentConfiguration"] = with_defaults(d ? *d : json::Value());
    TRY(check_balancers(s, definition.value()));
    json::Value deployment = ecs::make_deployment(s, call.now);
    deployment["rolloutStateReason"] = fmt::format("ECS deployment {} in progress.", deployment.get("id"));
    s["deployments"] = json::array({deployment});
    TRY(w.put(key, s));
    return w.enqueue("ecs.service", ecs::job_key(key), json::object(), call.now);
  }));
  return json::object({{"service", s}});
}

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
Result<json::Value> Ecs::update_service(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = cluster_of(in), name = ecs::short_name(in.get("service"));
  TRY(check_service(in));
  json::Value s;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    TRY(ecs::load_cluster(w, p, cluster));
    const auto key = ecs::service_key(p, cluster, name);
    auto row = TRY(w.get(key));
    if (!row) return fault("ServiceNotFoundException", "Service not found.");
    s = row->body;
    if (s.get("status") != "ACTIVE") return fault("ServiceNotActiveException", "Service was not ACTIVE.");
    bool deploy = in.get_bool("forceNewDeployment");
    if (in.has("taskDefinition")) {
      auto definition = ecs::load_definition(w, p, in.get("taskDefinition"));
      if (!definition) return fault("ClientException", "TaskDefinition not found.");
      if (definition.value().get("status") != "ACTIVE")
        return fault("ClientException", "TaskDefinition is inactive");
      const std::string arn = definition.value().get("taskDefinitionArn");
      deploy = deploy || arn != s.get("taskDefinition");
      s["taskDefinition"] = arn;
    }
    for (const char* member : {"networkConfiguration", "loadBalancers"}) {
      const json::Value* v = in.find(member);
      if (v == nullptr) continue;
      deploy = deploy || !s.has(member) || !(*v == *s.find(member));
      s[member] = *v;
    }
    TRY(ecs::check_network(s));
    const json::Value definition = TRY(ecs::load_definition(w, p, s.get("taskDefinition")));
    TRY(check_balancers(s, definition));
    for (const char* member :
         {"desiredCount", "healthCheckGracePeriodSeconds", "propagateTags", "enableECSManagedTags"}) {
      if (in.has(member)) s[member] = *in.find(member);
    }
    if (const json::Value* d = in.find("deploymentConfiguration")) {
      json::Value merged =
          s.find("deploymentConfiguration") ? *s.find("deploymentConfiguration") : json::object();
      for (const auto& [k, v] : d->object()) merged[k] = v;
      s["deploymentConfiguration"] = std::move(merged);
    }
    json::Array deployments = s.get_array("deployments");
    if (deploy) {
      for (auto& d : deployments) {
        if (d.get("status") == "PRIMARY") d["status"] = "ACTIVE";
      }
      json::Value deployment = ecs::make_deployment(s, call.now);
      deployment["rolloutStateReason"] = fmt::format("ECS deployment {} in progress.", deployment.get("id"));
      deployments.insert(deployments.begin(), std::move(deployment));
    } else if (!deployments.empty()) {
      deployments.front()["desiredCount"] = s.get_int("desiredCount");
      deployments.front()["updatedAt"] = call.now;
    }
    s["deployments"] = std::move(deployments);
    s.remove("_steady");
    TRY(w.put(key, s));
    return w.enqueue("ecs.service", ecs::job_key(key), json::object(), call.now);
  }));
  return json::object({{"service", s}});
}

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html
Result<json::Value> Ecs::delete_service(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = cluster_of(in), name = ecs::short_name(in.get("service"));
  json::Value s;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    TRY(ecs::load_cluster(w, p, cluster));
    const auto key = ecs::service_key(p, cluster, name);
    auto row = TRY(w.get(key));
    if (!row || row->body.get("status") == "INACTIVE")
      return fault("ServiceNotFoundException", "Service not found.");
    s = row->body;
    if (s.get("status") == "DRAINING") return {};
    if (s.get_int("desiredCount") > 0 && !in.get_bool("force")) {
      return invalid("The service cannot be stopped while it is scaled above 0.");
    }
    s["status"] = "DRAINING";
    s["desiredCount"] = 0;
    TRY(w.put(key, s));
    return w.enqueue("ecs.service", ecs::job_key(key), json::object(), call.now);
  }));
  return json::object({{"service", s}});
}

Result<json::Value> Ecs::describe_services(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = cluster_of(in);
  if (in.get_array("services").size() > 10) return invalid("Services cannot be more than 10.");
  const bool tags = !in.get_array("include").empty();
  json::Array services, failures;
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    TRY(ecs::load_cluster(r, p, cluster));
    for (const auto& given : in.get_array("services")) {
      const std::string name = ecs::short_name(given.string());
      auto row = TRY(r.get(ecs::service_key(p, cluster, name)));
      if (!row) {
        failures.push_back(
            json::object({{"arn", ecs::service_arn(p, cluster, name)}, {"reason", "MISSING"}}));
        continue;
      }
      if (!tags) row->body.remove("tags");
      services.push_back(std::move(row->body));
    }
    return {};
  }));
  return json::object({{"services", std::move(services)}, {"failures", std::move(failures)}});
}

Result<json::Value> Ecs::list_services(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = cluster_of(in);
  const auto page = static_cast<size_t>(in.get_int("maxResults", kPage));
  json::Value out = json::object({{"serviceArns", json::Array{}}});
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    TRY(ecs::load_cluster(r, p, cluster));
    const auto rows =
        TRY(r.list(p.account, p.region, "ecs.service", in.get("nextToken"), 1'000'000, cluster + "/"));
    std::string last;
    for (const auto& row : rows) {
      if (row.body.get("status") == "INACTIVE") continue;
      if (in.has("launchType") && row.body.get("launchType") != in.get("launchType")) continue;
      if (out.get_array("serviceArns").size() == page) {
        out["nextToken"] = last;
        break;
      }
      out["serviceArns"].push(row.body.get("serviceArn"));
      last = row.key.id;
    }
    return {};
  }));
  return out;
}

}  // namespace bastide::services
