// bastide-jail: starts the program of a task or build step where the host permits no namespaces, and stands
// in for crun under bastide-shim. Runner writes the plan; the task is confined by a root folder (chroot) or
// Landlock, a user of its own, resource limits and a seccomp filter, and its TCP connects and binds are made
// by its supervisor, which is its parent and its subreaper: an address of its VPC becomes one of 127/8,
// everything else is refused.
#pragma once

#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/types.h>

namespace bastide::shim {

inline constexpr int kMaxWords = 8192;
inline constexpr int kMaxRules = 128;

// The file: "key=value" with a zero byte after each; see read_plan() for the keys.
struct JailPlan {
  const char* pid_file = nullptr;
  const char* log_file = nullptr;
  const char* root = nullptr;  // chroot there; none: Landlock
  const char* folder = "/";
  uid_t uid = 0;                      // 0: stays who it is
  uint32_t address = 0;               // its own of 127/8, host byte order
  uint32_t vpc = 0, mask = 0;         // which addresses it may connect to; mask 0: none
  uint32_t door = 0;                  // where the platform listens for it
  uint16_t credentials = 0, api = 0;  // its ports there
  const char* read_only[kMaxRules] = {};
  const char* writable[kMaxRules] = {};
  int read_only_count = 0, writable_count = 0;
  struct {
    int resource;
    rlim_t value;
  } limits[16] = {};
  int limit_count = 0;
  char* arguments[kMaxWords + 1] = {};
  char* environment[kMaxWords + 1] = {};
  int argument_count = 0, environment_count = 0;
};
bool read_plan(const char* path, JailPlan& plan);

// In the task, before it executes its program. Each returns nullptr or what failed (errno is set).
const char* confine(
    const JailPlan& plan);     // root, user, limits, Landlock; a signal at the supervisor's death
int filter_calls(bool opens);  // the descriptor of what the filter asks about; -1

// In the supervisor: answers one question of the filter.
void answer_call(int listener, const JailPlan& plan);
void answer_open(int listener, const seccomp_notif& ask);
int take_descriptor(pid_t thread, int number);  // a copy of a descriptor of the task; -1

}  // namespace bastide::shim
