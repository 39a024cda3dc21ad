// What a task reaches of the platform, each on a listener inside the task's own network namespace: the
// credential endpoint with task metadata, and the API.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "aws/principal.h"
#include "base/json.h"
#include "net/http_server.h"
#include "services/ecs/runner.h"

namespace bastide::services::ecs {

struct RoleSession {
  aws::Principal principal;
  std::string access_key_id, secret_access_key, session_token;
  Millis expires_at = 0;
};
using MintRoleSession =
    std::function<Result<RoleSession>(const std::string& role_arn, const std::string& session_name)>;

class TaskDoors {
 public:
  struct Task {
    std::string id;
    std::string role_arn;        // empty: no credentials
    std::string credentials_id;  // the secret part of the path
    std::string metadata_id;
    std::function<Result<json::Value>()> describe;  // the task's row as it is now
  };
  TaskDoors(Task task, TaskListeners listeners, MintRoleSession mint, net::Handler api, Clock& clock);
  ~TaskDoors();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
  std::unique_ptr<net::HttpServer> credentials_, api_;
};

}  // namespace bastide::services::ecs
