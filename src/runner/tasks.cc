#include "runner/tasks.h"

#include <signal.h>

#include <array>

#include "base/bytes.h"
#include "base/log.h"
#include "internal/loopback.h"
#include "net/socket.h"
#include "runner/image_user.h"
#include "runner/plain_root.h"
#include "runner/signals.h"
#include "runner/usage.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {
constexpr size_t kMaxTasks = 4096;
}

std::shared_ptr<Tasks::Task> Tasks::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : found->second;
}

Result<void> Tasks::save(const Task& task) const {
  return sys::write_file(
      folder(task.spec.id) + "/task.json",
      json::print(
          json::object({{"spec", to_json(task.spec)}, {"state", to_json(task.state)}, {"boot", task.boot}})));
}

Result<Tasks::Started> Tasks::answer(Task& task) {
  Started out{.state = task.state};
  if (task.state.state != "running") return out;
  if (!task.credentials || !task.api) {
    auto network = TRY(networks_.listen_again(task.spec.id));
    task.credentials = std::move(network.credentials);
    task.api = std::move(network.api);
  }
  out.credentials = TRY(task.credentials.duplicate());
  out.api = TRY(task.api.duplicate());
  return out;
}

Result<Tasks::Started> Tasks::start(const internal::TaskSpec& spec) {
  TRY(check(spec));
  const auto missing = layers_.missing(spec.layers);
  if (!missing.empty()) return error("NotFound", "layers are missing: " + join(missing, " "));
  std::shared_ptr<Task> task;
  bool fresh = false;
  {
    const std::lock_guard lock(mutex_);
    auto& known = tasks_[spec.id];
    if (!known) {
      for (const auto& [id, other] : tasks_) {
        if (other && other->spec.account == spec.account && other->spec.vpc == spec.vpc &&
            other->spec.address == spec.address && !other->stopped) {
          tasks_.erase(spec.id);
          return error("Exists", "the address " + spec.address + " belongs to the task " + id);
        }
      }
      if (tasks_.size() > kMaxTasks) {
        tasks_.erase(spec.id);
        return error("TooLarge", "more than " + std::to_string(kMaxTasks) + " tasks");
      }
      known = std::make_shared<Task>();
      known->spec = spec;
      known->state = {.id = spec.id, .account = spec.account, .state = "starting", .address = spec.address};
      fresh = true;
    }
    task = known;
  }
  const std::lock_guard lock(task->mutex);
  if (!fresh) return answer(*task);
  auto ran = run(*task);
  if (ran) return answer(*task);
  if (auto cleaned = clean(*task); !cleaned) log::warn("task {}: {}", spec.id, cleaned.error().message);
  if (auto removed = sys::remove_tree(folder(spec.id)); !removed)
    log::warn("task {}: {}", spec.id, removed.error().message);
  task->state.state = "stopped";
  task->stopped = true;
  const std::lock_guard map_lock(mutex_);
  tasks_.erase(spec.id);
  return std::move(ran).error();
}

Result<void> Tasks::run(Task& task) {
  const auto& spec = task.spec;
  TRY(sys::make_folders(folder(spec.id)));
  task.boot = boot_id();
  TRY(save(task));
  const Container box = container(spec.id);
  auto network = TRY(networks_.add_task(spec));
  std::vector<std::string> trees{layers_.skeleton()};
  for (const auto& layer : spec.layers) trees.push_back(layers_.tree(layer));
  const bool plain = !has_namespaces(stage_.tier());
  const uint32_t own_uid = TRY(plain ? accounts_.task_uid(spec.account, spec.id) : accounts_.first_uid(spec.account));
  if (plain) {
    TRY(make_plain_root(stage_, trees, box.root(), own_uid));
    TRY(make_devices(box.root()));
  } else {
    TRY(roots_.mount(spec.account, trees, folder(spec.id), box.root()));
  }

  ContainerPlan plan;
  plan.read_only_root = spec.read_only_root;
  plan.argv = spec.image.entrypoint;
  plan.argv.insert(plan.argv.end(), spec.image.command.begin(), spec.image.command.end());
  plan.environment = spec.image.environment;
  plan.folder = spec.image.working_folder;
  plan.user = TRY(find_user(box.root(), spec.image.user));
  plan.hostname = spec.hostname.empty() ? spec.id.substr(0, 12) : spec.hostname;
  plan.first_uid = own_uid;
  plan.ids = stage_.ids().count;
  plan.network_namespace = networks_.task_file(spec.id);
  if (stage_.cgroups().version() != 0) plan.cgroup = cgroup(task);
  plan.resolver = address_text(TRY(networks_.cidr(spec.account, spec.vpc)).resolver());
  plan.domain = networks_.domain(spec.account, spec.vpc);
  plan.cpu_units = spec.cpu_units;
  plan.memory_mib = spec.memory_mib;
  plan.processes = spec.processes;
  plan.limit_swap = stage_.cgroups().limits_swap();
  TRY(box.prepare(plan, spec.address));
  std::vector<int> kept = {network.credentials.get(), network.api.get()};
  if (network.ns) kept.push_back(network.ns.get());
  if (plain) {
    const auto range = TRY(networks_.cidr(spec.account, spec.vpc));
    const uint32_t address = TRY(parse_address(spec.address));
    plan.jail.uid = own_uid;
    plan.jail.address = internal::loopback_address(address);
    plan.jail.vpc = range.network;
    plan.jail.mask = range.mask();
    plan.jail.door = internal::door_address(address);
    plan.jail.credentials = TRY(net::local_port(network.credentials.get()));
    plan.jail.api = TRY(net::local_port(network.api.get()));
  }
  TRY(box.start(plan, false, kept));

  task.credentials = std::move(network.credentials);
  task.api = std::move(network.api);
  task.state.state = "running";
  task.state.started_at = Clock::system().wall();
  TRY(name_doors(task));
  return save(task);
}

