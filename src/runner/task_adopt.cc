// Finding tasks again: after runner was restarted, and after the host was.
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "runner/identity.h"
#include "runner/tasks.h"
#include "shim/spool.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

Result<sys::Fd> take(const sys::Fd& pidfd, int number) {
  sys::Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
  if (!fd) return sys::system_error("taking a socket back from the shim");
  return fd;
}

}  // namespace

Result<void> Tasks::adopt() {
  const auto ids = TRY(sys::list_folder(stage_.disk() + "/tasks"));
  for (const auto& id : ids) {
    if (auto adopted = adopt_one(id); !adopted) log::error("task {}: {}", id, adopted.error().message);
  }
  return {};
}

// The shim keeps both sockets open for as long as its task lives.
Result<void> Tasks::take_sockets(Task& task) {
  const auto shim = TRY(container(task.spec.id).shim());
  auto credentials = TRY(take(shim, shim::kFirstKeptFd));
  auto api = TRY(take(shim, shim::kFirstKeptFd + 1));
  task.credentials = std::move(credentials);
  task.api = std::move(api);
  return {};
}

Result<void> Tasks::adopt_one(const std::string& id) {
  if (!is_id(id)) return sys::remove_tree(stage_.disk() + "/tasks/" + id);
  auto text = sys::read_file(folder(id) + "/task.json", 8 << 20);
  if (!text) {
    if (text.error().code == "NotFound")
      return sys::remove_tree(folder(id));  // it ended before it was written down
    return std::move(text).error();
  }
  const auto json = TRY(json::parse(*text));
  auto task = std::make_shared<Task>();
  const json::Value nothing = json::object();
  const json::Value* spec = json.find("spec");
  const json::Value* state = json.find("state");
  auto read_spec = TRY(internal::task_spec(spec ? *spec : nothing));
  auto read_state = TRY(internal::task_state(state ? *state : nothing));
  if (read_spec.id != id) return error("Invalid", "its folder has another name");
  task->spec = std::move(read_spec);
  task->state = std::move(read_state);
  task->boot = json.get("boot");
  task->stopped = task->state.state == "stopped";
  {
    const std::lock_guard lock(mutex_);
    tasks_[id] = task;
  }
  if (task->state.state == "stopped") return {};
  const std::lock_guard lock(task->mutex);
  if (task->boot != boot_id()) {
    const auto ending = container(id).ending();
    return ending ? observe_locked(*task)
                  : end(*task, 128 + 9, Clock::system().wall(), "the host was restarted");
  }
  TRY(observe_locked(*task));
  if (task->state.state == "stopped") return {};
  if (task->state.state == "starting") {
    // Its runner died between the container's start and writing that down.
    if (!container(id).init())
      return end(*task, 128 + 9, Clock::system().wall(), "its start was interrupted");
    task->state.state = "running";
    task->state.started_at = Clock::system().wall();
    TRY(take_sockets(*task));
    TRY(name_doors(*task));
    return save(*task);
  }
  TRY(networks_.guard(task->spec.id, task->spec.account, task->spec.vpc, task->spec.address, true));
  return take_sockets(*task);
}

}  // namespace bastide::runner
