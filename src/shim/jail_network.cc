#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/jail.h"

namespace bastide::shim {
namespace {

constexpr uint32_t kPlatform = 0xa9feaa02;  // 169.254.170.2, where ECS's agent answers
constexpr uint16_t kCredentialsPort = 80, kApiPort = 4566;
constexpr int kMaxWaiting = 64;  // connects of blocking sockets at a time

int waiting = 0;

struct Question {
  seccomp_notif ask;
  int listener;
  int fd;  // the task's socket, ours too
  sockaddr_storage to;
  socklen_t size;
};

void reply(int listener, const seccomp_notif& ask, int error) {
  seccomp_notif_resp answer{};
  answer.id = ask.id;
  answer.error = -error;
  ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

// The thread that asks, as a process.
pid_t process_of(pid_t thread) {
  char path[64], text[1024];
  ::snprintf(path, sizeof path, "/proc/%d/status", static_cast<int>(thread));
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return thread;
  const ssize_t n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  text[n > 0 ? n : 0] = 0;
  const char* line = ::strstr(text, "\nTgid:");
  return line ? static_cast<pid_t>(::atoi(line + 6)) : thread;
}

// An IPv4 address within either family; false for any other IPv6 address than :: and ::ffff:a.b.c.d.
bool address_of(const sockaddr_storage& at, uint32_t& address) {
  if (at.ss_family == AF_INET) {
    address = ntohl(reinterpret_cast<const sockaddr_in&>(at).sin_addr.s_addr);
    return true;
  }
  const auto& six = reinterpret_cast<const sockaddr_in6&>(at).sin6_addr;
  if (IN6_IS_ADDR_UNSPECIFIED(&six)) {
    address = INADDR_ANY;
    return true;
  }
  if (IN6_IS_ADDR_LOOPBACK(&six)) {
    address = INADDR_LOOPBACK;
    return true;
  }
  if (!IN6_IS_ADDR_V4MAPPED(&six)) return false;
  uint32_t inside;
  ::memcpy(&inside, six.s6_addr + 12, sizeof inside);
  address = ntohl(inside);
  return true;
}

uint16_t& port_of(sockaddr_storage& at) {
  return at.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(at).sin_port
                                 : reinterpret_cast<sockaddr_in6&>(at).sin6_port;
}

void set_address(sockaddr_storage& at, uint32_t address) {
  const uint32_t wire = htonl(address);
  if (at.ss_family == AF_INET) {
    reinterpret_cast<sockaddr_in&>(at).sin_addr.s_addr = wire;
    return;
  }
  auto& six = reinterpret_cast<sockaddr_in6&>(at).sin6_addr;
  ::memset(&six, 0, 10);
  six.s6_addr[10] = six.s6_addr[11] = 0xff;
  ::memcpy(six.s6_addr + 12, &wire, sizeof wire);
}

// Whether somebody listens at this very address: a program of the host that listens on all of them would
// answer at every one of 127/8. Listening sockets come first in these files.
// https://docs.kernel.org/networking/proc_net_tcp.html
bool listens_in(const char* file, const char* wanted) {
  FILE* sockets = ::fopen(file, "re");
  if (!sockets) return false;
  char line[512];
  bool found = false;
  if (!::fgets(line, sizeof line, sockets)) line[0] = 0;
  while (!found && ::fgets(line, sizeof line, sockets)) {
    char local[64], state[8];
    if (::sscanf(line, "%*s %63s %*s %7s", local, state) != 2 || ::strcmp(state, "0A") != 0) break;
    found = ::strcmp(local, wanted) == 0;
  }
  ::fclose(sockets);
  return found;
}

bool listens(uint32_t address, uint16_t port) {
  char wanted[64];
  ::snprintf(wanted, sizeof wanted, "%08X:%04X", htonl(address), port);
  if (listens_in("/proc/net/tcp", wanted)) return true;
  ::snprintf(wanted, sizeof wanted, "0000000000000000%08X%08X:%04X", htonl(0xffff), htonl(address), port);
  return listens_in("/proc/net/tcp6", wanted);
}

// Where a connect really goes; 0 where it may, else why not.
int route(sockaddr_storage& to, const JailPlan& plan) {
  uint32_t address = 0;
  if (!address_of(to, address)) return ENETUNREACH;
  uint16_t& port = port_of(to);
  if (address == kPlatform && plan.door != 0) {
    const uint16_t asked = ntohs(port);
    const uint16_t door = asked == kCredentialsPort ? plan.credentials : asked == kApiPort ? plan.api : 0;
    if (door == 0) return ECONNREFUSED;
    set_address(to, plan.door);
    port = htons(door);
    return 0;
  }
  uint32_t real = plan.address;
  if (address != INADDR_ANY && address >> 24 != 127) {
    if (plan.mask == 0 || (address & plan.mask) != plan.vpc) return ENETUNREACH;
    real = 127u << 24 | (address & 0xffffff);
  }
  if (!listens(real, ntohs(port))) return ECONNREFUSED;
  set_address(to, real);
  return 0;
}

int connect_now(const Question& q, const JailPlan& plan) {
  // From its own address, as others see it; a socket that is bound stays so.
  sockaddr_storage own = q.to;
  set_address(own, plan.address);
  port_of(own) = 0;
  ::bind(q.fd, reinterpret_cast<const sockaddr*>(&own), q.size);
  return ::connect(q.fd, reinterpret_cast<const sockaddr*>(&q.to), q.size) == 0 ? 0 : errno;
}

struct Waiting {
  Question q;
  const JailPlan* plan;
};

void* wait_for_connect(void* given) {
  auto* w = static_cast<Waiting*>(given);
  reply(w->q.listener, w->q.ask, connect_now(w->q, *w->plan));
  ::close(w->q.fd);
  ::free(w);
  __atomic_fetch_sub(&waiting, 1, __ATOMIC_SEQ_CST);
  return nullptr;
}

void connect(Question& q, const JailPlan& plan) {
  if (const int refused = route(q.to, plan)) {
    reply(q.listener, q.ask, refused);
    ::close(q.fd);
    return;
  }
  if (::fcntl(q.fd, F_GETFL) & O_NONBLOCK) {
    reply(q.listener, q.ask, connect_now(q, plan));
    ::close(q.fd);
    return;
  }
  auto* w = __atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < kMaxWaiting
                ? static_cast<Waiting*>(::malloc(sizeof(Waiting)))
                : nullptr;
  pthread_t thread;
  if (w) {
    w->q = q;
    w->plan = &plan;
    __atomic_fetch_add(&waiting, 1, __ATOMIC_SEQ_CST);
    if (::pthread_create(&thread, nullptr, wait_for_connect, w) == 0) {
      ::pthread_detach(thread);
      return;
    }
    __atomic_fetch_sub(&waiting, 1, __ATOMIC_SEQ_CST);
    ::free(w);
  }
  reply(q.listener, q.ask, EAGAIN);
  ::close(q.fd);
}

void bind(Question& q, const JailPlan& plan) {
  uint32_t address = 0;
  int error = 0;
  if (!address_of(q.to, address)) error = EADDRNOTAVAIL;
  if (error == 0) {
    set_address(q.to, plan.address);
    // The namespace of an earlier task would have taken its closed connections along.
    const int on = 1;
    ::setsockopt(q.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(q.fd, reinterpret_cast<const sockaddr*>(&q.to), q.size) != 0) error = errno;
  }
  reply(q.listener, q.ask, error);
  ::close(q.fd);
}

// A socket that was never bound would listen on every address of the host.
void listen(int listener, const seccomp_notif& ask, const JailPlan& plan) {
  const int fd = take_descriptor(static_cast<pid_t>(ask.pid), static_cast<int>(ask.data.args[0]));
  if (fd < 0) return reply(listener, ask, errno == EBADF ? EBADF : EPERM);
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  int error = ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 ? 0 : errno;
  if (error == 0 && (own.ss_family == AF_INET || own.ss_family == AF_INET6) && port_of(own) == 0) {
    set_address(own, plan.address);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&own), size) != 0) error = errno;
  }
  if (error == 0 && ::listen(fd, static_cast<int>(ask.data.args[1])) != 0) error = errno;
  reply(listener, ask, error);
  ::close(fd);
}

