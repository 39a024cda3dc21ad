// /proc/self/fd/N in a root folder without /proc: programs reopen what they inherited by that name (kmscrypt
// hands over configuration so, /dev/stdout means it). Every other open goes on as it is.
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/jail.h"

namespace bastide::shim {
namespace {

constexpr const char* kNames[] = {"/proc/self/fd/", "/dev/fd/"};
struct Stream {
  const char* name;
  int number;
};
constexpr Stream kStreams[] = {{"/dev/stdin", 0}, {"/dev/stdout", 1}, {"/dev/stderr", 2}};

// The number that the path names, or -1.
int number_in(const char* path) {
  for (const auto& stream : kStreams) {
    if (!::strcmp(path, stream.name)) return stream.number;
  }
  for (const char* name : kNames) {
    const size_t length = ::strlen(name);
    if (::strncmp(path, name, length) != 0) continue;
    char* end = nullptr;
    const long number = ::strtol(path + length, &end, 10);
    return *end == 0 && end != path + length && number >= 0 && number < 1 << 20 ? static_cast<int>(number)
                                                                                : -1;
  }
  return -1;
}

// Up to the end of its page, where the next may be missing.
bool read_path(pid_t process, uint64_t at, char* text, size_t size) {
  const uint64_t left = 4096 - at % 4096;
  const size_t first = left < size ? left : size;
  const iovec here[] = {{text, first}, {text + first, size - first}};
  const iovec there[] = {{reinterpret_cast<void*>(at), first},
                         {reinterpret_cast<void*>(at + first), size - first}};
  const ssize_t n = ::process_vm_readv(process, here, 2, there, 2, 0);
  if (n <= 0) return false;
  return ::memchr(text, 0, static_cast<size_t>(n)) != nullptr;
}

}  // namespace

void answer_open(int listener, const seccomp_notif& ask) {
  const bool relative = ask.data.nr == SYS_openat;
  const uint64_t path = ask.data.args[relative ? 1 : 0];
  const int flags = static_cast<int>(ask.data.args[relative ? 2 : 1]);
  char text[32] = {};
  const auto process = static_cast<pid_t>(ask.pid);
  const int number = read_path(process, path, text, sizeof text) ? number_in(text) : -1;
  seccomp_notif_resp answer{};
  answer.id = ask.id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  if (number < 0) {
    ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    return;
  }
  answer.flags = 0;
  const int theirs = take_descriptor(process, number);
  if (theirs < 0) {
    answer.error = -ENOENT;
    ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    return;
  }
  char name[64];
  ::snprintf(name, sizeof name, "/proc/self/fd/%d", theirs);
  const int again = ::open(name, (flags & ~(O_CREAT | O_EXCL)) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  const int reason = errno;
  ::close(theirs);
  if (again < 0) {
    answer.error = -reason;
    ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    return;
  }
  if (!(flags & O_NONBLOCK)) ::fcntl(again, F_SETFL, ::fcntl(again, F_GETFL) & ~O_NONBLOCK);
  seccomp_notif_addfd give{};
  give.id = ask.id;
  give.flags = SECCOMP_ADDFD_FLAG_SEND;
  give.srcfd = static_cast<__u32>(again);
  give.newfd_flags = static_cast<__u32>(flags & O_CLOEXEC);
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &give) < 0) {
    answer.error = -errno;
    ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  ::close(again);
}

}  // namespace bastide::shim
