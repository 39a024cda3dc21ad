// Sandboxes where nothing can be mounted: a build with the host's tools stands in the host's root folder,
// kept to its workspace by its user and by Landlock; one of an image in a copy of it.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "base/crypto.h"
#include "runner/archives.h"
#include "runner/host_tools.h"
#include "runner/plain_root.h"
#include "runner/sandboxes.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

// Loopback's upper quarter: no VPC's, and nobody may reach it but the sandbox itself.
uint32_t own_address(const std::string& id) {
  const auto n = static_cast<uint32_t>(std::strtoul(sha256_hex(id).substr(0, 8).c_str(), nullptr, 16));
  return 127u << 24 | 3u << 22 | (n & 0x3fffff);
}

}  // namespace

bool has_landlock() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) >= 1; }

Result<std::string> Sandboxes::plain_workspace(const internal::SandboxSpec& spec, uint32_t uid) {
  if (!spec.host_tools) return folder_inside(root(spec.id), spec.workspace, uid);
  return folder(spec.id) + "/workspace";
}

Result<void> Sandboxes::build_plain(const internal::SandboxSpec& spec, sys::Fd workspace) {
  if (spec.network)
    return error("Unsupported", "sandboxes with a network are not possible in the tier " +
                                    std::string(tier_name(stage_.tier())));
  const std::string disk = folder(spec.id);
  const uint32_t uid = TRY(accounts_.task_uid(spec.account, spec.id));
  TRY(sys::make_folders(disk));
  if (::chmod(disk.c_str(), 0711) != 0) return sys::system_error(disk);
  TRY(sys::write_file(disk + "/account", spec.account));
  TRY(make_owned_folder(disk + "/tmp", uid, 0700));
  if (!spec.host_tools) {
    std::vector<std::string> trees{layers_.skeleton()};
    for (const auto& layer : spec.layers) trees.push_back(layers_.tree(layer));
    TRY(make_plain_root(stage_, trees, root(spec.id), uid));
    TRY(make_devices(root(spec.id)));
  }
  if (spec.workspace.empty()) return {};
  const std::string at = TRY(plain_workspace(spec, uid));
  TRY(make_owned_folder(at, uid, 0700));
  if (workspace) TRY(run_unpacker(stage_, "files", workspace.get(), at, uid));
  return {};
}

Result<void> Sandboxes::plan_plain(const internal::SandboxSpec& spec, ContainerPlan& plan) {
  const uint32_t uid = TRY(accounts_.task_uid(spec.account, spec.id));
  plan.jail.uid = uid;
  plan.jail.address = own_address(spec.id);
  if (!spec.host_tools) {
    auto user = TRY(find_user(root(spec.id), ""));
    plan.user = std::move(user);
    plan.root = root(spec.id);
    return {};
  }
  plan.root.clear();
  plan.jail.temporary = folder(spec.id) + "/tmp";
  const std::string at = folder(spec.id) + "/workspace";
  if (plan.folder == spec.workspace)
    plan.folder = at;
  else if (plan.folder.starts_with(spec.workspace + "/"))
    plan.folder = at + plan.folder.substr(spec.workspace.size());
  if (!has_landlock()) return {};
  plan.jail.read_only = host_tool_paths();
  plan.jail.writable = {at, plan.jail.temporary, "/dev/null"};
  return {};
}

}  // namespace bastide::runner
