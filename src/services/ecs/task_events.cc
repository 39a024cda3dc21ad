// What the runner tells: tasks that changed, their output, and everything anew after each connection.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "net/loop.h"
#include "services/ecs/ecs.h"

namespace bastide::services {

using ecs::Place;

Result<std::optional<store::Resource>> Ecs::find_task(const std::string& id) {
  auto rows = TRY(parts_.database.find("ecs.task", "id", id));
  if (rows.empty()) return std::optional<store::Resource>{};
  return std::optional<store::Resource>(std::move(rows.front()));
}

void Ecs::open_doors(const store::Key& key, const json::Value& task, ecs::TaskListeners listeners) {
  auto sealed = unbase64(task.get("_credentials"));
  auto secret = sealed ? parts_.keyring.unseal("ecs.credentials", sealed.value(), key.id)
                       : Result<std::string>(error("no credentials"));
  ecs::TaskDoors::Task t;
  t.id = key.id;
  t.role_arn = secret ? task.get("_task_role") : "";
  t.credentials_id = secret ? secret.value() : "";
  t.metadata_id = key.id + "-0";
  t.describe = [this, key]() -> Result<json::Value> {
    auto row = TRY(parts_.database.get(key));
    if (!row) return error("NotFound", "the task is gone");
    return std::move(row->body);
  };
  doors_[key.id] = std::make_unique<ecs::TaskDoors>(std::move(t), std::move(listeners), parts_.mint,
                                                    parts_.api, parts_.clock);
}

void Ecs::connected() {
  net::spawn([this] {
    auto states = parts_.runner.list();
    auto done = states ? adopt(std::move(states).value()) : Result<void>(std::move(states).error());
    if (!done) log::error("tasks of the runner could not be taken over: {}", done.error().message);
  });
}

Result<void> Ecs::adopt_one(const internal::TaskState& state) {
  auto row = TRY(find_task(state.id));
  if (row && state.state == "running" && !doors_.count(state.id)) {
    auto listeners = parts_.runner.listeners(state.id);
    if (listeners) {
      open_doors(row->key, row->body, std::move(listeners).value());
    } else {
      log::warn("task {}: its listeners are lost: {}", state.id, listeners.error().message);
    }
  }
  return changed(state);
}

Result<void> Ecs::adopt(std::vector<internal::TaskState> states) {
  std::set<std::string> there;
  for (const auto& state : states) {
    there.insert(state.id);
    TRY(adopt_one(state));
  }
  // What should run there and does not was lost with its host.
  const auto rows = TRY(parts_.database.list("*", "*", "ecs.task"));
  for (const auto& row : rows) {
    const json::Value& t = row.body;
    if (t.get("lastStatus") == "STOPPED" || !t.get_bool("_started")) continue;
    if (there.count(row.key.id) || starting_.count(row.key.id)) continue;
    TRY(end_task(row.key, "EssentialContainerExited",
                 "The task was lost: the runner no longer has it, as after a restart of the host"));
  }
  return {};
}

Result<void> Ecs::changed(const internal::TaskState& state) {
  auto row = TRY(find_task(state.id));
  if (!row) {
    log::warn("the runner has a task that is not known here: {}; it is removed", state.id);
    net::spawn([this, id = state.id, ended = state.state == "stopped"] {
      if (!ended && !parts_.runner.stop(id, kSecond)) return;
      (void)parts_.runner.forget(id).ok();
    });
    return {};
  }
  if (state.state == "running") {
    return change_task(row->key, [&](json::Value& t) {
      const std::string status = t.get("lastStatus");
      if (status != "PROVISIONING" && status != "PENDING") return;
      t["lastStatus"] = "RUNNING";
      t["_started"] = true;
      t["_address"] = state.address;
      t["startedAt"] = state.started_at ? state.started_at : parts_.clock.wall();
      t["connectivity"] = "CONNECTED";
      t["connectivityAt"] = t.get_int("startedAt");
      json::Array containers = t.get_array("containers");
      for (auto& c : containers) {
        c["lastStatus"] = "RUNNING";
        c["runtimeId"] = state.id + "-0";
      }
      t["containers"] = std::move(containers);
    });
  }
  if (state.state != "stopped") return {};
  doors_.erase(state.id);
  // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
  std::string why = state.reason;
  if (why == "OutOfMemory") why = "OutOfMemoryError: Container killed due to memory usage";
  return end_task(row->key, "EssentialContainerExited", "Essential container in task exited",
                  [&](json::Value& t) {
                    json::Array containers = t.get_array("containers");
                    for (auto& c : containers) {
                      if (state.exit_status >= 0) c["exitCode"] = state.exit_status;
                      if (!why.empty()) c["reason"] = why;
                    }
                    t["containers"] = std::move(containers);
                    if (state.stopped_at) t["executionStoppedAt"] = state.stopped_at;
                  });
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
Result<void> Ecs::output(const ecs::TaskOutput& out) {
  auto row = TRY(find_task(out.id));
  if (!row) return {};
  const json::Value* log_to = row->body.find("_log");
  if (log_to == nullptr) return {};
  const store::Key seen_key{row->key.account, row->key.region, "ecs.output", out.id};
  const auto seen = TRY(parts_.database.get(seen_key));
  if (seen && seen->body.get_int("sequence") >= out.sequence) return {};  // runner repeated it
  std::vector<ecs::OutputLine> lines = out.lines;
  std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  json::Array events;
  if (out.dropped > 0) {
    const Millis time = lines.empty() ? parts_.clock.wall() : lines.front().time;
    events.push_back(
        json::object({{"timestamp", time},
                      {"message", fmt::format("[{} lines before this one were dropped]", out.dropped)}}));
  }
  for (const auto& line : lines) {
    if (line.text.empty()) continue;  // CloudWatch takes no empty message
    events.push_back(json::object({{"timestamp", line.time}, {"message", line.text}}));
  }
  if (!events.empty()) {
    const aws::Principal principal = TRY(execution_principal(row->body));
    auto put = parts_.client.call(principal, row->key.account, log_to->get("region"), "logs", "PutLogEvents",
                                  json::object({{"logGroupName", log_to->get("group")},
                                                {"logStreamName", log_to->get("stream")},
                                                {"logEvents", std::move(events)}}));
    if (!put && !put.error().fault) return std::move(put).error();
    if (!put) log::warn("task {}: its output is lost: {}", out.id, put.error().message);
  }
  return parts_.database.write([&](store::Writer& w) {
    return w.put(seen_key, json::object({{"sequence", out.sequence}}));
  });
}

}  // namespace bastide::services
