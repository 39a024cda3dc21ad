// The connection to the runner's socket: kept open, opened again whenever it closes. Also the way to the
// runner for delivery's sandboxes. On control's loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "net/message.h"
#include "services/ecs/runner.h"

namespace bastide::services::ecs {

class RunnerLink final : public Runner {
 public:
  explicit RunnerLink(std::string socket_path);
  ~RunnerLink() override;
  void start();  // begins to connect, for ever

  // Any request of internal/runner.h; "Closed" while there is no connection. The answer's body is its
  // payload.
  Result<net::Message> call(net::Message request, Millis timeout);
  // Events that are not ECS's: sandbox.output.
  void on_other(std::string kind, std::function<Result<void>(const json::Value& body)> handler);

  void on_events(Events events) override;
  bool connected() const override;
  Result<std::vector<std::string>> missing_layers(const std::vector<std::string>& digests) override;
  Result<void> put_layer(const std::string& digest, const std::string& media_type, sys::Fd blob) override;
  Result<void> ensure_network(const internal::NetworkSpec& network) override;
  Result<std::pair<internal::TaskState, TaskListeners>> start(const internal::TaskSpec& task) override;
  Result<void> stop(const std::string& id, Millis timeout) override;
  Result<std::vector<internal::TaskState>> list() override;
  Result<TaskListeners> listeners(const std::string& id) override;
  Result<void> forget(const std::string& id) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::services::ecs
