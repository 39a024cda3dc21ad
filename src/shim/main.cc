// The shim of one container: a small static program that starts it, keeps its output and tells how it ended,
// whoever else dies. The files it leaves are in shim/files.h and shim/spool.h.
//
//   bastide-shim run FOLDER OOM-FILE [flush] -- CRUN ARGS...   CRUN must write FOLDER/init.pid
//   bastide-shim probe HOST-FILE PORT                         see shim/probe.h
//   bastide-shim hold FOLDER                                   keeps this mount namespace alive, and nothing
//   else
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

#include "shim/children.h"
#include "shim/files.h"
#include "shim/probe.h"
#include "shim/spool_writer.h"

namespace bastide::shim {
namespace {

constexpr int kFlushMillis = 100;   // a line without an end is shown after this, where `flush` asks so
constexpr int kDrainMillis = 1000;  // after the container's end, for what is still in the pipes
constexpr int kMaxEarlyExits = 64;

void tell(const char* text) {
  [[maybe_unused]] const ssize_t n = ::write(kReadyFd, text, ::strlen(text));
  ::close(kReadyFd);
}

// Away from whoever started us: a new session, and a parent that is gone.
void detach() {
  const pid_t child = ::fork();
  if (child != 0) ::_exit(child < 0 ? 1 : 0);
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT}) ::signal(number, SIG_IGN);
  for (int fd = kReadyFd; fd < kFirstKeptFd + kMaxKeptFds; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  [[maybe_unused]] const int moved = ::chdir("/");
}

struct Shim {
  int folder = -1;
  const char* oom_file = nullptr;
  bool flush_partial = false;
  char** command = nullptr;

  int outputs[2] = {-1, -1};
  pid_t crun = -1, init = -1;
  bool ended = false;
  int end_status = 0;
  struct {
    pid_t pid;
    int status;
  } early[kMaxEarlyExits] = {};
  int early_count = 0;
  SpoolWriter* spool = nullptr;

  bool start();
  void reap();
  void crun_ended(int status);
  void read_output(int index);
  void loop(int signals);
  long long oom_kills() const;
  int finish();
};

bool Shim::start() {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) return false;
  crun = ::fork();
  if (crun < 0) return false;
  if (crun == 0) {
    for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT}) ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    ::execv(command[0], command);
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  outputs[0] = out[0];
  outputs[1] = err[0];
  for (const int fd : outputs) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return true;
}

void Shim::crun_ended(int status) {
  char text[32] = {};
  const int fd = ::openat(folder, "init.pid", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    [[maybe_unused]] const ssize_t n = ::read(fd, text, sizeof text - 1);
    ::close(fd);
  }
  init = ::atoi(text);
  crun = -1;
  if (status != 0 || init <= 0) {
    tell("failed\n");
    static constexpr char failed[] = "failed\n";
    write_durably(folder, "exit", failed, sizeof failed - 1);
    ::_exit(1);
  }
  char who[128];
  for (int i = 0; i < early_count; ++i) {
    if (early[i].pid == init) {
      ended = true;
      end_status = early[i].status;
    }
  }
  if (!ended && describe_process(init, who, sizeof who)) {
    write_durably(folder, "init", who, static_cast<int>(::strlen(who)));
  }
  ::snprintf(who, sizeof who, "ok %d\n", static_cast<int>(init));
  tell(who);
}

void Shim::reap() {
  int status = 0;
  for (;;) {
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    if (pid == crun) {
      crun_ended(status);
    } else if (pid == init) {
      ended = true;
      end_status = status;
    } else if (init < 0) {
      early[early_count++ % kMaxEarlyExits] = {pid, status};
      if (early_count > kMaxEarlyExits) early_count = kMaxEarlyExits;
    }
  }
}

void Shim::read_output(int index) {
  char buffer[32 * 1024];
  const ssize_t n = ::read(outputs[index], buffer, sizeof buffer);
  if (n > 0) {
    spool->append(index + 1, buffer, static_cast<unsigned>(n));
  } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    ::close(outputs[index]);
    outputs[index] = -1;
  }
}

