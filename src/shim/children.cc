#include "shim/children.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bastide::shim {
namespace {
constexpr int kRounds = 1000;
constexpr int kBetweenMicros = 5'000;
}  // namespace

void end_children() {
  char path[64];
  ::snprintf(path, sizeof path, "/proc/self/task/%ld/children", ::syscall(SYS_gettid));
  for (int round = 0; round < kRounds; ++round) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    char text[4096];
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? ::read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) ::close(fd);
    if (n <= 0) return;
    text[n] = 0;
    char* at = text;
    for (;;) {
      char* end = nullptr;
      const long pid = ::strtol(at, &end, 10);
      if (end == at) break;
      // A number cut off by the buffer's end could be another process's: the next round has it whole.
      if (pid > 1 && *end != 0) ::kill(static_cast<pid_t>(pid), SIGKILL);
      at = end;
    }
    ::usleep(kBetweenMicros);
  }
}

}  // namespace bastide::shim
