#include "runner/runner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include "base/log.h"
#include "runner/role.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

Result<sys::Fd> lock(const std::string& home) {
  TRY(sys::make_folders(home + "/runner"));
  sys::Fd fd(::open((home + "/runner/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return sys::system_error("runner's lock");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return error("Exists", "another runner works on " + home);
  return fd;
}

// Ends every task and network: `bastide down`. Tasks get their StopSignal, ten seconds, then SIGKILL.
void quiesce(Parts& parts) {
  constexpr Millis kPatience = 10 * kSecond;
  constexpr useconds_t kLook = 20'000;
  const auto each_running = [&](const std::function<void(const std::string& id)>& f) {
    bool any = false;
    for (const auto& task : parts.tasks->list()) {
      if (task.state == "stopped") continue;
      const auto now = parts.tasks->observe(task.id);
      if (now && now->state == "stopped") continue;
      any = true;
      f(task.id);
    }
    return any;
  };
  const auto tell = [](const Result<void>& done) {
    if (!done) log::warn("{}", done.error().message);
  };
  each_running([&](const std::string& id) { tell(parts.tasks->signal_stop(id)); });
  const Millis deadline = Clock::system().steady() + kPatience;
  while (each_running([](const std::string&) {}) && Clock::system().steady() < deadline) ::usleep(kLook);
  each_running([&](const std::string& id) { tell(parts.tasks->kill(id)); });
  while (each_running([](const std::string&) {}) && Clock::system().steady() < deadline + kPatience) ::usleep(kLook);
  for (const auto& task : parts.tasks->list()) tell(parts.tasks->forget(task.id));
  for (const auto& network : parts.networks->list()) tell(parts.networks->remove(network.account, network.vpc));
}

}  // namespace

Result<void> run_runner(RunnerOptions options) {
  const auto held = TRY(lock(options.home));
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::sigaddset(&ending, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  std::vector<Guarantee> guarantees;
  Error unavailable;
  std::unique_ptr<Parts> parts;
  if (auto choice = choose_tier(options.home, options.helpers, options.tier); !choice) {
    unavailable = std::move(choice).error();
  } else if (auto opened = Parts::open(options.home, options.helpers, choice->tier); !opened) {
    unavailable = error("Unavailable", "the tier " + std::string(tier_name(choice->tier)) +
                                           " is not possible here: " + opened.error().message);
  } else {
    parts = std::move(*opened);
    guarantees = std::move(choice->guarantees);
    log::info("tier {}{}", tier_name(choice->tier),
              choice->weaker_because.empty() ? "" : " (" + choice->weaker_because + ")");
    if (!choice->weaker_because.empty()) guarantees.push_back({"a stronger tier", false, choice->weaker_because});
  }
  if (!parts) {
    log::warn("{}", unavailable.message);
    guarantees.push_back({"containers", false, unavailable.message});
  }

  net::Loop loop;
  auto role = std::make_unique<Role>(std::move(parts), std::move(unavailable), std::move(guarantees));
  std::unique_ptr<net::ChannelListener> listener;
  Result<void> started;
  loop.spawn([&] {
    started = role->start();
    if (!started) return loop.stop();
    listener = std::make_unique<net::ChannelListener>(
        std::move(options.listener), "runner",
        [&](std::unique_ptr<net::Channel> channel) { role->connect(std::move(channel)); });
  });
  std::atomic<bool> quiet = false;
  std::thread([&loop, &quiet, ending] {
    int number = 0;
    ::sigwait(&ending, &number);
    quiet = number == SIGUSR1;
    loop.post([&loop] { loop.stop(); });  // holds also when it comes before run()
  }).detach();
  loop.run();
  if (!started) log::error("{}", started.error().message);
  if (role->parts()) {
    if (auto cleared = role->parts()->sandboxes->clear(); !cleared) log::warn("{}", cleared.error().message);
  }
  if (role->parts() && quiet) quiesce(*role->parts());
  if (role->parts() && role->idle()) role->parts()->stage.release();
  // Fibers may stand anywhere; nothing here needs more than the process's end.
  std::_Exit(started ? 0 : 1);
}

}  // namespace bastide::runner