void Shim::loop(int signals) {
  long long drain_until = 0;
  for (;;) {
    if (ended && outputs[0] < 0 && outputs[1] < 0) return;
    if (ended && drain_until == 0) drain_until = now_millis() + kDrainMillis;
    if (ended && now_millis() >= drain_until) return;
    const bool show = flush_partial && (spool->pending(1) || spool->pending(2));
    pollfd fds[] = {{outputs[0], POLLIN, 0}, {outputs[1], POLLIN, 0}, {signals, POLLIN, 0}};
    const int ready = ::poll(fds, 3, show || ended ? kFlushMillis : -1);
    if (ready == 0 && show) {
      spool->flush(1, true);
      spool->flush(2, true);
    }
    if (ready <= 0) continue;
    if (fds[0].revents) read_output(0);
    if (fds[1].revents) read_output(1);
    if (fds[2].revents) {
      signalfd_siginfo seen;
      [[maybe_unused]] const ssize_t n = ::read(signals, &seen, sizeof seen);
      reap();
    }
  }
}

// "oom_kill N" of the cgroup: memory.events, or memory.oom_control of the first version.
long long Shim::oom_kills() const {
  char text[512] = {};
  const int fd = ::open(oom_file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  [[maybe_unused]] const ssize_t n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  const char* found = ::strstr(text, "oom_kill ");
  return found ? ::atoll(found + 9) : 0;
}

int Shim::finish() {
  end_children();  // where the container had no process namespace that took them along
  spool->finish();
  char text[160];
  const int length =
      ::snprintf(text, sizeof text, "status %d signal %d oom %lld time %lld\n",
                 WIFEXITED(end_status) ? WEXITSTATUS(end_status) : 128 + WTERMSIG(end_status),
                 WIFSIGNALED(end_status) ? WTERMSIG(end_status) : 0, oom_kills(), now_millis());
  return write_durably(folder, "exit", text, length) ? 0 : 1;
}

bool say_who(int folder, const char* name) {
  char who[128];
  return describe_process(::getpid(), who, sizeof who) &&
         write_durably(folder, name, who, static_cast<int>(::strlen(who)));
}

int hold(const char* path) {
  detach();
  const int folder = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 || !say_who(folder, "holder")) {
    tell("failed\n");
    return 1;
  }
  tell("ok 0\n");
  ::close(folder);
  for (;;) ::pause();
}

int run(int count, char** arguments) {
  Shim shim;
  int at = 0;
  if (count < 4) return 2;
  const char* path = arguments[at++];
  shim.oom_file = arguments[at++];
  if (!::strcmp(arguments[at], "flush")) {
    shim.flush_partial = true;
    ++at;
  }
  if (::strcmp(arguments[at++], "--") != 0 || at >= count) return 2;
  shim.command = arguments + at;
  detach();
  shim.folder = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int segments = ::openat(shim.folder, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  static SpoolWriter* spool = new SpoolWriter(segments);
  shim.spool = spool;
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &children, nullptr);
  const int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (shim.folder < 0 || segments < 0 || signals < 0 || !say_who(shim.folder, "shim") || !shim.start()) {
    tell("failed\n");
    return 1;
  }
  shim.loop(signals);
  return shim.finish();
}

}  // namespace
}  // namespace bastide::shim

int main(int argc, char** argv) {
  if (argc == 3 && !::strcmp(argv[1], "hold")) return bastide::shim::hold(argv[2]);
  if (argc == 4 && !::strcmp(argv[1], "probe")) return bastide::shim::probe(argv[2], argv[3]);
  if (argc > 2 && !::strcmp(argv[1], "run")) return bastide::shim::run(argc - 2, argv + 2);
  static constexpr char usage[] = "bastide-shim is started by the runner role\n";
  [[maybe_unused]] const ssize_t n = ::write(2, usage, sizeof usage - 1);
  return 2;
}
