// Tasks: what was asked. What happens then is task_job.cc.
#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "base/crypto.h"
#include "services/ecs/ecs.h"

namespace bastide::services {

using ecs::Place;

namespace {

constexpr size_t kPage = 100;
Error invalid(std::string message) { return fault("InvalidParameterException", std::move(message)); }

}  // namespace

namespace ecs {

json::Value make_task(const Place& p, const std::string& cluster, const json::Value& definition,
                      const json::Value& request, Millis now) {
  const std::string id = random_text(32, "0123456789abcdef");
  const json::Value* overrides = request.find("overrides");
  const auto setting = [&](const char* name) {
    const std::string over = overrides ? overrides->get(name) : "";
    return over.empty() ? definition.get(name) : over;
  };
  json::Array containers;
  for (const auto& c : definition.get_array("containerDefinitions")) {
    containers.push_back(json::object(
        {{"containerArn", aws::make_arn("ecs", p.region, p.account,
                                        fmt::format("container/{}/{}/{}", cluster, id, c.get("name")))},
         {"taskArn", task_arn(p, cluster, id)},
         {"name", c.get("name")},
         {"image", c.get("image")},
         {"lastStatus", "PENDING"},
         {"networkInterfaces", json::Array{}},
         {"healthStatus", "UNKNOWN"},
         {"cpu", std::to_string(c.get_int("cpu"))}}));
  }
  json::Value task = json::object({{"_id", id},
                                   {"_task_role", setting("taskRoleArn")},
                                   {"_execution_role", setting("executionRoleArn")},
                                   {"taskArn", task_arn(p, cluster, id)},
                                   {"clusterArn", cluster_arn(p, cluster)},
                                   {"taskDefinitionArn", definition.get("taskDefinitionArn")},
                                   {"lastStatus", "PROVISIONING"},
                                   {"desiredStatus", "RUNNING"},
                                   {"healthStatus", "UNKNOWN"},
                                   {"launchType", request.get("launchType", "FARGATE")},
                                   {"platformVersion", "1.4.0"},
                                   {"platformFamily", "Linux"},
                                   {"availabilityZone", p.region + "a"},
                                   {"cpu", setting("cpu").empty() ? "256" : setting("cpu")},
                                   {"memory", setting("memory").empty() ? "512" : setting("memory")},
                                   {"group", request.get("group", "family:" + definition.get("family"))},
                                   {"startedBy", request.get("startedBy")},
                                   {"createdAt", now},
                                   {"version", 1},
                                   {"enableExecuteCommand", false},
                                   {"attachments", json::Array{}},
                                   {"containers", std::move(containers)},
                                   {"overrides", overrides ? *overrides : json::object()},
                                   {"tags", request.get_array("tags")}});
  if (const json::Value* network = request.find("networkConfiguration")) task["_network"] = *network;
  if (task.get("startedBy").empty()) task.remove("startedBy");
  return task;
}

}  // namespace ecs

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
Result<json::Value> Ecs::run_task(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = ecs::cluster_name(in.get("cluster"));
  TRY(ecs::check_network(in));
  for (const char* member : {"placementConstraints", "placementStrategy", "volumeConfigurations"}) {
    if (!in.get_array(member).empty())
      return invalid(fmt::format("{} is not supported by this ECS.", member));
  }
  if (in.get_bool("enableExecuteCommand"))
    return invalid("enableExecuteCommand is not supported by this ECS.");
  const int64_t count = in.get_int("count", 1);
  if (count < 1 || count > 10) return invalid("count must be between 1 and 10.");
  json::Array tasks;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    tasks.clear();
    TRY(ecs::load_cluster(w, p, cluster));
    auto definition = ecs::load_definition(w, p, in.get("taskDefinition"));
    if (!definition) return fault("ClientException", "TaskDefinition not found.");
    if (definition.value().get("status") != "ACTIVE")
      return fault("ClientException", "TaskDefinition is inactive");
    if (const json::Value* overrides = in.find("overrides")) {
      for (const auto& c : overrides->get_array("containerOverrides")) {
        const auto& all = definition.value().get_array("containerDefinitions");
        const bool known = std::any_of(all.begin(), all.end(),
                                       [&](const auto& d) { return d.get("name") == c.get("name"); });
        if (!known)
          return invalid("Override for container named " + c.get("name") +
                         " is not a container in the TaskDefinition.");
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      json::Value task = ecs::make_task(p, cluster, definition.value(), in, call.now);
      TRY(ecs::save_task(w, p, task));
      TRY(w.enqueue("ecs.task", ecs::job_key(ecs::task_key(p, task.get("_id"))), json::object(), call.now));
      tasks.push_back(std::move(task));
    }
    return {};
  }));
  return json::object({{"tasks", std::move(tasks)}, {"failures", json::Array{}}});
}

