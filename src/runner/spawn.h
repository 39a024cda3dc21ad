// Starts helper programs with exactly the descriptors and rights they need. Callable from any thread: between
// fork and exec only async-signal-safe calls happen.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::runner {

// `count` ids from `inside` on are those from `outside` on.
struct IdMap {
  uint32_t inside = 0, outside = 0, count = 65536;
};

struct Spawn {
  std::string program;  // a path
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::vector<std::pair<int, int>> descriptors;  // ours -> its number (from 3 on); 0, 1 and 2 are /dev/null
  std::optional<IdMap> ids;  // a user namespace of its own, with empty net and ipc namespaces
  std::vector<std::pair<int, rlim_t>> limits;  // RLIMIT_...
};

// The child; wait for it with waitpid.
Result<pid_t> spawn(const Spawn& what);

// Starts it with the write end of a pipe as descriptor `report`, waits for its end and gives status and what
// it wrote there (at most 4 KiB). Killed when it takes longer.
struct Report {
  int status = 0;  // exit status, or 128 + signal
  std::string text;
};
Result<Report> spawn_and_wait(Spawn what, int report, Millis timeout);

// A user namespace that nobody is in, kept by its descriptor.
Result<sys::Fd> make_user_namespace(const IdMap& ids);

}  // namespace bastide::runner
