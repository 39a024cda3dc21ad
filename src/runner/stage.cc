#include "runner/stage.h"

#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "runner/identity.h"
#include "runner/spawn.h"
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
Result<void> hide_unified_cgroups() {
  static constexpr const char* kUnified = "/sys/fs/cgroup/unified";
  if (!is_mount_of("/sys/fs/cgroup", TMPFS_MAGIC) || !is_mount_of(kUnified, CGROUP2_SUPER_MAGIC)) return {};
  if (::umount2(kUnified, MNT_DETACH) != 0) return sys::system_error(kUnified);
  if (::mount("tmpfs", kUnified, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=1m") != 0)
    return sys::system_error(kUnified);
  return {};
}

Result<void> join(const Identity& process) {
  const auto living = TRY(open_living(process));
  if (::setns(living.get(), CLONE_NEWNS) != 0) return sys::system_error("entering the holder's mounts");
  return {};
}

}  // namespace

Result<Stage> Stage::enter(const std::string& home, const std::string& helpers) {
  if (home.empty() || home[0] != '/' || home.find_first_of(",:\\\n\"") != std::string::npos) {
    return error("Invalid", "the home folder's path must be absolute and without , : \\ and quotes: " + home);
  }
  Stage stage;
  stage.home_ = home;
  stage.disk_ = home + "/runner";
  stage.helpers_ = helpers;
  stage.crun_ = TRY(find_program("crun"));
  stage.path_ = TRY(choose_path(home));
  TRY(sys::make_folders(stage.disk_));
  for (const char* folder : {"layers", "tasks", "sandboxes"})
    TRY(sys::make_folders(stage.disk_ + "/" + folder));

  auto holder = read_identity(stage.disk_ + "/holder");
  if (holder && join(*holder)) {
    stage.adopted_ = true;
  } else {
    const auto tasks = TRY(sys::list_folder(stage.disk_ + "/tasks"));
    for (const auto& task : tasks) {
      auto shim = read_identity(stage.disk_ + "/tasks/" + task + "/shim");
      if (shim && join(*shim)) {
        stage.adopted_ = true;
        break;
      }
    }
    if (!stage.adopted_) TRY(stage.make());
    TRY(stage.start_holder());
  }
  stage.cgroups_ = std::make_shared<Cgroups>(home);
  return stage;
}

Result<void> Stage::make() {
  if (::unshare(CLONE_NEWNS) != 0) return sys::system_error("a private mount namespace");
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return sys::system_error("private mounts");
  TRY(hide_unified_cgroups());
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
