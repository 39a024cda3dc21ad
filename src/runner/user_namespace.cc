#include "runner/user_namespace.h"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/bytes.h"
#include "runner/accounts.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::runner {
namespace {

// The first range of 65,536 ids that /etc/subuid or /etc/subgid gives this user; 0 where there is none.
// https://man7.org/linux/man-pages/man5/subuid.5.html
uint32_t subordinate_range(const char* file, uid_t uid) {
  const auto text = sys::read_file(file, 1 << 20);
  if (!text) return 0;
  const passwd* user = ::getpwuid(uid);
  for (const auto line : split(*text, '\n')) {
    const auto parts = split(line, ':');
    if (parts.size() != 3 || (parts[0] != std::to_string(uid) && (!user || parts[0] != user->pw_name)))
      continue;
    const auto first = parse_int(parts[1]), count = parse_int(trim(parts[2]));
    if (first && count && *first > 0 && *first < UINT32_MAX && *count >= kIdsEach)
      return static_cast<uint32_t>(*first);
  }
  return 0;
}

bool put(const std::string& path, const std::string& text) {
  const sys::Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// In a child that stayed outside: only there may more than one id be mapped.
bool map_range(pid_t pid, uid_t uid, gid_t gid) {
  const std::string proc = "/proc/" + std::to_string(pid) + "/";
  if (uid == 0) {
    const std::string map = "0 0 1\n1 " + std::to_string(kFirstUid) + " " + std::to_string(kIdsEach) + "\n";
    return put(proc + "gid_map", map) && put(proc + "uid_map", map);
  }
  const uint32_t uids = subordinate_range("/etc/subuid", uid), gids = subordinate_range("/etc/subgid", uid);
  if (uids == 0 || gids == 0) return false;
  const auto run = [&](const char* tool, uint32_t own, uint32_t first) {
    const auto done = sys::run({.argv = {tool, std::to_string(pid), "0", std::to_string(own), "1", "1",
                                         std::to_string(first), std::to_string(kIdsEach)},
                                .timeout = 10 * kSecond});
    return done && done->status == 0;
  };
  return run("newgidmap", gid, gids) && run("newuidmap", uid, uids);
}

uint32_t mapped_from_one(const char* file) {
  const auto text = sys::read_file(file, 4096);
  if (!text) return 0;
  for (const auto line : split(*text, '\n')) {
    std::vector<int64_t> numbers;
    for (const auto word : split(line, ' ')) {
      if (const auto n = parse_int(trim(word))) numbers.push_back(*n);
    }
    if (numbers.size() == 3 && numbers[0] == 1 && numbers[2] >= kIdsEach) return kIdsEach;
  }
  return 0;
}

}  // namespace

Result<void> enter_new_user_namespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const pid_t self = ::getpid();
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return sys::system_error("pipe");
  sys::Fd read(pipe[0]), write(pipe[1]);
  const pid_t helper = ::fork();
  if (helper < 0) return sys::system_error("fork");
  if (helper == 0) {
    write.reset();
    char go = 0;
    ::_exit(::read(read.get(), &go, 1) == 1 && map_range(self, uid, gid) ? 0 : 1);
  }
  read.reset();
  const bool unshared = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
  const int reason = errno;
  if (unshared && ::write(write.get(), "g", 1) != 1) return sys::system_error("pipe");
  write.reset();
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (!unshared) return sys::system_error("a user namespace", reason);
  if (subordinate_ids() == 0) {
    put("/proc/self/setgroups", "deny");
    put("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
    put("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
  }
  if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
    return sys::system_error("the ids of a user namespace");
  return {};
}

uint32_t subordinate_ids() {
  return std::min(mapped_from_one("/proc/self/uid_map"), mapped_from_one("/proc/self/gid_map"));
}

Result<sys::Fd> own_user_namespace() { return sys::open_read("/proc/self/ns/user"); }

}  // namespace bastide::runner
