#include "sys/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"

extern char** environ;

namespace bastide::sys {
namespace {

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return system_error("pipe");
  return Pipe{Fd(fds[0]), Fd(fds[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// Reads what is there; closes the descriptor at its end.
void drain(Fd& fd, std::string& into, size_t max) {
  char buffer[1 << 16];
  const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
  if (n > 0) {
    into.append(buffer, std::min(static_cast<size_t>(n), max - std::min(max, into.size())));
  } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
    fd.reset();
  }
}

}  // namespace

Result<Outcome> run(const Command& command) {
  CHECK(!command.argv.empty());
  Pipe in = TRY(make_pipe());
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  Pipe exec_failure = TRY(make_pipe());

  std::vector<std::string> env = command.env;
  if (command.inherit_env) {
    for (char** e = environ; *e; ++e) {
      const std::string_view entry(*e);
      const auto name = entry.substr(0, entry.find('=') + 1);
      bool replaced = false;
      for (const auto& own : command.env) replaced |= own.starts_with(name);
      if (!replaced) env.emplace_back(entry);
    }
  }
  auto argv = pointers(command.argv);
  auto envp = pointers(env);

  const pid_t pid = ::fork();
  if (pid < 0) return system_error("fork");
  if (pid == 0) {
    // Only async-signal-safe calls from here: the parent may have threads.
    ::setpgid(0, 0);
    ::dup2(command.input_fd >= 0 ? command.input_fd : in.read.get(), 0);
    ::dup2(command.output_fd >= 0 ? command.output_fd : out.write.get(), 1);
    ::dup2(err.write.get(), 2);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    int failure = 0;
    if (!command.folder.empty() && ::chdir(command.folder.c_str()) != 0) failure = errno;
    if (failure == 0) {
      ::execvpe(argv[0], argv.data(), envp.data());
      failure = errno;
    }
    [[maybe_unused]] const ssize_t told = ::write(exec_failure.write.get(), &failure, sizeof failure);
    ::_exit(127);
  }
  in.read.reset();
  out.write.reset();
  err.write.reset();
  exec_failure.write.reset();
  int failure = 0;
  if (::read(exec_failure.read.get(), &failure, sizeof failure) == sizeof failure) {
    ::waitpid(pid, nullptr, 0);
    return system_error(command.argv[0], failure);
  }

  Outcome outcome;
  std::string_view to_send = command.input;
  if (to_send.empty()) in.write.reset();
  else ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  const Millis deadline = Clock::system().steady() + command.timeout;
  while (out.read || err.read) {
    const Millis left = deadline - Clock::system().steady();
    if (left <= 0) {
      outcome.timed_out = true;
      ::kill(-pid, SIGKILL);
      break;
    }
    pollfd fds[] = {{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {in.write.get(), POLLOUT, 0}};
    if (::poll(fds, 3, static_cast<int>(std::min<Millis>(left, 1000))) < 0 && errno != EINTR) break;
    if (fds[0].revents) drain(out.read, outcome.output, command.max_output);
    if (fds[1].revents) drain(err.read, outcome.errors, command.max_output);
    if (fds[2].revents) {
      const ssize_t n = ::write(in.write.get(), to_send.data(), to_send.size());
      if (n > 0) to_send.remove_prefix(static_cast<size_t>(n));
      if (to_send.empty() || (n < 0 && errno != EAGAIN && errno != EINTR)) in.write.reset();
    }
  }
  in.write.reset();
  int status = 0;
  for (;;) {
    const pid_t done = ::waitpid(pid, &status, outcome.timed_out ? 0 : WNOHANG);
    if (done == pid) break;
    if (done < 0 && errno != EINTR) return system_error("waitpid");
    if (Clock::system().steady() > deadline) {
      outcome.timed_out = true;
      ::kill(-pid, SIGKILL);
    } else {
      ::usleep(1000);
    }
  }
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Result<std::string> run_ok(const Command& command) {
  Outcome outcome = TRY(run(command));
  if (outcome.status == 0 && !outcome.timed_out) return std::move(outcome.output);
  std::string_view tail = trim(outcome.errors);
  if (tail.size() > 500) tail = tail.substr(tail.size() - 500);
  return error(outcome.timed_out ? "Timeout" : "Failed",
               command.argv[0] + (outcome.timed_out ? " took too long" : " ended with status " + std::to_string(outcome.status)) +
                   (tail.empty() ? "" : ": " + std::string(tail)));
}

}  // namespace bastide::sys
