#include "runner/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/file.h"

namespace bastide::runner {
namespace {

struct Pipe {
  sys::Fd read, write;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return sys::system_error("pipe");
  return Pipe{sys::Fd(fds[0]), sys::Fd(fds[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

Result<void> write_maps(pid_t pid, const IdMap& ids) {
  const std::string map =
      std::to_string(ids.inside) + " " + std::to_string(ids.outside) + " " + std::to_string(ids.count);
  const std::string folder = "/proc/" + std::to_string(pid) + "/";
  for (const char* name : {"gid_map", "uid_map"}) {
    const sys::Fd fd(::open((folder + name).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return sys::system_error(name);
    if (::write(fd.get(), map.data(), map.size()) != static_cast<ssize_t>(map.size()))
      return sys::system_error(name);
  }
  return {};
}

constexpr int kAside = 200;  // where descriptors wait while their final numbers are freed

[[noreturn]] void fail(int report, int step) {
  const int what[] = {errno, step};
  [[maybe_unused]] const ssize_t told = ::write(report, what, sizeof what);
  ::_exit(127);
}

void become(const Spawn& what, char** argv, char** environment, int program, int mapped, int failure) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < 32; ++number) ::signal(number, SIG_DFL);
  if (what.ids) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) != 0) fail(failure, 1);
    char go = 0;
    [[maybe_unused]] const ssize_t told = ::write(failure, "u", 1);
    if (::read(mapped, &go, 1) != 1) ::_exit(127);
    if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) fail(failure, 2);
  }
  int last = 2;
  for (size_t i = 0; i < what.descriptors.size(); ++i) {
    if (::dup3(what.descriptors[i].first, kAside + static_cast<int>(i), O_CLOEXEC) < 0) fail(failure, 3);
    last = std::max(last, what.descriptors[i].second);
  }
  const int program_at = kAside + static_cast<int>(what.descriptors.size());
  if (::dup3(program, program_at, O_CLOEXEC) < 0) fail(failure, 4);
  const int failure_at = program_at + 1;
  if (::dup3(failure, failure_at, O_CLOEXEC) < 0) fail(failure, 3);
  failure = failure_at;
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(nothing, fd) < 0) fail(failure, 3);
  }
  for (size_t i = 0; i < what.descriptors.size(); ++i) {
    if (::dup2(kAside + static_cast<int>(i), what.descriptors[i].second) < 0) fail(failure, 3);
  }
  ::syscall(SYS_close_range, last + 1, kAside - 1, 0);
  ::syscall(SYS_close_range, failure_at + 1, ~0u, 0);
  for (const auto& [resource, limit] : what.limits) {
    const rlimit both{limit, limit};
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &both) != 0) fail(failure, 5);
  }
  if (what.ids) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::syscall(SYS_execveat, program_at, "", argv, environment, AT_EMPTY_PATH);
  fail(failure, 6);
}

Error child_error(const Spawn& what, const int (&failure)[2]) {
  static constexpr const char* kSteps[] = {"",        "user namespace", "ids", "descriptors",
                                           "program", "limits",         "exec"};
  return sys::system_error(what.program + ": " + kSteps[std::min(std::max(failure[1], 0), 6)], failure[0]);
}

}  // namespace

Result<pid_t> spawn(const Spawn& what) {
  Pipe mapped = TRY(make_pipe());
  Pipe failure = TRY(make_pipe());
  auto argv = pointers(what.argv);
  const sys::Fd program = TRY(sys::open_read(what.program));
  auto environment = pointers(what.environment);
  const pid_t pid = ::fork();
  if (pid < 0) return sys::system_error("fork");
  if (pid == 0)
    become(what, argv.data(), environment.data(), program.get(), mapped.read.get(), failure.write.get());
  failure.write.reset();
  const auto give_up = [&](Error e) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return e;
  };
  if (what.ids) {
    char told[sizeof(int[2])] = {};
    const ssize_t n = ::read(failure.read.get(), told, sizeof told);
    if (n == sizeof told) {
      int values[2];
      __builtin_memcpy(values, told, sizeof told);
      return give_up(child_error(what, values));
    }
    if (n != 1) return give_up(error(what.program + ": ended early"));
    if (auto written = write_maps(pid, *what.ids); !written) return give_up(std::move(written).error());
    if (::write(mapped.write.get(), "m", 1) != 1) return give_up(sys::system_error("pipe"));
  }
  int values[2];
  if (::read(failure.read.get(), values, sizeof values) == sizeof values)
    return give_up(child_error(what, values));
  return pid;
}

Result<Report> spawn_and_wait(Spawn what, int report, Millis timeout) {
  Pipe pipe = TRY(make_pipe());
  what.descriptors.emplace_back(pipe.write.get(), report);
  const pid_t pid = TRY(spawn(what));
  pipe.write.reset();
  Report out;
  const Millis deadline = Clock::system().steady() + timeout;
  bool late = false;
  for (;;) {
    const Millis left = deadline - Clock::system().steady();
    if (left <= 0) {
      late = true;
      break;
    }
    pollfd fd{pipe.read.get(), POLLIN, 0};
    const int ready = ::poll(&fd, 1, static_cast<int>(std::min<Millis>(left, 60'000)));
    if (ready <= 0) continue;
    char buffer[1024];
    const ssize_t n = ::read(pipe.read.get(), buffer, sizeof buffer);
    if (n <= 0) break;
    if (out.text.size() < 4096) out.text.append(buffer, static_cast<size_t>(n));
  }
  if (late) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) return error("Timeout", what.argv[0] + " took longer than " + human_duration(timeout));
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return out;
}

Result<sys::Fd> make_user_namespace(const IdMap& ids) {
  Pipe ready = TRY(make_pipe());
  Pipe done = TRY(make_pipe());
  const pid_t pid = ::fork();
  if (pid < 0) return sys::system_error("fork");
  if (pid == 0) {
    const char answer = ::unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    [[maybe_unused]] const ssize_t told = ::write(ready.write.get(), &answer, 1);
    ::close(done.write.get());
    char end;
    [[maybe_unused]] const ssize_t waited = ::read(done.read.get(), &end, 1);
    ::_exit(0);
  }
  ready.write.reset();
  const auto make = [&]() -> Result<sys::Fd> {
    char answer = 0;
    if (::read(ready.read.get(), &answer, 1) != 1 || answer != 'y')
      return error("Denied", "no user namespace could be made");
    TRY(write_maps(pid, ids));
    return sys::open_read("/proc/" + std::to_string(pid) + "/ns/user");
  };
  auto made = make();
  done.write.reset();
  ::waitpid(pid, nullptr, 0);
  return made;
}

}  // namespace bastide::runner
