// A service's job: compares its tasks with what is wanted, decides by plan_service, writes down what it
// decided.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "services/ecs/ecs.h"
#include "services/ecs/plan.h"

namespace bastide::services {

using ecs::Place;

namespace {

constexpr Millis kMoving = 250;  // while something is on its way
constexpr Millis kResync = 10 * kSecond;

bool alive(const json::Value& task) {
  return task.get("desiredStatus") == "RUNNING" && task.get("lastStatus") != "STOPPED";
}

std::string names(const std::vector<std::string>& ids) {
  std::string out;
  for (const auto& id : ids) out += (out.empty() ? "" : " ") + fmt::format("(task {})", id);
  return out;
}

json::Value* deployment_of(json::Array& all, const std::string& id) {
  for (auto& d : all) {
    if (d.get("id") == id) return &d;
  }
  return nullptr;
}

}  // namespace

// Which addresses are healthy, by target group; and what was said of the others.
struct Ecs::Health {
  struct Target {
    std::string state, reason;
  };
  std::map<std::string, std::map<std::string, Target>> groups;  // ARN: "address:port"
};

Result<Ecs::Health> Ecs::health_of(const Place& p, const json::Value& service) {
  Health out;
  for (const auto& b : service.get_array("loadBalancers")) {
    const std::string group = b.get("targetGroupArn");
    const auto answer =
        TRY(parts_.client.call(ecs::service_principal(), p.account, p.region, "elbv2", "DescribeTargetHealth",
                               json::object({{"TargetGroupArn", group}})));
    auto& targets = out.groups[group];
    for (const auto& d : answer.get_array("TargetHealthDescriptions")) {
      const json::Value* target = d.find("Target");
      const json::Value* health = d.find("TargetHealth");
      if (!target || !health) continue;
      targets[fmt::format("{}:{}", target->get("Id"), target->get_int("Port"))] = {
          health->get("State"), health->get("Description")};
    }
  }
  return out;
}

Result<std::optional<Millis>> Ecs::reconcile(store::Job& job) {
  const store::Key key = ecs::key_of_job("ecs.service", job.key);
  const Place p{key.account, key.region};
  auto first = TRY(parts_.database.get(key));
  if (!first || first->body.get("status") == "INACTIVE") return std::optional<Millis>{};
  Health health;
  if (first->body.get("status") == "ACTIVE") health = TRY(health_of(p, first->body));

  std::optional<Millis> again = kResync;
  bool ended = false;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) {
      ended = true;
      return {};
    }
    json::Value s = row->body;
    const Millis now = parts_.clock.wall();
    const std::string cluster = ecs::short_name(s.get("clusterArn")), name = s.get("serviceName");
    auto tasks = TRY(ecs::tasks_of_service(w, p, cluster, name));
    json::Array deployments = s.get_array("deployments");
    if (deployments.empty()) return error("the service " + name + " has no deployment");
    const auto stop = [&](json::Value& task, const std::string& reason) -> Result<void> {
      task["desiredStatus"] = "STOPPED";
      task["stopCode"] = "ServiceSchedulerInitiated";
      task["stoppedReason"] = reason;
      task["stoppingAt"] = now;
      task["version"] = task.get_int("version") + 1;
      TRY(ecs::save_task(w, p, task));
      return w.enqueue("ecs.task", ecs::job_key(ecs::task_key(p, task.get("_id"))), json::object(), now);
    };

    // Deaths that nobody asked for count against their deployment, once each.
    for (auto& t : tasks) {
      json::Value& task = t.body;
      if (task.get("lastStatus") != "STOPPED" || task.get_bool("_counted")) continue;
      task["_counted"] = true;
      TRY(ecs::save_task(w, p, task));
      const std::string code = task.get("stopCode");
      const bool failed =
          code == "EssentialContainerExited" || code == "TaskFailedToStart" || task.get_bool("_unhealthy");
      json::Value* d = deployment_of(deployments, task.get("startedBy"));
      if (!failed || d == nullptr) continue;
      const int64_t in_a_row = d->get_int("_failures_in_a_row") + 1;
      (*d)["_failures_in_a_row"] = in_a_row;
      (*d)["_retry_at"] = now + ecs::retry_delay(static_cast<int>(in_a_row));
      if (d->get("rolloutState") == "IN_PROGRESS") (*d)["failedTasks"] = d->get_int("failedTasks") + 1;
      (*d)["updatedAt"] = now;
      if (in_a_row == 5) {
        ecs::add_event(s, now,
                       "is unable to consistently start tasks successfully. For more information, see the "
                       "Troubleshooting section of the Amazon ECS Developer Guide.");
      }
    }

