#include "serve/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/bytes.h"
#include "base/log.h"
#include "net/message.h"
#include "net/socket.h"
#include "serve/home.h"
#include "serve/owners.h"
#include "serve/role.h"
#include "sys/file.h"

namespace bastide::serve {
namespace {

constexpr Millis kStopPatience = 10 * kSecond;
constexpr Millis kQuiescePatience = 60 * kSecond;

Result<sys::Fd> watch_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int s : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&wanted, s);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sys::Fd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return sys::system_error("signalfd");
  return fd;
}

struct Bound {
  sys::Fd fd;
  uint16_t port;
};

// The first of the ports that can be bound.
Result<Bound> bind_first(const std::string& address, std::vector<uint16_t> ports, std::string_view option) {
  std::string tried;
  for (const uint16_t port : ports) {
    auto fd = net::listen_tcp(address, port);
    if (fd) {
      const uint16_t bound = TRY(net::local_port(fd->get()));
      return Bound{std::move(*fd), bound};
    }
    tried += fmt::format("{}{}:{} ({})", tried.empty() ? "" : ", ", address, port, fd.error().message);
  }
  return error(fmt::format("cannot listen on {}; free the port, or choose another with {}", tried, option));
}

class Supervisor {
 public:
  Supervisor(std::string program, Role runner, Role control, Role edge, sys::Fd signals)
      : program_(std::move(program)), signals_(std::move(signals)) {
    roles_.push_back(std::move(runner));
    roles_.push_back(std::move(control));
    roles_.push_back(std::move(edge));
  }

  Result<void> run() {
    for (Role& role : roles_) TRY(role.start(program_));
    while (!stopping_) {
      wait(next_restart());
      const Millis now = Clock::system().steady();
      for (Role& role : roles_) {
        if (!stopping_ && role.pid() < 0 && role.restart_at() <= now) TRY(role.start(program_));
      }
    }
    return {};
  }

  bool quiesce() const { return quiesce_; }
  Role& runner() { return roles_[0]; }
  Role& control() { return roles_[1]; }
  Role& edge() { return roles_[2]; }

  // The signal, patience, SIGKILL.
  void stop(Role& role, int signal, Millis patience) {
    role.signal(signal);
    const Millis deadline = Clock::system().steady() + patience;
    while (role.pid() > 0) {
      const Millis left = deadline - Clock::system().steady();
      if (left <= 0) role.signal(SIGKILL);
      wait(std::max<Millis>(left, 100));
    }
  }

 private:
  Millis next_restart() const {
    Millis wait = 60 * kSecond;
    for (const Role& role : roles_) {
      if (role.pid() < 0) wait = std::min(wait, std::max<Millis>(0, role.restart_at() - Clock::system().steady()));
    }
    return wait;
  }

  void wait(Millis time) {
    pollfd fd{signals_.get(), POLLIN, 0};
    ::poll(&fd, 1, static_cast<int>(time));
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) continue;
      stopping_ = true;
      quiesce_ |= info.ssi_signo == SIGUSR1;
    }
    int status;
    while (const pid_t pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid < 0) break;
      for (Role& role : roles_) {
        if (role.pid() == pid) role.ended(status, Clock::system().steady(), stopping_);
      }
    }
  }

  std::string program_;
  std::vector<Role> roles_;
  sys::Fd signals_;
  bool stopping_ = false, quiesce_ = false;
};

}  // namespace

Result<void> run(const Options& options) {
  std::string home = options.home;
  const sys::Fd lock = TRY(lock_home(home));
  std::string why;
  const auto owners = owners_of(home, why);
  if (owners) {
    if (auto given = give_home(home, *owners); !given)
      return std::move(given).error().context("giving the files of " + home + " to their roles");
  }
  if (!why.empty()) log::warn("control and edge run as root: {}", why);
  sys::Fd signals = TRY(watch_signals());

  const Bound api = TRY(bind_first("127.0.0.1", {options.api_port}, "--port"));
  const auto ports = [](uint16_t asked, uint16_t usual, uint16_t other) {
    return asked ? std::vector<uint16_t>{asked} : std::vector<uint16_t>{usual, other};
  };
  const Bound https = TRY(bind_first(options.edge_address, ports(options.https_port, 443, 8443), "--https-port"));
  const Bound http = TRY(bind_first(options.edge_address, ports(options.http_port, 80, 8080), "--http-port"));
  const sys::Fd runner_socket = TRY(net::listen_messages(options.home + "/run/runner.sock"));
  const sys::Fd edge_socket = TRY(net::listen_messages(options.home + "/run/edge.sock"));

  std::vector<std::string> common = {"--home", options.home};
  if (options.debug) common.push_back("--debug");
  auto runner_arguments = common;
  if (!options.tier.empty()) runner_arguments.insert(runner_arguments.end(), {"--tier", options.tier});
  Role runner("runner", runner_arguments);
  runner.give("messages", runner_socket.get());
  auto control_arguments = common;
  for (const auto& [name, port] : {std::pair{"--api-port", api.port}, {"--https-port", https.port}, {"--http-port", http.port}}) {
    control_arguments.push_back(name);
    control_arguments.push_back(std::to_string(port));
  }
  sys::Fd boot_helper;
  if (owners) {
    const std::string helper = options.program.substr(0, options.program.rfind('/')) + "/kmscrypt/kmscrypt";
    boot_helper = sys::Fd(::open(helper.c_str(), O_RDONLY | O_CLOEXEC));
    for (const char* name : {"/run/runner.sock", "/run/edge.sock"}) {
      if (::chown((home + name).c_str(), owners->control, owners->control) != 0) return sys::system_error(name);
    }
  }
  Role control("control", control_arguments);
  if (owners) control.run_as(owners->control, home);
  if (boot_helper) control.give("boot-helper", boot_helper.get());
  control.give("api", api.fd.get());
  if (const char* unlock = ::getenv("BASTIDE_UNLOCK_FD")) control.give("unlock", static_cast<int>(TRY(parse_int(unlock))));
  auto edge_arguments = common;
  if (owners) edge_arguments.insert(edge_arguments.end(), {"--become", std::to_string(owners->edge)});
  Role edge("edge", edge_arguments);
  edge.give("messages", edge_socket.get());
  edge.give("https", https.fd.get());
  edge.give("http", http.fd.get());

  TRY(announce(options.home, {::getpid(), api.port, https.port, http.port, options.edge_address}));
  log::info("API http://127.0.0.1:{}, edge https://{}:{} and http://{}:{}, home {}", api.port, options.edge_address,
            https.port, options.edge_address, http.port, options.home);

  Supervisor supervisor(options.program, std::move(runner), std::move(control), std::move(edge), std::move(signals));
  TRY(supervisor.run());
  log::info("stopping");
  supervisor.stop(supervisor.control(), SIGTERM, kStopPatience);
  supervisor.stop(supervisor.edge(), SIGTERM, kStopPatience);
  // SIGUSR1 tells the runner to end its containers and networks before itself.
  supervisor.stop(supervisor.runner(), supervisor.quiesce() ? SIGUSR1 : SIGTERM,
                  supervisor.quiesce() ? kQuiescePatience : kStopPatience);
  return sys::remove_file(options.home + "/run/serve.json");
}

}  // namespace bastide::serve
