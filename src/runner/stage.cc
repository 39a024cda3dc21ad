#include "runner/stage.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "runner/identity.h"
#include "runner/spawn.h"
#include "runner/user_namespace.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

bool is_mount_of(const std::string& path, long magic) {
  struct statfs st;
  return ::statfs(path.c_str(), &st) == 0 && static_cast<long>(st.f_type) == magic;
}

// A folder that every Linux has and no container of ours needs; the home must not lie inside.
Result<std::string> choose_path(const std::string& home) {
  for (const char* path : {"/mnt", "/media", "/srv"}) {
    struct stat st;
    if (::lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && !(home + "/").starts_with(std::string(path) + "/"))
      return std::string(path);
  }
  return error("none of /mnt, /media and /srv can be used for runner's private mounts");
}

Result<std::string> find_program(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/", "/usr/sbin/", "/usr/local/sbin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return error("NotFound", name + " is not installed");
}

// crun refuses hosts with both versions of cgroups mounted; without the second it works. A tmpfs of ours in
// its place takes what crun writes there by mistake.
Result<void> hide_unified_cgroups(Tier tier) {
  static constexpr const char* kUnified = "/sys/fs/cgroup/unified";
  if (!is_mount_of("/sys/fs/cgroup", TMPFS_MAGIC) || !is_mount_of(kUnified, CGROUP2_SUPER_MAGIC)) return {};
  if (tier == Tier::root && ::umount2(kUnified, MNT_DETACH) != 0) return sys::system_error(kUnified);
  if (::mount("tmpfs", kUnified, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=1m") != 0)
    return sys::system_error(kUnified);
  return {};
}

bool may_become_others() {
  struct __user_cap_header_struct header {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct held[2] = {};
  if (::syscall(SYS_capget, &header, held) != 0) return false;
  const uint32_t needed = 1u << CAP_SYS_CHROOT | 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_CHOWN |
                          1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_KILL;
  return (held[0].effective & needed) == needed;
}

Result<void> join(const Identity& process, Tier tier) {
  const auto living = TRY(open_living(process));
  if (::setns(living.get(), CLONE_NEWNS | (tier == Tier::userns ? CLONE_NEWUSER : 0)) != 0)
    return sys::system_error("entering the holder's mounts");
  if (tier == Tier::userns && (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0))
    return sys::system_error("entering the holder's user namespace");
  return {};
}

}  // namespace

std::string Stage::layers() const {
  if (tier_ == Tier::root) return disk_ + "/layers";
  return disk_ + "/layers-" + std::string(tier_name(tier_)) + (ids_.count == 1 ? "-1" : "");
}

std::optional<Tier> Stage::left_running(const std::string& home) {
  const std::string disk = home + "/runner";
  bool alive = bool(open_living(disk + "/holder"));
  for (const auto& task : sys::list_folder(disk + "/tasks").value_or({})) {
    if (alive) break;
    alive = bool(open_living(disk + "/tasks/" + task + "/shim"));
  }
  if (!alive) return std::nullopt;
  const auto name = sys::read_file(disk + "/tier", 64);
  return name ? tier_named(trim(*name)) : Tier::root;
}

Result<Stage> Stage::enter(const std::string& home, const std::string& helpers, Tier tier) {
  if (home.empty() || home[0] != '/' || home.find_first_of(",:\\\n\"") != std::string::npos) {
    return error("Invalid", "the home folder's path must be absolute and without , : \\ and quotes: " + home);
  }
  if (const auto left = left_running(home); left && *left != tier) {
    return error("Exists", "containers of the tier " + std::string(tier_name(*left)) +
                               " still run; end them with 'bastide down' first");
  }
  if (tier == Tier::landlock) {
    return error("Unsupported", "the tier landlock is not part of this version; use one of root, userns and chroot");
  }
  if (tier == Tier::chroot && !may_become_others()) return error("Denied", "root may not chroot and change users here");
  Stage stage;
  stage.tier_ = tier;
  stage.home_ = home;
  stage.disk_ = home + "/runner";
  stage.helpers_ = helpers;
  TRY(sys::make_folders(stage.disk_));
  if (has_namespaces(tier)) {
    stage.crun_ = TRY(find_program("crun"));
    stage.path_ = TRY(choose_path(home));
  } else {
    stage.path_ = stage.disk_ + "/stage";
  }
  for (const char* folder : {"tasks", "sandboxes"}) TRY(sys::make_folders(stage.disk_ + "/" + folder));

  if (!has_namespaces(tier)) {
    TRY(stage.make_folders());
    stage.adopted_ = left_running(home).has_value();
  } else if (auto holder = read_identity(stage.disk_ + "/holder"); holder && join(*holder, tier)) {
    stage.adopted_ = true;
  } else {
    const auto tasks = TRY(sys::list_folder(stage.disk_ + "/tasks"));
    for (const auto& task : tasks) {
      auto shim = read_identity(stage.disk_ + "/tasks/" + task + "/shim");
      if (shim && join(*shim, tier)) {
        stage.adopted_ = true;
        break;
      }
    }
    if (!stage.adopted_) TRY(stage.make());
    TRY(stage.start_holder());
  }
  if (tier == Tier::userns) {
    const uint32_t ids = subordinate_ids();
    stage.ids_ = ids > 0 ? Ids{false, 1, ids} : Ids{false, 0, 1};
  }
  if (tier == Tier::chroot) stage.ids_ = Ids{true, kFirstUid, 1};
  TRY(sys::make_folders(stage.layers()));
  TRY(sys::write_file(stage.disk_ + "/tier", std::string(tier_name(tier)) + "\n"));
  stage.cgroups_ = std::make_shared<Cgroups>(home, tier == Tier::root);
  return stage;
}

// Tasks stand in a root folder when they become who they are, builds in their workspace: others must be able to pass.
Result<void> Stage::make_folders() {
  for (const auto& folder : {path_, path_ + "/t", path_ + "/s"}) TRY(sys::make_folders(folder));
  for (const auto& folder : {disk_, path_, path_ + "/t", path_ + "/s", disk_ + "/sandboxes"}) {
    if (::chmod(folder.c_str(), 0711) != 0) return sys::system_error(folder);
  }
  return {};
}

Result<void> Stage::make() {
  if (tier_ == Tier::userns) {
    TRY(enter_new_user_namespace());
  } else if (::unshare(CLONE_NEWNS) != 0)
    return sys::system_error("a private mount namespace");
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return sys::system_error("private mounts");
  TRY(hide_unified_cgroups(tier_));
  if (::mount("bastide", path_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m") != 0)
    return sys::system_error(path_);
  for (const char* folder : {"/l", "/t", "/s", "/net", "/crun"}) {
    TRY(sys::make_folders(path_ + folder, 0755));
    ::chmod((path_ + folder).c_str(), 0755);
  }
  return {};
}

Result<void> Stage::start_holder() {
  Spawn holder{.program = shim(), .argv = {"bastide-shim", "hold", disk_}};
  const auto report = TRY(spawn_and_wait(std::move(holder), 3, 10 * kSecond));
  if (!report.text.starts_with("ok"))
    return error("the holder of runner's mounts did not start: " + report.text);
  return {};
}

void Stage::release() const {
  auto living = open_living(disk_ + "/holder");
  if (living) {
    if (auto sent = send_signal(living->get(), SIGKILL); !sent) log::warn("{}", sent.error().message);
    wait_ended(living->get(), 5000);
  }
  if (auto removed = sys::remove_file(disk_ + "/holder"); !removed) log::warn("{}", removed.error().message);
}

}  // namespace bastide::runner