    const Millis grace = s.get_int("healthCheckGracePeriodSeconds") * kSecond;
    std::vector<ecs::TaskView> views;
    for (auto& t : tasks) {
      json::Value& task = t.body;
      if (task.get("lastStatus") == "STOPPED") continue;
      ecs::TaskView view{task.get("_id"),
                         task.get("startedBy"),
                         task.get("lastStatus") == "RUNNING",
                         false,
                         task.get("desiredStatus") == "STOPPED",
                         task.get_int("createdAt")};
      view.healthy = view.running;
      for (const auto& b : s.get_array("loadBalancers")) {
        if (!view.running) break;
        const std::string group = b.get("targetGroupArn");
        const auto& targets = health.groups[group];
        const auto it = targets.find(fmt::format("{}:{}", task.get("_address"), b.get_int("containerPort")));
        const std::string state = it == targets.end() ? "" : it->second.state;
        view.healthy = view.healthy && (state == "healthy" || state == "unused");
        if (state == "unhealthy" && !view.stopping && now - task.get_int("startedAt") > grace) {
          ecs::add_event(s, now,
                         fmt::format("(port {}) is unhealthy in (target-group {}) due to (reason {})",
                                     b.get_int("containerPort"), group, it->second.reason));
          task["_unhealthy"] = true;
          TRY(stop(task, fmt::format("Task failed ELB health checks in (target-group {})", group)));
          view.stopping = true;
        }
      }
      if (view.healthy) {
        if (json::Value* d = deployment_of(deployments, view.deployment)) d->remove("_failures_in_a_row");
      }
      views.push_back(std::move(view));
    }

    if (s.get("status") == "DRAINING") {
      for (auto& t : tasks) {
        if (alive(t.body))
          TRY(stop(t.body, fmt::format("Scaling activity initiated by (deployment {})",
                                       deployments.front().get("id"))));
      }
      if (views.empty()) {
        s["status"] = "INACTIVE";
        s["deployments"] = json::Array{};
        ended = true;
      }
      s["runningCount"] = 0;
      again = kMoving;
      return w.put(key, s);
    }

    // The circuit breaker.
    const json::Value* configuration = s.find("deploymentConfiguration");
    const json::Value* breaker = configuration ? configuration->find("deploymentCircuitBreaker") : nullptr;
    {
      json::Value& primary = deployments.front();
      const int threshold = ecs::breaker_threshold(static_cast<int>(s.get_int("desiredCount")));
      if (breaker && breaker->get_bool("enable") && primary.get("rolloutState") == "IN_PROGRESS" &&
          primary.get_int("failedTasks") >= threshold) {
        const std::string failed_id = primary.get("id");
        primary["rolloutState"] = "FAILED";
        primary["rolloutStateReason"] = "ECS deployment circuit breaker: tasks failed to start.";
        primary["updatedAt"] = now;
        ecs::add_event(s, now,
                       fmt::format("(deployment {}) deployment failed: tasks failed to start.", failed_id));
        const json::Value* good = s.find("_completed");
        if (breaker->get_bool("rollback") && good && !primary.get_bool("_rollback")) {
          primary["status"] = "ACTIVE";
          s["taskDefinition"] = good->get("taskDefinition");
          s["networkConfiguration"] = *good->find("networkConfiguration");
          json::Value back = ecs::make_deployment(s, now);
          back["_rollback"] = true;
          back["rolloutStateReason"] = fmt::format(
              "ECS deployment circuit breaker: rolling back to deploymentId {}.", good->get("id"));
          ecs::add_event(s, now, fmt::format("rolling back to deployment {}.", good->get("id")));
          deployments.insert(deployments.begin(), std::move(back));
        }
      }
    }

    json::Value& primary = deployments.front();
    ecs::ServiceView view;
    view.desired = static_cast<int>(s.get_int("desiredCount"));
    if (configuration) {
      view.minimum_percent = static_cast<int>(configuration->get_int("minimumHealthyPercent", 100));
      view.maximum_percent = static_cast<int>(configuration->get_int("maximumPercent", 200));
    }
    view.primary = primary.get("id");
    view.primary_failed = primary.get("rolloutState") == "FAILED";
    view.retry_at = primary.get_int("_retry_at");
    const ecs::ServicePlan plan = ecs::plan_service(view, views, now);

