// The runner as ECS uses it: internal/runner.h as calls that wait (fibers of control's loop). Implemented
// over a channel by RunnerLink, by fakes in tests.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "internal/runner.h"
#include "sys/fd.h"

namespace bastide::services::ecs {

struct OutputLine {
  Millis time = 0;
  std::string text;
};
struct TaskOutput {
  std::string id;
  int64_t sequence = 0;
  int64_t dropped = 0;  // lines that runner had to drop before these
  std::vector<OutputLine> lines;
};

struct TaskListeners {
  sys::Fd credentials, api;
};

class Runner {
 public:
  struct Events {
    std::function<void()> connected;                           // also after each reconnection
    std::function<Result<void>(internal::TaskState)> changed;  // an error: runner repeats it
    std::function<Result<void>(TaskOutput)> output;
  };
  virtual ~Runner() = default;
  virtual void on_events(Events events) = 0;  // once, before anything else
  virtual bool connected() const = 0;

  virtual Result<std::vector<std::string>> missing_layers(const std::vector<std::string>& digests) = 0;
  virtual Result<void> put_layer(const std::string& digest, const std::string& media_type, sys::Fd blob) = 0;
  virtual Result<void> ensure_network(const internal::NetworkSpec& network) = 0;
  virtual Result<std::pair<internal::TaskState, TaskListeners>> start(const internal::TaskSpec& task) = 0;
  virtual Result<void> stop(const std::string& id, Millis timeout) = 0;
  virtual Result<std::vector<internal::TaskState>> list() = 0;
  virtual Result<TaskListeners> listeners(const std::string& id) = 0;
  virtual Result<void> forget(const std::string& id) = 0;
};

}  // namespace bastide::services::ecs