Result<json::Value> Ecs::stop_task(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const auto key = ecs::task_key(p, ecs::short_name(in.get("task")));
  auto row = TRY(parts_.database.get(key));
  if (!row || ecs::short_name(row->body.get("clusterArn")) != ecs::cluster_name(in.get("cluster"))) {
    return invalid("The referenced task was not found.");
  }
  json::Value after = row->body;
  TRY(change_task(key, [&](json::Value& task) {
    if (task.get("desiredStatus") != "STOPPED") {
      task["desiredStatus"] = "STOPPED";
      task["stopCode"] = "UserInitiated";
      task["stoppedReason"] = in.get("reason", "Task stopped by user");
      task["stoppingAt"] = call.now;
    }
    after = task;
  }));
  return json::object({{"task", after}});
}

Result<json::Value> Ecs::list_tasks(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = ecs::cluster_name(in.get("cluster"));
  const auto page = static_cast<size_t>(in.get_int("maxResults", kPage));
  const std::string wanted = in.get("desiredStatus", "RUNNING");
  if (in.has("containerInstance")) return invalid("containerInstance is not supported by this ECS.");
  json::Value out = json::object({{"taskArns", json::Array{}}});
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    TRY(ecs::load_cluster(r, p, cluster));
    auto rows = TRY(r.find("ecs.task", "cluster", p.account + "/" + p.region + "/" + cluster));
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.key.id < b.key.id; });
    std::string last;
    for (const auto& row : rows) {
      const json::Value& t = row.body;
      if (row.key.id <= in.get("nextToken") || t.get("desiredStatus") != wanted) continue;
      if (in.has("serviceName") && t.get("_service") != ecs::short_name(in.get("serviceName"))) continue;
      if (in.has("startedBy") && t.get("startedBy") != in.get("startedBy")) continue;
      if (in.has("launchType") && t.get("launchType") != in.get("launchType")) continue;
      const std::string definition = ecs::short_name(t.get("taskDefinitionArn"));
      if (in.has("family") && definition.substr(0, definition.rfind(':')) != in.get("family")) continue;
      if (out.get_array("taskArns").size() == page) {
        out["nextToken"] = last;
        break;
      }
      out["taskArns"].push(t.get("taskArn"));
      last = row.key.id;
    }
    return {};
  }));
  return out;
}

Result<json::Value> Ecs::describe_tasks(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string cluster = ecs::cluster_name(in.get("cluster"));
  const bool tags = !in.get_array("include").empty();
  json::Array tasks, failures;
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    TRY(ecs::load_cluster(r, p, cluster));
    for (const auto& given : in.get_array("tasks")) {
      const std::string id = ecs::short_name(given.string());
      auto row = TRY(r.get(ecs::task_key(p, id)));
      if (!row || ecs::short_name(row->body.get("clusterArn")) != cluster) {
        failures.push_back(json::object({{"arn", ecs::task_arn(p, cluster, id)}, {"reason", "MISSING"}}));
        continue;
      }
      if (!tags) row->body.remove("tags");
      tasks.push_back(std::move(row->body));
    }
    return {};
  }));
  return json::object({{"tasks", std::move(tasks)}, {"failures", std::move(failures)}});
}

}  // namespace bastide::services