// 0, or what to answer: the address is copied out of the task once and never looked at there again.
int read_question(Question& q) {
  const uint64_t size = q.ask.data.args[2];
  if (size < sizeof(sa_family_t) || size > sizeof q.to) return EINVAL;
  ::memset(&q.to, 0, sizeof q.to);
  q.size = static_cast<socklen_t>(size);
  const iovec here{&q.to, q.size}, there{reinterpret_cast<void*>(q.ask.data.args[1]), q.size};
  if (::process_vm_readv(static_cast<pid_t>(q.ask.pid), &here, 1, &there, 1, 0) !=
      static_cast<ssize_t>(q.size))
    return EFAULT;
  if (q.to.ss_family == AF_UNIX) return EACCES;
  if (q.to.ss_family != AF_INET && q.to.ss_family != AF_INET6) return EAFNOSUPPORT;
  const socklen_t needed = q.to.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (q.size < needed) return EINVAL;
  q.size = needed;
  q.fd = take_descriptor(static_cast<pid_t>(q.ask.pid), static_cast<int>(q.ask.data.args[0]));
  if (q.fd < 0) return errno == EBADF ? EBADF : EPERM;
  // What was read belongs to the asker only if it still waits for this very answer.
  if (::ioctl(q.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &q.ask.id) != 0) {
    ::close(q.fd);
    return ESRCH;
  }
  // Someone may have put another kind of socket there than its address says.
  int domain = 0;
  socklen_t length = sizeof domain;
  if (::getsockopt(q.fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != q.to.ss_family) {
    ::close(q.fd);
    return EAFNOSUPPORT;
  }
  return 0;
}

}  // namespace

int take_descriptor(pid_t thread, int number) {
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, process_of(thread), 0));
  if (process < 0) return -1;
  const int fd = static_cast<int>(::syscall(SYS_pidfd_getfd, process, number, 0));
  const int reason = errno;
  ::close(process);
  errno = reason;
  return fd;
}

void answer_call(int listener, const JailPlan& plan) {
  Question q{};
  q.listener = listener;
  q.fd = -1;
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &q.ask) != 0) return;
  if (q.ask.data.nr == SYS_listen) return listen(listener, q.ask, plan);
  if (q.ask.data.nr != SYS_bind && q.ask.data.nr != SYS_connect) return answer_open(listener, q.ask);
  if (const int refused = read_question(q)) return reply(listener, q.ask, refused);
  if (q.ask.data.nr == SYS_bind) return bind(q, plan);
  connect(q, plan);
}

}  // namespace bastide::shim
