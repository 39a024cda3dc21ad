#include "services/ecs/doors.h"

#include <optional>

#include "base/crypto.h"
#include "base/log.h"

namespace bastide::services::ecs {
namespace {

constexpr Millis kRenewBefore = 15 * kMinute;

net::Response json_answer(int status, const json::Value& body) {
  net::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.body = json::print(body);
  return response;
}

net::HttpLimits few() {
  net::HttpLimits limits;
  limits.connections = 256;
  return limits;
}

// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html
json::Value container_metadata(const json::Value& task) {
  const auto& containers = task.get_array("containers");
  const json::Value container = containers.empty() ? json::object() : containers.front();
  json::Value out =
      json::object({{"DockerId", task.get("_id") + "-0"},
                    {"Name", container.get("name")},
                    {"DockerName", container.get("name")},
                    {"Image", container.get("image")},
                    {"ImageID", container.get("imageDigest")},
                    {"Labels", json::object({{"com.amazonaws.ecs.cluster", task.get("clusterArn")},
                                             {"com.amazonaws.ecs.container-name", container.get("name")},
                                             {"com.amazonaws.ecs.task-arn", task.get("taskArn")}})},
                    {"DesiredStatus", task.get("desiredStatus")},
                    {"KnownStatus", task.get("lastStatus")},
                    {"Type", "NORMAL"},
                    {"ContainerARN", container.get("containerArn")}});
  if (task.has("startedAt")) out["StartedAt"] = iso8601(task.get_int("startedAt"));
  if (const std::string address = task.get("_address"); !address.empty()) {
    out["Networks"] =
        json::array({json::object({{"NetworkMode", "awsvpc"}, {"IPv4Addresses", json::array({address})}})});
  }
  return out;
}

json::Value task_metadata(const json::Value& task) {
  const std::string definition = task.get("taskDefinitionArn");
  const std::string name = definition.substr(definition.rfind('/') + 1);
  return json::object({{"Cluster", task.get("clusterArn")},
                       {"TaskARN", task.get("taskArn")},
                       {"Family", name.substr(0, name.rfind(':'))},
                       {"Revision", name.substr(name.rfind(':') + 1)},
                       {"DesiredStatus", task.get("desiredStatus")},
                       {"KnownStatus", task.get("lastStatus")},
                       {"LaunchType", task.get("launchType")},
                       {"AvailabilityZone", task.get("availabilityZone")},
                       {"Containers", json::array({container_metadata(task)})}});
}

}  // namespace

struct TaskDoors::Impl {
  Task task;
  MintRoleSession mint;
  net::Handler api;
  Clock& clock;
  std::optional<RoleSession> session;

  Result<json::Value> credentials() {
    if (!session || session->expires_at - clock.wall() < kRenewBefore) {
      session = TRY(mint(task.role_arn, task.id));
    }
    return json::object({{"RoleArn", task.role_arn},
                         {"AccessKeyId", session->access_key_id},
                         {"SecretAccessKey", session->secret_access_key},
                         {"Token", session->session_token},
                         {"Expiration", iso8601(session->expires_at)}});
  }

  net::Response answer(const net::Request& request) {
    const std::string path(request.raw_path());
    if (request.method != "GET")
      return json_answer(405, json::object({{"message", "only GET is understood"}}));
    const std::string credentials_path = "/v2/credentials/";
    if (path.starts_with(credentials_path)) {
      const bool known = !task.role_arn.empty() &&
                         equal_constant_time(path.substr(credentials_path.size()), task.credentials_id);
      if (!known) {
        return json_answer(400, json::object({{"code", "InvalidIdInRequest"},
                                              {"message", "CredentialsV2Request: Credentials not found"}}));
      }
      auto body = credentials();
      if (body) return json_answer(200, body.value());
      log::error("task {}: no credentials of {}: {}", task.id, task.role_arn, body.error().message);
      return json_answer(
          500, json::object({{"code", "NoCredentials"},
                             {"message", body.error().fault ? body.error().message
                                                            : "the role's session could not be made"}}));
    }
    const std::string base = "/v4/" + task.metadata_id;
    if (path == base || path == base + "/task") {
      auto row = task.describe();
      if (!row) return json_answer(500, json::object({{"message", "the task cannot be described"}}));
      return json_answer(200, path == base ? container_metadata(row.value()) : task_metadata(row.value()));
    }
    return json_answer(404, json::object({{"message", "404 page not found"}}));
  }
};

TaskDoors::TaskDoors(Task task, TaskListeners listeners, MintRoleSession mint, net::Handler api, Clock& clock)
    : impl_(new Impl{std::move(task), std::move(mint), std::move(api), clock, {}}) {
  credentials_ = std::make_unique<net::HttpServer>(
      [impl = impl_](net::Exchange& x) { (void)x.respond(impl->answer(x.request())).ok(); }, few());
  api_ = std::make_unique<net::HttpServer>([impl = impl_](net::Exchange& x) { impl->api(x); }, few());
  if (listeners.credentials) credentials_->listen(std::move(listeners.credentials));
  if (listeners.api) api_->listen(std::move(listeners.api));
}

TaskDoors::~TaskDoors() = default;

}  // namespace bastide::services::ecs
