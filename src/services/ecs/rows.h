// How ECS keeps its resources: bodies with the members of ECS's own shapes (times in milliseconds), and
// members that begin with "_" for what ECS does not show.
//   ecs.cluster  NAME                       ecs.taskdef  FAMILY:REVISION (ten digits)
//   ecs.service  CLUSTER/NAME               ecs.task     ID            (indexes: id, service, cluster)
#pragma once

#include <string>
#include <vector>

#include "aws/call.h"
#include "base/json.h"
#include "base/result.h"
#include "store/database.h"

namespace bastide::services::ecs {

struct Place {  // account and region
  std::string account, region;
};

std::string cluster_arn(const Place& p, const std::string& cluster);
std::string service_arn(const Place& p, const std::string& cluster, const std::string& service);
std::string task_arn(const Place& p, const std::string& cluster, const std::string& id);
std::string definition_arn(const Place& p, const std::string& family, int64_t revision);

store::Key cluster_key(const Place& p, const std::string& cluster);
store::Key service_key(const Place& p, const std::string& cluster, const std::string& service);
store::Key task_key(const Place& p, const std::string& id);
store::Key definition_key(const Place& p, const std::string& family, int64_t revision);

// The last part of a name or an ARN.
std::string short_name(const std::string& name_or_arn);
std::string cluster_name(const std::optional<std::string>& given);  // "default" where nothing is given

// "account/region/..." keys of jobs.
std::string job_key(const store::Key& key);
store::Key key_of_job(const std::string& kind, const std::string& job);

// ClusterNotFoundException unless it is ACTIVE.
Result<store::Resource> load_cluster(store::Reader& reader, const Place& p, const std::string& cluster);
// "family", "family:7" or an ARN; the newest ACTIVE revision where none is named. ClientException.
Result<json::Value> load_definition(store::Reader& reader, const Place& p, const std::string& name);

Result<void> save_task(store::Writer& writer, const Place& p, const json::Value& task);
Result<std::vector<store::Resource>> tasks_of_service(store::Reader& reader, const Place& p,
                                                      const std::string& cluster, const std::string& service);
std::vector<store::Index> task_indexes(const Place& p, const json::Value& task);

void set_tags(json::Value& body, const json::Array& tags);
void add_event(json::Value& service, Millis now, const std::string& text);  // newest first, the last 100
void strip_internal(json::Value& body);  // takes out members that begin with "_", at every level

}  // namespace bastide::services::ecs
