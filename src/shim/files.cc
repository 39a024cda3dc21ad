#include "shim/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

namespace bastide::shim {
namespace {

int read_small(const char* path, char* out, int size) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t n = ::read(fd, out, static_cast<size_t>(size - 1));
  ::close(fd);
  if (n < 0) return -1;
  out[n] = 0;
  return static_cast<int>(n);
}

}  // namespace

bool describe_process(pid_t pid, char* out, int size) {
  char path[64];
  char stat[1024];
  char boot[64];
  ::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  if (read_small(path, stat, sizeof stat) <= 0 ||
      read_small("/proc/sys/kernel/random/boot_id", boot, sizeof boot) <= 0)
    return false;
  boot[strcspn(boot, "\n")] = 0;
  const char* field = ::strrchr(stat, ')');  // the name may hold anything
  for (int i = 2; field && i < 22; ++i) field = ::strchr(field + 1, ' ');
  if (!field) return false;
  const int n = ::snprintf(out, static_cast<size_t>(size), "%d %llu %s\n", static_cast<int>(pid),
                           ::strtoull(field + 1, nullptr, 10), boot);
  return n > 0 && n < size;
}

bool write_durably(int folder, const char* name, const char* text, int length) {
  char beside[64];
  ::snprintf(beside, sizeof beside, "%s.new", name);
  const int fd = ::openat(folder, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool written = ::write(fd, text, static_cast<size_t>(length)) == length && ::fsync(fd) == 0;
  ::close(fd);
  return written && ::renameat(folder, beside, folder, name) == 0 && ::fsync(folder) == 0;
}

long long now_millis() {
  timespec t;
  ::clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

}  // namespace bastide::shim
