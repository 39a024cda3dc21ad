// Clusters, and the tags of everything.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/ecs/ecs.h"

namespace bastide::services {

using ecs::Place;

namespace {

constexpr size_t kPage = 100;

Result<void> count(store::Reader& r, const Place& p, json::Value& cluster) {
  const std::string name = cluster.get("clusterName");
  int64_t running = 0, pending = 0, services = 0;
  const auto tasks = TRY(r.find("ecs.task", "cluster", p.account + "/" + p.region + "/" + name));
  for (const auto& t : tasks) {
    const std::string status = t.body.get("lastStatus");
    if (status == "RUNNING") ++running;
    if (status == "PROVISIONING" || status == "PENDING") ++pending;
  }
  const auto rows = TRY(r.list(p.account, p.region, "ecs.service", "", 1'000'000, name + "/"));
  for (const auto& s : rows) services += s.body.get("status") == "ACTIVE";
  cluster["runningTasksCount"] = running;
  cluster["pendingTasksCount"] = pending;
  cluster["activeServicesCount"] = services;
  cluster["registeredContainerInstancesCount"] = 0;
  return {};
}

bool includes(const json::Value& in, std::string_view what) {
  const auto& all = in.get_array("include");
  return std::any_of(all.begin(), all.end(),
                     [&](const json::Value& v) { return v.is_string() && v.string() == what; });
}

// Any resource that has tags, by its ARN.
Result<store::Resource> tagged(store::Reader& r, const std::string& arn) {
  const auto parts = split(arn, ':');
  const Error missing =
      fault("InvalidParameterException", "The specified resource was not found: " + arn.substr(0, 300));
  if (parts.size() < 6) return missing;
  const Place p{std::string(parts[4]), std::string(parts[3])};
  std::string resource(arn.substr(static_cast<size_t>(parts[5].data() - arn.data())));
  const size_t slash = resource.find('/');
  const std::string kind = resource.substr(0, slash);
  const std::string rest = slash == std::string::npos ? "" : resource.substr(slash + 1);
  store::Key key;
  if (kind == "cluster") key = ecs::cluster_key(p, rest);
  if (kind == "service") key = {p.account, p.region, "ecs.service", rest};
  if (kind == "task") key = ecs::task_key(p, ecs::short_name(rest));
  if (kind == "task-definition") {
    const size_t colon = rest.rfind(':');
    auto revision = parse_int(rest.substr(colon == std::string::npos ? rest.size() : colon + 1));
    if (!revision || revision.value() < 1) return missing;
    key = ecs::definition_key(p, rest.substr(0, colon), revision.value());
  }
  if (key.kind.empty()) return missing;
  auto row = TRY(r.get(key));
  if (!row) return missing;
  return std::move(*row);
}

Result<void> put_back(store::Writer& w, const store::Resource& row) {
  const Place p{row.key.account, row.key.region};
  if (row.key.kind == "ecs.task") return ecs::save_task(w, p, row.body);
  return w.put(row.key, row.body);
}

}  // namespace

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html
Result<json::Value> Ecs::create_cluster(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  const std::string name = in.get("clusterName", "default");
  if (!in.get_array("capacityProviders").empty()) {
    for (const auto& provider : in.get_array("capacityProviders")) {
      if (provider.is_string() && provider.string() != "FARGATE" && provider.string() != "FARGATE_SPOT") {
        return fault("InvalidParameterException",
                     "The specified capacity provider was not found: " + provider.string());
      }
    }
  }
  if (in.has("serviceConnectDefaults")) {
    return fault("InvalidParameterException", "serviceConnectDefaults is not supported here");
  }
  json::Value cluster;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    auto existing = TRY(w.get(ecs::cluster_key(p, name)));
    if (existing && existing->body.get("status") == "ACTIVE") {
      cluster = existing->body;
      return {};
    }
    cluster = json::object(
        {{"clusterArn", ecs::cluster_arn(p, name)}, {"clusterName", name}, {"status", "ACTIVE"}});
    for (const char* member :
         {"settings", "configuration", "capacityProviders", "defaultCapacityProviderStrategy", "tags"}) {
      cluster[member] = in.find(member) ? *in.find(member) : json::Value(json::Array{});
    }
    if (!in.has("configuration")) cluster.remove("configuration");
    return w.put(ecs::cluster_key(p, name), cluster);
  }));
  TRY(parts_.database.read([&](store::Reader& r) { return count(r, p, cluster); }));
  return json::object({{"cluster", cluster}});
}

