#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/jail.h"

namespace bastide::shim {
namespace {

// https://docs.kernel.org/userspace-api/landlock.html; rights of the versions 1 to 5 in order.
constexpr __u64 kVersion1 = (1ull << 13) - 1;
constexpr __u64 kRefer = 1ull << 13, kTruncate = 1ull << 14, kDeviceIoctl = 1ull << 15;
constexpr __u64 kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr __u64 kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                           LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kDeviceIoctl;

struct Ruleset {  // as of version 6; an older kernel takes the beginning
  __u64 files, network, scoped;
};
constexpr __u64 kScopeAbstractSockets = 1, kScopeSignals = 2;

bool permit(int rules, const char* path, __u64 rights) {
  const int fd = ::open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT;
  struct stat st;
  if (::fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) rights &= kOfFiles;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = fd;
  const bool added = ::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  ::close(fd);
  return added;
}

// Nothing to say where the plan has no rules; the runner has asked whether this kernel can.
const char* landlock(const JailPlan& plan) {
  if (plan.read_only_count + plan.writable_count == 0) return nullptr;
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return "Landlock";
  __u64 all = kVersion1;
  if (version >= 2) all |= kRefer;
  if (version >= 3) all |= kTruncate;
  if (version >= 5) all |= kDeviceIoctl;
  Ruleset wanted{all, 0, version >= 6 ? kScopeAbstractSockets | kScopeSignals : 0};
  const size_t size = version >= 6 ? sizeof wanted : version >= 4 ? 2 * sizeof(__u64) : sizeof(__u64);
  const int rules = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &wanted, size, 0));
  if (rules < 0) return "Landlock";
  for (int i = 0; i < plan.read_only_count; ++i) {
    if (!permit(rules, plan.read_only[i], kRead & all)) return plan.read_only[i];
  }
  for (int i = 0; i < plan.writable_count; ++i) {
    if (!permit(rules, plan.writable[i], all & ~kDeviceIoctl)) return plan.writable[i];
  }
  if (::syscall(SYS_landlock_restrict_self, rules, 0) != 0) return "Landlock";
  ::close(rules);
  return nullptr;
}

}  // namespace

const char* confine(const JailPlan& plan) {
  if (plan.root && (::chroot(plan.root) != 0 || ::chdir("/") != 0)) return "the root folder";
  if (::chdir(plan.folder) != 0) return "the working folder";
  for (int i = 0; i < plan.limit_count; ++i) {
    const rlimit both{plan.limits[i].value, plan.limits[i].value};
    if (::setrlimit(static_cast<__rlimit_resource>(plan.limits[i].resource), &both) != 0) return "the limits";
  }
  if (plan.uid != 0 && (::setgroups(0, nullptr) != 0 || ::setresgid(plan.uid, plan.uid, plan.uid) != 0 ||
                        ::setresuid(plan.uid, plan.uid, plan.uid) != 0)) {
    return "the user";
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "no new privileges";
  return landlock(plan);
}

}  // namespace bastide::shim
