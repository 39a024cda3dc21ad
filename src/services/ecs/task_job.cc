// A task's job: from PROVISIONING to RUNNING, and down to STOPPED.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/log.h"
#include "services/ecs/ecs.h"

namespace bastide::services {

using ecs::Place;

namespace {

constexpr Millis kPoll = 250;
constexpr Millis kResync = 30 * kSecond;
constexpr Millis kForgetAfter = 15 * kSecond;  // the last output comes before
constexpr Millis kVisible = kHour;             // how long a stopped task is described
constexpr Millis kMaxDrain = kHour;
constexpr Millis kDefaultStop = 30 * kSecond;

}  // namespace

Result<void> Ecs::change_task(const store::Key& key, const std::function<void(json::Value&)>& change) {
  return parts_.database.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) return error("NotFound", "the task " + key.id + " is gone");
    const json::Value before = row->body;
    change(row->body);
    if (row->body == before) return {};
    row->body["version"] = row->body.get_int("version") + 1;
    const Place p{key.account, key.region};
    TRY(ecs::save_task(w, p, row->body));
    TRY(w.enqueue("ecs.task", ecs::job_key(key), json::object(), 0));
    if (const std::string service = row->body.get("_service"); !service.empty()) {
      const auto owner = ecs::service_key(p, ecs::short_name(row->body.get("clusterArn")), service);
      TRY(w.enqueue("ecs.service", ecs::job_key(owner), json::object(), 0));
    }
    return w.emit("ecs.task", row->body.get("taskArn"));
  });
}

Result<void> Ecs::end_task(const store::Key& key, const std::string& stop_code, const std::string& reason,
                           const std::function<void(json::Value&)>& more) {
  const Millis now = parts_.clock.wall();
  std::string address;
  TRY(change_task(key, [&](json::Value& task) {
    if (task.get("lastStatus") == "STOPPED") return;
    task["lastStatus"] = "STOPPED";
    task["desiredStatus"] = "STOPPED";
    task["stoppedAt"] = now;
    task["executionStoppedAt"] = now;
    if (!task.has("stoppingAt")) task["stoppingAt"] = now;
    if (task.get("stopCode").empty()) {
      task["stopCode"] = stop_code;
      task["stoppedReason"] = reason;
    }
    json::Array containers = task.get_array("containers");
    for (auto& c : containers) c["lastStatus"] = "STOPPED";
    task["containers"] = std::move(containers);
    if (more) more(task);
    if (!task.get_bool("_balanced")) address = task.get("_reserved");
  }));
  return release_address(key, address);
}

Result<void> Ecs::release_address(const store::Key& task, const std::string& address) {
  if (address.empty()) return {};
  return parts_.database.write([&](store::Writer& w) -> Result<void> {
    const store::Key key{task.account, task.region, "ecs.address", address};
    auto row = TRY(w.get(key));
    if (!row || row->body.get("task") != task.id) return {};
    TRY(w.remove(key));
    return w.emit("ec2.network", task.account + "/" + task.region + "/" + address.substr(0, address.find('/')));
  });
}