Result<void> Tasks::name_doors(Task& task) const {
  task.state.api_address = "169.254.170.2:4566";
  task.state.credentials_address = "169.254.170.2:80";
  if (has_namespaces(stage_.tier())) return {};
  const std::string door = address_text(internal::door_address(TRY(parse_address(task.spec.address)))) + ":";
  task.state.api_address = door + std::to_string(TRY(net::local_port(task.api.get())));
  task.state.credentials_address = door + std::to_string(TRY(net::local_port(task.credentials.get())));
  return {};
}

Result<Tasks::Started> Tasks::listeners(const std::string& id) {
  const auto task = find(id);
  if (!task) return error("NotFound", "there is no task " + id);
  const std::lock_guard lock(task->mutex);
  TRY(observe_locked(*task));
  if (task->state.state != "running") return error("Invalid", "the task is not running");
  return answer(*task);
}

Result<internal::TaskState> Tasks::state(const std::string& id) {
  const auto task = find(id);
  if (!task) return error("NotFound", "there is no task " + id);
  const std::lock_guard lock(task->mutex);
  return task->state;
}

std::vector<internal::TaskState> Tasks::list() {
  std::vector<std::shared_ptr<Task>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, task] : tasks_) all.push_back(task);
  }
  std::vector<internal::TaskState> out;
  for (const auto& task : all) {
    const std::lock_guard lock(task->mutex);
    out.push_back(task->state);
  }
  return out;
}

json::Array Tasks::usage() {
  json::Array out;
  std::vector<std::shared_ptr<Task>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, task] : tasks_) all.push_back(task);
  }
  for (const auto& task : all) {
    if (task->stopped) continue;
    auto used = usage_of(stage_.cgroups().version(), cgroup(*task));
    used["id"] = task->spec.id;
    out.push_back(std::move(used));
  }
  return out;
}

bool Tasks::uses_network(const std::string& account, const std::string& vpc) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, task] : tasks_) {
    if (task->spec.account == account && task->spec.vpc == vpc && !task->stopped) return true;
  }
  return false;
}

bool Tasks::any_running() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, task] : tasks_) {
    if (!task->stopped) return true;
  }
  return false;
}

Result<void> Tasks::signal_stop(const std::string& id) {
  const auto task = find(id);
  if (!task) return error("NotFound", "there is no task " + id);
  const std::lock_guard lock(task->mutex);
  TRY(observe_locked(*task));
  if (task->state.state == "stopped") return {};
  auto init = container(id).init();
  if (!init) return {};
  return send_signal(init->get(), signal_number(task->spec.image.stop_signal));
}

Result<void> Tasks::kill(const std::string& id) {
  const auto task = find(id);
  if (!task) return error("NotFound", "there is no task " + id);
  const std::lock_guard lock(task->mutex);
  auto init = container(id).init();
  if (!init) return {};
  return send_signal(init->get(), SIGKILL);
}

Result<internal::TaskState> Tasks::observe(const std::string& id) {
  const auto task = find(id);
  if (!task) return error("NotFound", "there is no task " + id);
  const std::lock_guard lock(task->mutex);
  TRY(observe_locked(*task));
  return task->state;
}

Result<void> Tasks::observe_locked(Task& task) {
  if (task.state.state == "stopped") return {};
  const Container box = container(task.spec.id);
  if (const auto ending = box.ending()) {
    std::string reason;
    if (ending->failed)
      reason = "the container did not start";
    else if (ending->oom_kills > 0)
      reason = "OutOfMemory";
    else if (ending->signal > 0)
      reason = "killed by signal " + std::to_string(ending->signal);
    return end(task, ending->status, ending->at, reason);
  }
  if (box.shim()) return {};
  if (const auto ending = box.ending()) return observe_locked(task);  // it wrote that just before it went
  return end(task, 128 + SIGKILL, Clock::system().wall(), "the task's shim was killed");
}

Result<void> Tasks::clean(Task& task) {
  task.credentials.reset();
  task.api.reset();
  TRY(container(task.spec.id).destroy(cgroup(task)));
  return networks_.remove_task(task.spec.account, task.spec.vpc, task.spec.id);
}

Result<void> Tasks::end(Task& task, int status, Millis at, std::string reason) {
  TRY(clean(task));
  task.state.state = "stopped";
  task.stopped = true;
  task.state.stopped_at = at > 0 ? at : Clock::system().wall();
  task.state.exit_status = status;
  task.state.reason = std::move(reason);
  TRY(save(task));
  for (const char* name : {"/upper", "/work"}) TRY(sys::remove_tree(folder(task.spec.id) + name));
  return {};
}

Result<void> Tasks::forget(const std::string& id) {
  const auto task = find(id);
  if (!task) return {};
  const std::lock_guard lock(task->mutex);
  TRY(observe_locked(*task));
  if (task->state.state != "stopped") return error("Invalid", "the task is still running");
  TRY(clean(*task));
  TRY(sys::remove_tree(folder(id)));
  const std::lock_guard map_lock(mutex_);
  tasks_.erase(id);
  return {};
}

Result<sys::Fd> Tasks::shim(const std::string& id) { return container(id).shim(); }

}  // namespace bastide::runner