    for (const auto& id : plan.stop) {
      for (auto& t : tasks) {
        if (t.body.get("_id") == id)
          TRY(stop(t.body, fmt::format("Scaling activity initiated by (deployment {})", view.primary)));
      }
    }
    if (!plan.stop.empty()) {
      if (!s.get_array("loadBalancers").empty()) {
        ecs::add_event(s, now, fmt::format("has begun draining connections on {} tasks.", plan.stop.size()));
      }
      ecs::add_event(s, now,
                     fmt::format("has stopped {} running tasks: {}.", plan.stop.size(), names(plan.stop)));
    }
    if (plan.start > 0) {
      auto definition = ecs::load_definition(w, p, primary.get("taskDefinition"));
      if (!definition) return std::move(definition).error();
      std::vector<std::string> started;
      for (int i = 0; i < plan.start; ++i) {
        json::Value request = json::object({{"group", "service:" + name},
                                            {"startedBy", view.primary},
                                            {"launchType", s.get("launchType")},
                                            {"networkConfiguration", *s.find("networkConfiguration")}});
        if (s.get("propagateTags") == "SERVICE") request["tags"] = s.get_array("tags");
        if (s.get("propagateTags") == "TASK_DEFINITION")
          request["tags"] = definition.value().get_array("tags");
        json::Value task = ecs::make_task(p, cluster, definition.value(), request, now);
        task["_service"] = name;
        task["_balancers"] = s.get_array("loadBalancers");
        TRY(ecs::save_task(w, p, task));
        TRY(w.enqueue("ecs.task", ecs::job_key(ecs::task_key(p, task.get("_id"))), json::object(), now));
        started.push_back(task.get("_id"));
      }
      ecs::add_event(s, now, fmt::format("has started {} tasks: {}.", started.size(), names(started)));
    }

    int64_t running = 0, pending = 0;
    for (auto& d : deployments) {
      int64_t own_running = 0, own_pending = 0;
      for (const auto& v : views) {
        if (v.deployment != d.get("id") || v.stopping) continue;
        ++(v.running ? own_running : own_pending);
      }
      if (d.get("id") == view.primary) own_pending += plan.start;
      d["runningCount"] = own_running;
      d["pendingCount"] = own_pending;
      d["desiredCount"] = d.get("id") == view.primary ? view.desired : 0;
      running += own_running;
      pending += own_pending;
    }
    s["runningCount"] = running;
    s["pendingCount"] = pending;
    // An earlier deployment is over with its last task.
    std::erase_if(deployments, [&](const json::Value& d) {
      if (d.get("id") == view.primary) return false;
      return std::none_of(views.begin(), views.end(),
                          [&](const auto& v) { return v.deployment == d.get("id"); });
    });
    const bool quiet = std::none_of(views.begin(), views.end(), [](const auto& v) { return v.stopping; });
    if (plan.steady) {
      json::Value& now_primary = deployments.front();
      if (now_primary.get("rolloutState") == "IN_PROGRESS" && deployments.size() == 1) {
        now_primary["rolloutState"] = "COMPLETED";
        now_primary["rolloutStateReason"] = fmt::format("ECS deployment {} completed.", view.primary);
        now_primary["updatedAt"] = now;
        s["_completed"] = json::object({{"id", view.primary},
                                        {"taskDefinition", now_primary.get("taskDefinition")},
                                        {"networkConfiguration", *s.find("networkConfiguration")}});
        ecs::add_event(s, now, fmt::format("(deployment {}) deployment completed.", view.primary));
      }
      if (!s.get_bool("_steady") && deployments.size() == 1) {
        s["_steady"] = true;
        ecs::add_event(s, now, "has reached a steady state.");
      }
    } else {
      s.remove("_steady");
    }
    again = plan.steady && quiet && deployments.size() == 1 ? kResync : kMoving;
    s["deployments"] = std::move(deployments);
    if (s == row->body) return {};
    return w.put(key, s);
  }));
  if (ended) return std::optional<Millis>{};
  return again;
}

}  // namespace bastide::services
