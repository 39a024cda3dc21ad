// Who a process is, beyond its number: so that one found again after a restart is the one that was left.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

struct Identity {
  pid_t pid = -1;
  uint64_t start = 0;  // clock ticks since boot
  std::string boot;    // the kernel's boot id
};

std::string boot_id();
Result<Identity> read_identity(const std::string& file);  // as the shim leaves it: "PID START BOOT\n"

// A pidfd of it while it lives; "NotFound" when it is gone, is a zombie, or is another process by now.
Result<sys::Fd> open_living(const Identity& identity);
Result<sys::Fd> open_living(const std::string& file);

Result<void> send_signal(int pidfd, int number);
bool wait_ended(int pidfd, int64_t millis);  // blocks

}  // namespace bastide::runner
