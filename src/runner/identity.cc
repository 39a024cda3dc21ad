#include "runner/identity.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: field 3 is the state, field 22 the start time.
Result<uint64_t> living_start(pid_t pid) {
  const auto stat = TRY(sys::read_file("/proc/" + std::to_string(pid) + "/stat", 4096));
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return error("Invalid", "an unreadable process state");
  const auto fields = split(std::string_view(stat).substr(name_end + 2), ' ');
  if (fields.size() < 20) return error("Invalid", "an unreadable process state");
  if (fields[0] == "Z" || fields[0] == "X") return error("NotFound", "the process has ended");
  const int64_t start = TRY(parse_int(fields[19]));
  return static_cast<uint64_t>(start);
}

}  // namespace

std::string boot_id() {
  const auto text = sys::read_file("/proc/sys/kernel/random/boot_id", 128);
  return text ? std::string(trim(*text)) : std::string();
}

Result<Identity> read_identity(const std::string& file) {
  const auto text = TRY(sys::read_file(file, 256));
  const auto parts = split(trim(text), ' ');
  if (parts.size() != 3) return error("Invalid", file + ": not a process's identity");
  const int64_t pid = TRY(parse_int(parts[0]));
  const int64_t start = TRY(parse_int(parts[1]));
  if (pid <= 1 || pid > INT32_MAX) return error("Invalid", file + ": not a process's identity");
  return Identity{static_cast<pid_t>(pid), static_cast<uint64_t>(start), std::string(parts[2])};
}

Result<sys::Fd> open_living(const Identity& identity) {
  if (identity.boot != boot_id()) return error("NotFound", "the process lived before the last boot");
  sys::Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, identity.pid, 0)));
  if (!fd) {
    if (errno == ESRCH || errno == EINVAL) return error("NotFound", "the process has ended");
    return sys::system_error("pidfd_open");
  }
  auto start = living_start(identity.pid);
  if (!start || *start != identity.start) return error("NotFound", "the process has ended");
  return fd;
}

Result<sys::Fd> open_living(const std::string& file) {
  const auto identity = TRY(read_identity(file));
  return open_living(identity);
}

Result<void> send_signal(int pidfd, int number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0 || errno == ESRCH) return {};
  return sys::system_error("kill");
}

bool wait_ended(int pidfd, int64_t millis) {
  pollfd fd{pidfd, POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&fd, 1, static_cast<int>(millis));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

}  // namespace bastide::runner
