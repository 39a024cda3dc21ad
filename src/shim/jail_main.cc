#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

#include "shim/children.h"
#include "shim/jail.h"

namespace bastide::shim {
namespace {

constexpr int kForwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

JailPlan plan;

void note(const char* what, const char* detail) {
  char text[512];
  const int length = ::snprintf(text, sizeof text, "%s: %s\n", what, detail);
  const int fd = ::open(plan.log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t n = ::write(fd, text, static_cast<size_t>(length));
  ::close(fd);
}

bool send_fd(int channel, int fd) {
  char byte = 'f';
  iovec io{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  ::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(channel, &message, MSG_NOSIGNAL) == 1;
}

// The filter's descriptor; or -1, with the reason in `text`.
int receive_fd(int channel, char* text, size_t size) {
  iovec io{text, size - 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  text[n > 0 ? n : 0] = 0;
  const cmsghdr* header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (!header || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  ::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

const char* find_program() {
  const char* name = plan.arguments[0];
  if (::strchr(name, '/')) return name;
  const char* path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (int i = 0; i < plan.environment_count; ++i) {
    if (!::strncmp(plan.environment[i], "PATH=", 5)) path = plan.environment[i] + 5;
  }
  static char full[4096];
  while (*path) {
    const size_t length = ::strcspn(path, ":");
    ::snprintf(full, sizeof full, "%.*s/%s", static_cast<int>(length), path, name);
    if (::access(full, X_OK) == 0) return full;
    path += length + (path[length] == ':');
  }
  errno = ENOENT;
  return nullptr;
}

[[noreturn]] void become_task(int channel) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const auto fail = [&](const char* what) {
    char text[256];
    const int length = ::snprintf(text, sizeof text, "%s: %s", what, ::strerror(errno));
    [[maybe_unused]] const ssize_t n = ::send(channel, text, static_cast<size_t>(length), MSG_NOSIGNAL);
    ::_exit(127);
  };
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing > 0) ::dup2(nothing, 0);
  ::close(nothing);
  if (const char* failed = confine(plan)) fail(failed);
  const char* program = find_program();
  if (!program) fail(plan.arguments[0]);
  const int listener = filter_calls(plan.root != nullptr);
  if (listener < 0) fail("the filter of system calls");
  if (!send_fd(channel, listener)) fail("the filter's descriptor");
  ::close(listener);
  ::execve(program, plan.arguments, plan.environment);
  fail(program);
  ::_exit(127);
}

// The task's user, so that it may look into the task and nothing else; of root's rights only that to bind low
// ports.
bool become_supervisor() {
  if (plan.uid != 0) {
    ::prctl(PR_SET_KEEPCAPS, 1);
    if (::setresgid(plan.uid, plan.uid, plan.uid) != 0 || ::setresuid(plan.uid, plan.uid, plan.uid) != 0)
      return false;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct held[2] = {};
    if (::syscall(SYS_capget, &header, held) != 0) return false;
    const uint32_t kept = held[0].permitted & 1u << CAP_NET_BIND_SERVICE;
    __user_cap_data_struct wanted[2] = {};
    wanted[0].effective = wanted[0].permitted = kept;
    if (::syscall(SYS_capset, &header, wanted) != 0) return false;
  }
  return ::prctl(PR_SET_DUMPABLE, 0) == 0;  // the task has the same user
}

[[noreturn]] void end_like(int status) {
  end_children();
  if (WIFSIGNALED(status)) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    sigset_t all;
    ::sigfillset(&all);
    ::signal(WTERMSIG(status), SIG_DFL);
    ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
    ::raise(WTERMSIG(status));
    ::_exit(128 + WTERMSIG(status));
  }
  ::_exit(WEXITSTATUS(status));
}

[[noreturn]] void supervise(int started) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGCHLD);
  for (const int number : kForwarded) ::sigaddset(&wanted, number);
  ::sigprocmask(SIG_SETMASK, &wanted, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const int signals = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  int channel[2];
  if (signals < 0 || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0) {
    note("supervisor", ::strerror(errno));
    ::_exit(1);
  }
  const pid_t task = ::fork();
  if (task == 0) {
    ::close(channel[0]);
    become_task(channel[1]);
  }
  ::close(channel[1]);
  char text[256];
  const int listener = task > 0 ? receive_fd(channel[0], text, sizeof text) : -1;
  if (listener < 0) {
    note("the task", text);
    ::_exit(1);
  }
  if (!become_supervisor()) {
    note("supervisor", ::strerror(errno));
    ::kill(task, SIGKILL);
    ::_exit(1);
  }
  // The channel closes when the program runs; what comes over it before says why it does not.
  const ssize_t n = ::recv(channel[0], text, sizeof text - 1, 0);
  if (n > 0) {
    text[n] = 0;
    [[maybe_unused]] const ssize_t told = ::write(started, text, static_cast<size_t>(n));
    ::_exit(1);
  }
  ::close(channel[0]);
  [[maybe_unused]] const ssize_t told = ::write(started, "", 1);
  ::close(started);
  for (;;) {
    pollfd fds[] = {{signals, POLLIN, 0}, {listener, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents & POLLIN) answer_call(listener, plan);
    signalfd_siginfo seen;
    while (::read(signals, &seen, sizeof seen) == sizeof seen) {
      if (seen.ssi_signo != SIGCHLD) ::kill(task, static_cast<int>(seen.ssi_signo));
    }
    int status;
    while (const pid_t ended = ::waitpid(-1, &status, WNOHANG)) {
      if (ended < 0) break;
      if (ended == task) end_like(status);
    }
  }
}

int run(const char* path) {
  if (!read_plan(path, plan)) {
    ::fprintf(stderr, "bastide-jail: %s is not a plan\n", path);
    return 1;
  }
  int started[2];
  if (::pipe2(started, O_CLOEXEC) != 0) return 1;
  const pid_t supervisor = ::fork();
  if (supervisor < 0) return 1;
  if (supervisor == 0) {
    ::close(started[0]);
    supervise(started[1]);
  }
  ::close(started[1]);
  char text[256];
  const ssize_t n = ::read(started[0], text, sizeof text - 1);
  if (n != 1 || text[0] != 0) {
    if (n > 0) {
      text[n] = 0;
      note("the program", text);
    }
    ::kill(supervisor, SIGKILL);
    ::waitpid(supervisor, nullptr, 0);
    return 1;
  }
  const int length = ::snprintf(text, sizeof text, "%d", static_cast<int>(supervisor));
  const int fd = ::open(plan.pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  return fd >= 0 && ::write(fd, text, static_cast<size_t>(length)) == length ? 0 : 1;
}

}  // namespace
}  // namespace bastide::shim

int main(int argc, char** argv) {
  if (argc == 3 && !::strcmp(argv[1], "run")) return bastide::shim::run(argv[2]);
  static constexpr char usage[] = "bastide-jail is started by bastide-shim\n";
  [[maybe_unused]] const ssize_t n = ::write(2, usage, sizeof usage - 1);
  return 2;
}
