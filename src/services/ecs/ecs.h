// Amazon ECS on the runner: clusters, task definitions, services with rolling deployments, tasks.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
//
// Each service is a job that compares what is with what is wanted; each task is a job that brings it up and
// down. Everything that they decide is in the store before it happens, so that both go on after a kill.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "aws/local_client.h"
#include "aws/service.h"
#include "gen/ecs.h"
#include "model/body.h"
#include "net/http_server.h"
#include "services/ecs/doors.h"
#include "services/ecs/rows.h"
#include "services/ecs/runner.h"
#include "store/blobs.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

struct EcsParts {
  store::Database& database;
  store::Blobs& blobs;
  store::Keyring& keyring;
  aws::LocalClient& client;
  Clock& clock;
  ecs::Runner& runner;
  ecs::MintRoleSession mint;  // a session of a role for ecs-tasks.amazonaws.com
  net::Handler api;           // what containers reach at 169.254.170.2:4566
};

class Ecs {
 public:
  explicit Ecs(EcsParts parts);
  ~Ecs();
  void offer(aws::Registry& registry);
  // Takes over what runs and begins to work; on control's loop, once, before the runner is connected.
  Result<void> start();

 private:
  using Call = aws::Call;
  // Operations work on bodies: see rows.h.
  using Body = Result<json::Value> (Ecs::*)(Call&, const json::Value&);
  template <class Op, Body F>
  Result<typename Op::Response> typed(Call& call, const typename Op::Request& request) {
    const json::Value body = TRY((this->*F)(call, model::request_body<Op>(request)));
    return model::response_of<Op>(body);
  }

  Result<json::Value> create_cluster(Call&, const json::Value&);
  Result<json::Value> describe_clusters(Call&, const json::Value&);
  Result<json::Value> list_clusters(Call&, const json::Value&);
  Result<json::Value> delete_cluster(Call&, const json::Value&);
  Result<json::Value> tag_resource(Call&, const json::Value&);
  Result<json::Value> untag_resource(Call&, const json::Value&);
  Result<json::Value> list_tags_for_resource(Call&, const json::Value&);
  Result<json::Value> register_task_definition(Call&, const json::Value&);
  Result<json::Value> deregister_task_definition(Call&, const json::Value&);
  Result<json::Value> describe_task_definition(Call&, const json::Value&);
  Result<json::Value> list_task_definitions(Call&, const json::Value&);
  Result<json::Value> list_task_definition_families(Call&, const json::Value&);
  Result<json::Value> create_service(Call&, const json::Value&);
  Result<json::Value> update_service(Call&, const json::Value&);
  Result<json::Value> delete_service(Call&, const json::Value&);
  Result<json::Value> describe_services(Call&, const json::Value&);
  Result<json::Value> list_services(Call&, const json::Value&);
  Result<json::Value> run_task(Call&, const json::Value&);
  Result<json::Value> stop_task(Call&, const json::Value&);
  Result<json::Value> list_tasks(Call&, const json::Value&);
  Result<json::Value> describe_tasks(Call&, const json::Value&);

  // Jobs.
  Result<std::optional<Millis>> reconcile(store::Job& job);
  Result<std::optional<Millis>> run_task_job(store::Job& job);
  struct Health;
  Result<Health> health_of(const ecs::Place& p, const json::Value& service);

  // Steps of a task's job.
  Result<void> bring_up(const store::Key& key, json::Value task);
  Result<internal::TaskSpec> prepare(const ecs::Place& p, json::Value& task, const json::Value& definition);
  Result<void> place_in_network(const ecs::Place& p, json::Value& task, internal::TaskSpec& spec);
  Result<void> pull(const ecs::Place& p, json::Value& task, internal::TaskSpec& spec);
  Result<void> stop_on_runner(const store::Key& key, const json::Value& task);
  Result<void> prepare_logs(const ecs::Place& p, json::Value& task, const json::Value& container);
  Result<void> balance(const ecs::Place& p, json::Value& task, bool in);
  Result<bool> drained(const ecs::Place& p, const json::Value& task);
  Result<aws::Principal> execution_principal(const json::Value& task);

  // Events of the runner.
  void connected();
  Result<void> adopt(std::vector<internal::TaskState> states);
  Result<void> adopt_one(const internal::TaskState& state);
  Result<void> changed(const internal::TaskState& state);
  Result<void> output(const ecs::TaskOutput& out);
  Result<std::optional<store::Resource>> find_task(const std::string& id);
  void open_doors(const store::Key& key, const json::Value& task, ecs::TaskListeners listeners);

  // Changes a task's row and wakes its job and its service's.
  Result<void> change_task(const store::Key& key, const std::function<void(json::Value&)>& change);
  Result<void> end_task(const store::Key& key, const std::string& stop_code, const std::string& reason,
                        const std::function<void(json::Value&)>& more = {});
  // Another task may have the address from then on: not before its target is deregistered.
  Result<void> release_address(const store::Key& task, const std::string& address);

  EcsParts parts_;
  std::map<std::string, std::unique_ptr<ecs::TaskDoors>> doors_;  // by task
  std::map<std::string, ecs::RoleSession> sessions_;              // of execution roles
  std::set<std::string> starting_;                                // tasks that runner is asked to start
};

namespace ecs {

// A new task's row, in PROVISIONING. `request` has overrides, networkConfiguration, group, startedBy, tags.
json::Value make_task(const Place& p, const std::string& cluster, const json::Value& definition,
                      const json::Value& request, Millis now);
json::Value make_deployment(const json::Value& service, Millis now);
// Members that this ECS does not do are refused by name. Faults: ClientException, InvalidParameterException.
Result<void> check_definition(const json::Value& request);
// task_secrets.cc: whether a container's `secrets` may be registered, and one of them when a task starts.
Result<void> check_secrets(const json::Value& container, const std::string& execution_role);
Result<std::string> pull_secret(aws::LocalClient& client, const aws::Principal& who, const Place& p, const std::string& value_from);
Result<void> check_network(const json::Value& request);
Result<int64_t> cpu_units(const std::string& text);
Result<int64_t> memory_mib(const std::string& text);
aws::Principal service_principal();

}  // namespace ecs
}  // namespace bastide::services
