#include "shim/probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace bastide::shim {
namespace {

// Runner gives the container 32 MiB, 64 processes and a tenth of a core.
constexpr size_t kTooMuch = size_t{96} << 20;
constexpr size_t kPage = 4096;
constexpr int kTooMany = 100;
constexpr long long kSpinNanos = 60'000'000;

void say(const char* name, bool held) { ::printf("%s=%s\n", name, held ? "yes" : "no"); }

long long now(clockid_t clock) {
  timespec t;
  ::clock_gettime(clock, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

bool memory_is_bounded() {
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    void* block = ::mmap(nullptr, kTooMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) ::_exit(1);
    for (size_t at = 0; at < kTooMuch; at += kPage) static_cast<volatile char*>(block)[at] = 1;
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

bool processes_are_bounded() {
  int gate[2];
  if (::pipe(gate) != 0) return false;
  int made = 0;
  while (made < kTooMany) {
    const pid_t child = ::fork();
    if (child < 0) break;
    if (child == 0) {
      char end;
      ::close(gate[1]);
      [[maybe_unused]] const ssize_t n = ::read(gate[0], &end, 1);
      ::_exit(0);
    }
    ++made;
  }
  ::close(gate[1]);
  for (int i = 0; i < made; ++i) ::wait(nullptr);
  return made < kTooMany;
}

bool cpu_is_bounded() {
  const long long wall = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
  while (now(CLOCK_MONOTONIC) - wall < kSpinNanos) {
  }
  return (now(CLOCK_PROCESS_CPUTIME_ID) - used) * 2 < now(CLOCK_MONOTONIC) - wall;
}

bool host_is_out_of_reach(const char* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return true;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<unsigned short>(::atoi(port)));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool reached = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  ::close(fd);
  return !reached;
}

// What every server does: listen on all addresses.
bool may_listen() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  const bool listens =
      fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 && ::listen(fd, 1) == 0;
  if (fd >= 0) ::close(fd);
  return listens;
}

bool calls_are_refused() {
  return ::unshare(CLONE_NEWUSER) != 0 && ::mount("none", "/", "tmpfs", 0, nullptr) != 0;
}

bool hidden(const char* file) {
  const int fd = ::open(file, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd < 0;
}

}  // namespace

int probe(const char* host_file, const char* host_port) {
  ::printf("uid=%u\n", static_cast<unsigned>(::getuid()));
  say("files", hidden(host_file));
  say("network", host_is_out_of_reach(host_port));
  say("listen", may_listen());
  say("calls", calls_are_refused());
  say("processes", processes_are_bounded());
  say("cpu", cpu_is_bounded());
  ::fflush(stdout);
  say("memory", memory_is_bounded());
  ::fflush(stdout);
  return 0;
}

}  // namespace bastide::shim
