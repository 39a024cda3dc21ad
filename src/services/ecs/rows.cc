#include "services/ecs/rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::services::ecs {
namespace {

constexpr size_t kMaxEvents = 100;  // as DescribeServices keeps

std::string uuid() {
  const std::string digits = random_text(32, "0123456789abcdef");
  return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4), digits.substr(12, 4),
                     digits.substr(16, 4), digits.substr(20, 12));
}

}  // namespace

std::string cluster_arn(const Place& p, const std::string& cluster) {
  return aws::make_arn("ecs", p.region, p.account, "cluster/" + cluster);
}
std::string service_arn(const Place& p, const std::string& cluster, const std::string& service) {
  return aws::make_arn("ecs", p.region, p.account, "service/" + cluster + "/" + service);
}
std::string task_arn(const Place& p, const std::string& cluster, const std::string& id) {
  return aws::make_arn("ecs", p.region, p.account, "task/" + cluster + "/" + id);
}
std::string definition_arn(const Place& p, const std::string& family, int64_t revision) {
  return aws::make_arn("ecs", p.region, p.account, fmt::format("task-definition/{}:{}", family, revision));
}

store::Key cluster_key(const Place& p, const std::string& cluster) {
  return {p.account, p.region, "ecs.cluster", cluster};
}
store::Key service_key(const Place& p, const std::string& cluster, const std::string& service) {
  return {p.account, p.region, "ecs.service", cluster + "/" + service};
}
store::Key task_key(const Place& p, const std::string& id) { return {p.account, p.region, "ecs.task", id}; }
store::Key definition_key(const Place& p, const std::string& family, int64_t revision) {
  return {p.account, p.region, "ecs.taskdef", fmt::format("{}:{:010}", family, revision)};
}

std::string short_name(const std::string& text) {
  const size_t slash = text.rfind('/');
  return slash == std::string::npos ? text : text.substr(slash + 1);
}
std::string cluster_name(const std::optional<std::string>& given) {
  return given && !given->empty() ? short_name(*given) : "default";
}

std::string job_key(const store::Key& key) { return key.account + "/" + key.region + "/" + key.id; }
store::Key key_of_job(const std::string& kind, const std::string& job) {
  const size_t first = job.find('/');
  const size_t second = first == std::string::npos ? first : job.find('/', first + 1);
  if (second == std::string::npos) return {"", "", kind, ""};
  return {job.substr(0, first), job.substr(first + 1, second - first - 1), kind, job.substr(second + 1)};
}

Result<store::Resource> load_cluster(store::Reader& reader, const Place& p, const std::string& cluster) {
  auto row = TRY(reader.get(cluster_key(p, cluster)));
  if (!row || row->body.get("status") != "ACTIVE")
    return fault("ClusterNotFoundException", "Cluster not found.");
  return std::move(*row);
}

Result<json::Value> load_definition(store::Reader& reader, const Place& p, const std::string& name) {
  const std::string text = short_name(name);
  const size_t colon = text.rfind(':');
  const Error missing = fault("ClientException", "Unable to describe task definition.");
  if (colon != std::string::npos) {
    auto revision = parse_int(text.substr(colon + 1));
    if (!revision || revision.value() < 1)
      return fault("InvalidParameterException",
                   "Invalid revision number. Number: " + text.substr(colon + 1, 40));
    auto row = TRY(reader.get(definition_key(p, text.substr(0, colon), revision.value())));
    if (!row) return missing;
    return std::move(row->body);
  }
  const auto rows = TRY(reader.list(p.account, p.region, "ecs.taskdef", "", 1'000'000, text + ":"));
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    if (row->body.get("status") == "ACTIVE") return row->body;
  }
  return missing;
}

std::vector<store::Index> task_indexes(const Place& p, const json::Value& task) {
  const std::string cluster = short_name(task.get("clusterArn"));
  std::vector<store::Index> out = {{"id", task.get("_id")},
                                   {"cluster", p.account + "/" + p.region + "/" + cluster}};
  if (const std::string service = task.get("_service"); !service.empty()) {
    out.push_back({"service", p.account + "/" + p.region + "/" + cluster + "/" + service});
  }
  return out;
}

Result<void> save_task(store::Writer& writer, const Place& p, const json::Value& task) {
  return writer.put(task_key(p, task.get("_id")), task, task_indexes(p, task));
}

Result<std::vector<store::Resource>> tasks_of_service(store::Reader& reader, const Place& p,
                                                      const std::string& cluster,
                                                      const std::string& service) {
  return reader.find("ecs.task", "service", p.account + "/" + p.region + "/" + cluster + "/" + service);
}

void set_tags(json::Value& body, const json::Array& tags) {
  json::Array all = body.get_array("tags");
  for (const auto& tag : tags) {
    std::erase_if(all, [&](const json::Value& old) { return old.get("key") == tag.get("key"); });
    all.push_back(tag);
  }
  body["tags"] = std::move(all);
}

void add_event(json::Value& service, Millis now, const std::string& text) {
  json::Array events = service.get_array("events");
  events.insert(events.begin(),
                json::object({{"id", uuid()},
                              {"createdAt", now},
                              {"message", "(service " + service.get("serviceName") + ") " + text}}));
  if (events.size() > kMaxEvents) events.resize(kMaxEvents);
  service["events"] = std::move(events);
}

void strip_internal(json::Value& body) {
  if (body.is_object()) {
    std::erase_if(body.object(), [](const json::Member& m) { return m.first.starts_with("_"); });
    for (auto& [key, value] : body.object()) strip_internal(value);
  } else if (body.is_array()) {
    for (auto& value : body.array()) strip_internal(value);
  }
}

}  // namespace bastide::services::ecs
