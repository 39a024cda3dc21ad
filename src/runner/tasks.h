// The tasks of this host: started, watched, found again after a restart, ended, forgotten. Each has a folder
// <home>/runner/tasks/<id> with task.json (what it is and how it stands, durable). Thread-safe: calls on one
// task wait for each other. Blocking.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "internal/runner.h"
#include "runner/accounts.h"
#include "runner/container.h"
#include "runner/layers.h"
#include "runner/networks.h"
#include "runner/rootfs.h"
#include "runner/stage.h"

namespace bastide::runner {

class Tasks {
 public:
  Tasks(const Stage& stage, Accounts& accounts, Layers& layers, Roots& roots, Networks& networks)
      : stage_(stage), accounts_(accounts), layers_(layers), roots_(roots), networks_(networks) {}

  // Reads what is on disk and finds the living ones again; those of an earlier boot are stopped.
  Result<void> adopt();

  struct Started {
    internal::TaskState state;
    sys::Fd credentials, api;
  };
  // Idempotent: a task that exists already answers with its state and sockets.
  Result<Started> start(const internal::TaskSpec& spec);
  Result<Started> listeners(const std::string& id);

  Result<internal::TaskState> state(const std::string& id);
  std::vector<internal::TaskState> list();
  json::Array usage();  // of the running ones: usage.h, with their ids
  bool uses_network(const std::string& account, const std::string& vpc);
  bool any_running();

  Result<void> signal_stop(const std::string& id);  // the image's StopSignal to its first process
  Result<void> kill(const std::string& id);         // SIGKILL; observe() tells when it is over
  // Looks whether it has ended; then cleans up and writes that down. The state after that.
  Result<internal::TaskState> observe(const std::string& id);
  Result<void> forget(const std::string& id);  // "Invalid" while it runs

  // For whoever watches: a pidfd of its shim, and where its output is.
  Result<sys::Fd> shim(const std::string& id);
  std::string folder(const std::string& id) const { return stage_.disk() + "/tasks/" + id; }

 private:
  struct Task {
    std::mutex mutex;
    std::atomic<bool> stopped = false;  // readable without the mutex
    internal::TaskSpec spec;            // never changes
    internal::TaskState state;
    std::string boot;
    sys::Fd credentials, api;  // copies, so that they go on listening without control
  };
  std::shared_ptr<Task> find(const std::string& id);
  Container container(const std::string& id) const { return Container(stage_, id, folder(id)); }
  std::string cgroup(const Task& task) const {
    return stage_.cgroups().group(task.spec.account, task.spec.id);
  }

  Result<void> save(const Task& task) const;
  Result<void> run(Task& task);
  Result<void> adopt_one(const std::string& id);
  Result<void> take_sockets(Task& task);
  Result<void> name_doors(Task& task) const;  // of its sockets
  Result<Started> answer(Task& task);
  Result<void> clean(Task& task);
  Result<void> end(Task& task, int status, Millis at, std::string reason);
  Result<void> observe_locked(Task& task);

  const Stage& stage_;
  Accounts& accounts_;
  Layers& layers_;
  Roots& roots_;
  Networks& networks_;
  std::mutex mutex_;  // of the map
  std::map<std::string, std::shared_ptr<Task>> tasks_;
};

}  // namespace bastide::runner
