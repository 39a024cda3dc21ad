#include "serve/role.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "sys/privilege.h"

namespace bastide::serve {
namespace {

constexpr Millis kFirstBackOff = 50;
constexpr Millis kMaxBackOff = 5 * kSecond;
constexpr Millis kHealthyAfter = 10 * kSecond;

}  // namespace

Result<void> Role::start(const std::string& program) {
  std::vector<std::string> words = {program, name_};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  for (const auto& [name, fd] : descriptors_) {
    words.push_back("--fd");
    words.push_back(name + "=" + std::to_string(fd));
  }
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  // Opened by serve: its path may be closed to the role's user.
  const sys::Fd binary(::open(program.c_str(), O_PATH | O_CLOEXEC));
  if (!binary) return sys::system_error(program);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return sys::system_error("fork");
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setpgid(0, 0);  // a terminal's ^C reaches serve alone, which stops the roles in order
    if (uid_ != 0) {
      ::umask(077);
      ::setenv("HOME", home_.c_str(), 1);
      if (::chdir(home_.c_str()) != 0 || !sys::become_user(uid_, uid_)) ::_exit(126);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    for (const auto& [name, fd] : descriptors_) ::fcntl(fd, F_SETFD, 0);
    ::syscall(SYS_execveat, binary.get(), "", argv.data(), environ, AT_EMPTY_PATH);
    ::_exit(127);
  }
  pid_ = pid;
  started_at_ = Clock::system().steady();
  log::debug("{} runs as process {}", name_, pid);
  return {};
}

void Role::ended(int status, Millis now, bool expected) {
  const std::string how = WIFEXITED(status) ? "ended with status " + std::to_string(WEXITSTATUS(status))
                                            : "was killed by signal " + std::to_string(WTERMSIG(status));
  back_off_ = now - started_at_ >= kHealthyAfter ? kFirstBackOff : std::clamp(back_off_ * 2, kFirstBackOff, kMaxBackOff);
  restart_at_ = now + back_off_;
  pid_ = -1;
  if (expected && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  log::warn("{} {}; restarting in {} ms", name_, how, back_off_);
}

void Role::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

}  // namespace bastide::serve
