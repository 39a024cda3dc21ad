#include "runner/sandboxes.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "runner/archives.h"
#include "runner/host_tools.h"
#include "runner/image_user.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {
constexpr size_t kMaxSandboxes = 64;
}

std::shared_ptr<Sandboxes::Sandbox> Sandboxes::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : found->second;
}

Result<void> Sandboxes::clear() {
  const auto ids = TRY(sys::list_folder(stage_.disk() + "/sandboxes"));
  for (const auto& id : ids) {
    const auto runs = TRY(sys::list_folder(folder(id)));
    for (const auto& run : runs) {
      if (!run.starts_with("run-")) continue;
      const Container left(stage_, id + run.substr(3), folder(id) + "/" + run);
      auto account = sys::read_file(folder(id) + "/account", 64);
      TRY(left.destroy(stage_.cgroups().group(account ? *account : "none", id + run.substr(3))));
    }
    TRY(remove_files(id));
  }
  return {};
}

Result<void> Sandboxes::open(const internal::SandboxSpec& spec, sys::Fd workspace) {
  TRY(check(spec));
  const auto missing = layers_.missing(spec.layers);
  if (!missing.empty()) return error("NotFound", "layers are missing: " + join(missing, " "));
  auto sandbox = std::make_shared<Sandbox>();
  sandbox->spec = spec;
  const std::lock_guard held(sandbox->mutex);
  {
    const std::lock_guard lock(mutex_);
    if (sandboxes_.contains(spec.id)) return error("Exists", "the sandbox exists");
    if (sandboxes_.size() >= kMaxSandboxes)
      return error("TooLarge", "more than " + std::to_string(kMaxSandboxes) + " sandboxes");
    sandboxes_[spec.id] = sandbox;
  }
  auto built = build(*sandbox, std::move(workspace));
  if (built) return {};
  sandbox->outward.reset();
  if (auto removed = remove_files(spec.id); !removed)
    log::warn("sandbox {}: {}", spec.id, removed.error().message);
  const std::lock_guard lock(mutex_);
  sandboxes_.erase(spec.id);
  return built;
}

Result<void> Sandboxes::build(Sandbox& sandbox, sys::Fd workspace) {
  const auto& spec = sandbox.spec;
  if (!has_namespaces(stage_.tier())) return build_plain(spec, std::move(workspace));
  const std::string disk = folder(spec.id);
  const uint32_t uid = TRY(accounts_.first_uid(spec.account));
  TRY(sys::make_folders(disk));
  TRY(sys::write_file(disk + "/account", spec.account));
  const std::string base = disk + "/base";
  TRY(make_skeleton(base, stage_.ids().neutral));
  if (spec.host_tools) TRY(make_host_tools_base(base, stage_.ids().neutral));
  if (!spec.workspace.empty()) {
    std::string at = base;
    for (const auto part : split(spec.workspace, '/')) {
      if (part.empty() || part == ".") continue;
      at += "/" + std::string(part);
      TRY(make_owned_folder(at, stage_.ids().neutral));
    }
    if (at == base) return error("Invalid", "the workspace cannot be the root folder");
    TRY(make_owned_folder(disk + "/workspace", uid));
    if (workspace) TRY(run_unpacker(stage_, "files", workspace.get(), disk + "/workspace", uid));
    // Containers reach it through the stage: the folders above it on disk are closed to them.
    TRY(bind_folder(disk + "/workspace", root(spec.id) + "-workspace"));
  }
  if (spec.network) {
    // The place for its resolver, so that mounting it changes nothing of the image.
    TRY(make_owned_folder(base + "/etc", stage_.ids().neutral));
    TRY(sys::write_file(base + "/etc/resolv.conf", "", 0644));
    TRY(make_owned_folder(disk + "/network", uid));
    TRY(sys::write_file(disk + "/network/resolv.conf", Outward::kResolver, 0644));
    TRY(bind_folder(disk + "/network", root(spec.id) + "-network"));
  }
  std::vector<std::string> trees{base};
  for (const auto& layer : spec.layers) trees.push_back(layers_.tree(layer));
  TRY(roots_.mount(spec.account, trees, disk, root(spec.id)));
  TRY(networks_.add_lonely(spec.id));
  if (!spec.network) return {};
  sandbox.outward = TRY(Outward::open(networks_.task_file(spec.id)));
  return {};
}