Result<json::Value> Ecs::describe_clusters(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  json::Array names = in.get_array("clusters");
  if (names.empty()) names.emplace_back("default");
  json::Array clusters, failures;
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    for (const auto& name : names) {
      auto row = TRY(r.get(ecs::cluster_key(p, ecs::short_name(name.string()))));
      if (!row) {
        failures.push_back(json::object(
            {{"arn", ecs::cluster_arn(p, ecs::short_name(name.string()))}, {"reason", "MISSING"}}));
        continue;
      }
      json::Value body = row->body;
      TRY(count(r, p, body));
      if (!includes(in, "TAGS")) body.remove("tags");
      if (!includes(in, "SETTINGS")) body.remove("settings");
      if (!includes(in, "CONFIGURATIONS")) body.remove("configuration");
      clusters.push_back(std::move(body));
    }
    return {};
  }));
  return json::object({{"clusters", std::move(clusters)}, {"failures", std::move(failures)}});
}

Result<json::Value> Ecs::list_clusters(Call& call, const json::Value& in) {
  json::Value out = json::object({{"clusterArns", json::Array{}}});
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    const auto page = static_cast<size_t>(in.get_int("maxResults", kPage));
    const auto rows = TRY(r.list(call.account, call.region, "ecs.cluster", in.get("nextToken"), page + 1));
    for (size_t i = 0; i < rows.size() && i < page; ++i) {
      if (rows[i].body.get("status") == "ACTIVE") out["clusterArns"].push(rows[i].body.get("clusterArn"));
      if (i + 1 == page && rows.size() > page) out["nextToken"] = rows[i].key.id;
    }
    return {};
  }));
  return out;
}

Result<json::Value> Ecs::delete_cluster(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  json::Value body;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(ecs::load_cluster(w, p, ecs::short_name(in.get("cluster"))));
    TRY(count(w, p, row.body));
    if (row.body.get_int("activeServicesCount") > 0) {
      return fault("ClusterContainsServicesException",
                   "The Cluster cannot be deleted while Services are active.");
    }
    if (row.body.get_int("runningTasksCount") + row.body.get_int("pendingTasksCount") > 0) {
      return fault("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.");
    }
    row.body["status"] = "INACTIVE";
    body = row.body;
    return w.put(row.key, row.body);
  }));
  return json::object({{"cluster", body}});
}

Result<json::Value> Ecs::tag_resource(Call&, const json::Value& in) {
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(tagged(w, in.get("resourceArn")));
    ecs::set_tags(row.body, in.get_array("tags"));
    if (row.body.get_array("tags").size() > 50)
      return fault("InvalidParameterException", "A resource has at most 50 tags.");
    return put_back(w, row);
  }));
  return json::object();
}

Result<json::Value> Ecs::untag_resource(Call&, const json::Value& in) {
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(tagged(w, in.get("resourceArn")));
    json::Array tags = row.body.get_array("tags");
    for (const auto& key : in.get_array("tagKeys")) {
      std::erase_if(tags, [&](const json::Value& tag) { return tag.get("key") == key.string(); });
    }
    row.body["tags"] = std::move(tags);
    return put_back(w, row);
  }));
  return json::object();
}

Result<json::Value> Ecs::list_tags_for_resource(Call&, const json::Value& in) {
  json::Value out = json::object();
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    const auto row = TRY(tagged(r, in.get("resourceArn")));
    out["tags"] = row.body.get_array("tags");
    return {};
  }));
  return out;
}

}  // namespace bastide::services
