#include "runner/runner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
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

}  // namespace

Result<void> run_runner(RunnerOptions options) {
  const auto held = TRY(lock(options.home));
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  std::vector<Guarantee> guarantees;
  Error unavailable;
  std::unique_ptr<Parts> parts;
  if (::geteuid() != 0) {
    unavailable = error("Unavailable",
                        "this build runs containers as root only; the tiers userns, chroot and landlock are "
                        "not available in it");
  } else if (auto opened = Parts::open(options.home, options.helpers); !opened) {
    unavailable = error("Unavailable", "the tier root is not possible here: " + opened.error().message);
  } else if (auto probed = probe(**opened); !probed) {
    unavailable = error("Unavailable", "the tier root is not possible here: " + probed.error().message);
    (*opened)->stage.release();
  } else {
    parts = std::move(*opened);
    guarantees = std::move(*probed);
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
  std::thread([&loop, ending] {
    int number = 0;
    ::sigwait(&ending, &number);
    loop.stop();
  }).detach();
  loop.run();
  if (!started) log::error("{}", started.error().message);
  if (role->parts()) {
    if (auto cleared = role->parts()->sandboxes->clear(); !cleared) log::warn("{}", cleared.error().message);
  }
  if (role->parts() && role->idle()) role->parts()->stage.release();
  // Fibers may stand anywhere; nothing here needs more than the process's end.
  std::_Exit(started ? 0 : 1);
}

}  // namespace bastide::runner