Result<std::string> Sandboxes::begin(const internal::SandboxExec& exec) {
  TRY(check(exec));
  const auto sandbox = find(exec.id);
  if (!sandbox) return error("NotFound", "there is no sandbox " + exec.id);
  const std::lock_guard held(sandbox->mutex);
  if (sandbox->running) return error("Invalid", "the sandbox runs another command");
  const auto& spec = sandbox->spec;
  ++sandbox->runs;
  const Container box = container(*sandbox);
  const std::string disk = folder(spec.id) + "/run-" + std::to_string(sandbox->runs);
  const auto run = [&]() -> Result<void> {
    TRY(sys::make_folders(disk));
    ContainerPlan plan;
    plan.argv = exec.argv;
    plan.environment = exec.environment;
    plan.folder = !exec.folder.empty() ? exec.folder : spec.workspace.empty() ? "/" : spec.workspace;
    plan.hostname = "sandbox";
    plan.memory_mib = spec.memory_mib;
    plan.processes = spec.processes;
    if (!has_namespaces(stage_.tier())) {
      TRY(plan_plain(spec, plan));
      return box.start(plan, true, {});
    }
    auto user = TRY(find_user(root(spec.id), exec.user));
    plan.user = std::move(user);
    const uint32_t uid = TRY(accounts_.first_uid(spec.account));
    plan.first_uid = uid;
    plan.ids = stage_.ids().count;
    plan.network_namespace = networks_.task_file(spec.id);
    if (stage_.cgroups().version() != 0) plan.cgroup = cgroup(*sandbox);
    plan.cpu_units = spec.cpu_units;
    plan.limit_swap = stage_.cgroups().limits_swap();
    TRY(box.prepare(plan, ""));
    plan.root = root(spec.id);
    if (spec.host_tools) add_host_tools(plan.binds);
    if (spec.network) plan.binds.push_back({root(spec.id) + "-network/resolv.conf", "/etc/resolv.conf"});
    if (!spec.workspace.empty()) plan.binds.push_back({root(spec.id) + "-workspace", spec.workspace, true});
    return box.start(plan, true, {});
  };
  auto started = run();
  if (!started) {
    if (auto cleaned = box.destroy(cgroup(*sandbox)); !cleaned)
      log::warn("sandbox {}: {}", spec.id, cleaned.error().message);
    if (auto removed = sys::remove_tree(disk); !removed)
      log::warn("sandbox {}: {}", spec.id, removed.error().message);
    return std::move(started).error();
  }
  sandbox->running = true;
  return disk;
}

std::optional<Ending> Sandboxes::poll(const std::string& id) {
  const auto sandbox = find(id);
  if (!sandbox) return Ending{.failed = true};
  const std::lock_guard held(sandbox->mutex);
  if (!sandbox->running) return Ending{.failed = true};
  const Container box = container(*sandbox);
  if (auto ending = box.ending()) return ending;
  if (box.shim()) return std::nullopt;
  auto ending = box.ending();  // written just before it went
  return ending ? ending : Ending{.status = 128 + SIGKILL, .signal = SIGKILL};
}

Result<void> Sandboxes::kill(const std::string& id) {
  const auto sandbox = find(id);
  if (!sandbox) return {};
  const std::lock_guard held(sandbox->mutex);
  if (!sandbox->running) return {};
  auto init = container(*sandbox).init();
  return init ? send_signal(init->get(), SIGKILL) : Result<void>();
}

Result<void> Sandboxes::finish(const std::string& id) {
  const auto sandbox = find(id);
  if (!sandbox) return {};
  const std::lock_guard held(sandbox->mutex);
  return finish_locked(*sandbox);
}

Result<void> Sandboxes::finish_locked(Sandbox& sandbox) {
  if (!sandbox.running) return {};
  TRY(container(sandbox).destroy(cgroup(sandbox)));
  sandbox.running = false;
  return sys::remove_tree(folder(sandbox.spec.id) + "/run-" + std::to_string(sandbox.runs));
}

Result<sys::Fd> Sandboxes::shim(const std::string& id) {
  const auto sandbox = find(id);
  if (!sandbox) return error("NotFound", "there is no sandbox " + id);
  const std::lock_guard held(sandbox->mutex);
  return container(*sandbox).shim();
}

Result<sys::Fd> Sandboxes::pack(const std::string& id, Part part) {
  const auto sandbox = find(id);
  if (!sandbox) return error("NotFound", "there is no sandbox " + id);
  const std::lock_guard held(sandbox->mutex);
  if (sandbox->running) return error("Invalid", "the sandbox runs a command");
  if (part == Part::workspace && sandbox->spec.workspace.empty())
    return error("Invalid", "the sandbox has no workspace");
  const bool plain = !has_namespaces(stage_.tier());
  if (plain && part == Part::changes) {
    return error("Unsupported", "RUN is not possible in the tier " + std::string(tier_name(stage_.tier())) +
                                    ": it takes overlayfs to know what a command changed");
  }
  const uint32_t uid = TRY(plain ? accounts_.task_uid(sandbox->spec.account, id) : accounts_.first_uid(sandbox->spec.account));
  std::string from = folder(id) + (part == Part::workspace ? "/workspace" : "/upper");
  if (plain) from = TRY(plain_workspace(sandbox->spec, uid));
  sys::Fd tar(::open(folder(id).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!tar) return sys::system_error("a file for the archive");
  TRY(run_unpacker(stage_, part == Part::workspace ? "pack-files" : "pack-changes", tar.get(),
                   from, uid));
  if (::lseek(tar.get(), 0, SEEK_SET) != 0) return sys::system_error("the archive");
  return tar;
}

Result<void> Sandboxes::remove_files(const std::string& id) {
  if (has_namespaces(stage_.tier())) {
    for (const char* mounted : {"", "-workspace", "-network"}) TRY(Roots::unmount(root(id) + mounted));
  }
  for (const auto& left : {root(id), root(id) + "-workspace", root(id) + "-network", folder(id)}) {
    if (sys::exists(left)) TRY(sys::remove_tree(left));
  }
  return networks_.remove_lonely(id);
}

Result<void> Sandboxes::close(const std::string& id) {
  const auto sandbox = find(id);
  if (!sandbox) return {};
  const std::lock_guard held(sandbox->mutex);
  TRY(finish_locked(*sandbox));
  sandbox->outward.reset();
  TRY(remove_files(id));
  const std::lock_guard lock(mutex_);
  sandboxes_.erase(id);  // the caller's copy lives on
  return {};
}

}  // namespace bastide::runner