Result<std::optional<Millis>> Ecs::run_task_job(store::Job& job) {
  const store::Key key = ecs::key_of_job("ecs.task", job.key);
  const Place p{key.account, key.region};
  auto row = TRY(parts_.database.get(key));
  if (!row) return std::optional<Millis>{};
  json::Value task = std::move(row->body);
  const std::string status = task.get("lastStatus");
  const Millis now = parts_.clock.wall();

  if (status == "STOPPED") {
    doors_.erase(key.id);
    if (task.get_bool("_balanced")) {
      TRY(balance(p, task, false));
      TRY(release_address(key, task.get("_reserved")));
      TRY(change_task(key, [](json::Value& t) { t["_balanced"] = false; }));
    }
    const Millis age = now - task.get_int("stoppedAt");
    if (task.get_bool("_started") && !task.get_bool("_forgotten")) {
      if (age < kForgetAfter) return std::optional<Millis>(kForgetAfter - age);
      auto forgotten = parts_.runner.forget(key.id);
      if (!forgotten && forgotten.error().code != "NotFound") return std::move(forgotten).error();
      TRY(change_task(key, [](json::Value& t) { t["_forgotten"] = true; }));
    }
    if (age < kVisible) return std::optional<Millis>(kVisible - age);
    TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
      TRY(w.remove(key));
      TRY(w.remove({key.account, key.region, "ecs.output", key.id}));
      return {};
    }));
    return std::optional<Millis>{};
  }

  if (task.get("desiredStatus") == "RUNNING") {
    if (status == "PROVISIONING" || status == "PENDING") {
      if (!parts_.runner.connected()) return std::optional<Millis>(kPoll);
      TRY(bring_up(key, std::move(task)));
      return std::optional<Millis>(kPoll);
    }
    if (!task.get_array("_balancers").empty() && !task.get_bool("_balanced")) {
      TRY(balance(p, task, true));
      TRY(change_task(key, [](json::Value& t) { t["_balanced"] = true; }));
    }
    return std::optional<Millis>(kResync);
  }

  if (!task.get_bool("_started")) {
    TRY(end_task(key, "UserInitiated", "Task stopped before it started"));
    return std::optional<Millis>(0);
  }
  if (task.get_bool("_balanced")) {
    if (!task.has("_draining_since")) {
      TRY(balance(p, task, false));
      TRY(change_task(key, [&](json::Value& t) {
        t["lastStatus"] = "DEACTIVATING";
        t["_draining_since"] = now;
      }));
      return std::optional<Millis>(0);
    }
    const bool done = TRY(drained(p, task));
    if (!done && now - task.get_int("_draining_since") < kMaxDrain) return std::optional<Millis>(kPoll);
    TRY(change_task(key, [](json::Value& t) { t["_balanced"] = false; }));
  }
  TRY(stop_on_runner(key, task));
  return std::optional<Millis>(kSecond);
}

Result<void> Ecs::stop_on_runner(const store::Key& key, const json::Value& task) {
  TRY(change_task(key, [](json::Value& t) {
    if (t.get("lastStatus") != "STOPPED") t["lastStatus"] = "STOPPING";
  }));
  auto stopped = parts_.runner.stop(key.id, task.get_int("_stop_timeout", kDefaultStop));
  if (!stopped && stopped.error().code == "NotFound") {
    return end_task(key, "UserInitiated", "The runner no longer has the task");
  }
  return stopped;
}

// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-load-balancing.html
Result<void> Ecs::balance(const Place& p, json::Value& task, bool in) {
  const auto& balancers = task.get_array("_balancers");
  for (const auto& b : balancers) {
    const std::string group = b.get("targetGroupArn");
    const json::Value target =
        json::object({{"Id", task.get("_address")}, {"Port", b.get_int("containerPort")}});
    auto done = parts_.client.call(
        ecs::service_principal(), p.account, p.region, "elbv2", in ? "RegisterTargets" : "DeregisterTargets",
        json::object({{"TargetGroupArn", group}, {"Targets", json::array({target})}}));
    if (!done) {
      // A group or target that is gone needs no deregistration.
      const bool gone = done.error().code == "TargetGroupNotFound" || done.error().code == "InvalidTarget" ||
                        done.error().code == "TargetGroupNotFoundException";
      if (in || !gone) return std::move(done).error();
    }
    const std::string service = task.get("_service");
    if (service.empty()) continue;
    TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
      auto row = TRY(w.get(ecs::service_key(p, ecs::short_name(task.get("clusterArn")), service)));
      if (!row) return {};
      ecs::add_event(
          row->body, parts_.clock.wall(),
          fmt::format("{} 1 targets in (target-group {})", in ? "registered" : "deregistered", group));
      return w.put(row->key, row->body);
    }));
  }
  return {};
}

Result<bool> Ecs::drained(const Place& p, const json::Value& task) {
  for (const auto& b : task.get_array("_balancers")) {
    const json::Value target =
        json::object({{"Id", task.get("_address")}, {"Port", b.get_int("containerPort")}});
    auto answer = parts_.client.call(
        ecs::service_principal(), p.account, p.region, "elbv2", "DescribeTargetHealth",
        json::object({{"TargetGroupArn", b.get("targetGroupArn")}, {"Targets", json::array({target})}}));
    if (!answer) {
      if (answer.error().fault) continue;
      return std::move(answer).error();
    }
    for (const auto& d : answer.value().get_array("TargetHealthDescriptions")) {
      const json::Value* health = d.find("TargetHealth");
      if (health && health->get("State") == "draining") return false;
    }
  }
  return true;
}

}  // namespace bastide::services
