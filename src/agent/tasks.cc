#include "agent/tasks.h"

#include <cmath>

#include "base/bytes.h"

namespace bastide::agent {
namespace {

double rounded(double v) { return std::round(v * 100) / 100; }

std::string last_part(const std::string& text) { return text.substr(text.find_last_of("/:") + 1); }

double number(const json::Value& body, const char* key) {  // ECS writes sizes as texts
  const json::Value* v = body.find(key);
  if (v == nullptr) return 0;
  if (v->is_number()) return v->number();
  return v->is_string() ? static_cast<double>(parse_int(v->string()).value_or(0)) : 0;
}

}  // namespace

std::vector<store::MetricSample> Tasks::collect(const std::vector<TaskRow>& rows, const json::Array& usage, Millis now) {
  std::map<std::string, const json::Value*> used;
  for (const auto& u : usage) used[u.get("id")] = &u;
  std::map<std::string, store::MetricSample> gathered;
  const Millis minute = now - now % kMinute;
  std::map<std::string, Before> seen;
  std::set<std::string> counted;
  std::map<std::string, std::pair<store::MetricName, double>> running;
  for (const auto& row : rows) {
    const std::string cluster = last_part(row.body.get("clusterArn")), group = row.body.get("group");
    const std::string service = group.starts_with("service:") ? group.substr(8) : "";
    auto add = [&](const char* space, const char* name, const char* unit, double value, bool of_service) {
      if (of_service && service.empty()) return;
      store::MetricSample s{{row.account, row.region, space, name, {{"ClusterName", cluster}}, unit}, store::MetricCell::of(minute, rounded(value))};
      if (of_service) s.name.dimensions.emplace_back("ServiceName", service);
      const std::string key = s.name.key();
      const auto [it, fresh] = gathered.try_emplace(key, s);
      if (!fresh) it->second.cell.merge(s.cell);
    };
    auto both = [&](const char* space, const char* name, const char* unit, double value) {
      add(space, name, unit, value, false);
      add(space, name, unit, value, true);
    };
    const std::string status = row.body.get("lastStatus");
    if (!service.empty()) {
      auto& r = running[row.account + row.region + cluster + "/" + service];
      r.first = {row.account, row.region, "ECS/ContainerInsights", "RunningTaskCount", {{"ClusterName", cluster}, {"ServiceName", service}}, "Count"};
      r.second += status == "RUNNING";
    }
    // A task that ended by itself is started again by its service: each is one restart.
    const std::string code = row.body.get("stopCode");
    if (code == "EssentialContainerExited" || code == "TaskFailedToStart") {
      counted.insert(row.id);
      if (!first_ && !counted_.contains(row.id)) add("ECS/ContainerInsights", "RestartCount", "Count", 1, true);
    }
    const auto it = used.find(row.id);
    if (it == used.end() || status != "RUNNING") continue;
    const json::Value& u = *it->second;
    const double memory_mib = number(row.body, "memory"), cpu_units = number(row.body, "cpu");
    if (u.has("memory")) {
      const double mib = static_cast<double>(u.get_int("memory")) / (1 << 20);
      both("ECS/ContainerInsights", "MemoryUtilized", "Megabytes", mib);
      if (memory_mib > 0) both("AWS/ECS", "MemoryUtilization", "Percent", 100 * mib / memory_mib);
    }
    if (!u.has("cpu_us")) continue;
    const Before is{now, u.get_int("cpu_us"), u.get_int("throttled_us")};
    seen[row.id] = is;
    const auto was = before_.find(row.id);
    if (was == before_.end() || is.cpu_us < was->second.cpu_us || now <= was->second.at) continue;
    const double seconds = static_cast<double>(now - was->second.at) / kSecond;
    const double units = static_cast<double>(is.cpu_us - was->second.cpu_us) / 1e6 / seconds * 1024;
    both("ECS/ContainerInsights", "CpuUtilized", "None", units);
    if (cpu_units > 0) both("AWS/ECS", "CPUUtilization", "Percent", 100 * units / cpu_units);
    both("ECS/ContainerInsights", "CpuThrottledSeconds", "Seconds", static_cast<double>(is.throttled_us - was->second.throttled_us) / 1e6);
  }
  before_ = std::move(seen);
  counted_ = std::move(counted);
  first_ = false;
  std::vector<store::MetricSample> out;
  for (auto& [key, s] : gathered) out.push_back(std::move(s));
  for (auto& [key, r] : running) out.push_back({r.first, store::MetricCell::of(minute, r.second)});
  return out;
}

}  // namespace bastide::agent
