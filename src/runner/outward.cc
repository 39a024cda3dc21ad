#include "runner/outward.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/spawn.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr const char* kProgram = "/usr/bin/slirp4netns";
constexpr int kReadyTimeout = 10'000;  // milliseconds
constexpr int kLife = 3, kReady = 4;

}  // namespace

Result<std::unique_ptr<Outward>> Outward::open(const std::string& network_namespace) {
  if (!sys::exists(kProgram)) {
    return error("Unsupported", "a build step with a network needs slirp4netns: apt-get install slirp4netns");
  }
  int life[2], ready[2];
  if (::pipe2(life, O_CLOEXEC) != 0) return sys::system_error("pipe");
  const sys::Fd life_read(life[0]);
  sys::Fd life_write(life[1]);
  if (::pipe2(ready, O_CLOEXEC) != 0) return sys::system_error("pipe");
  const sys::Fd ready_read(ready[0]);
  sys::Fd ready_write(ready[1]);
  Spawn what;
  what.program = kProgram;
  what.argv = {"slirp4netns",       "--configure",      "--mtu=65520", "--disable-host-loopback",
               "--enable-sandbox",  "--enable-seccomp", "--exit-fd=3", "--ready-fd=4",
               "--netns-type=path", network_namespace,  "tap0"};
  what.environment = {"PATH=/usr/sbin:/usr/bin"};
  what.descriptors = {{life_read.get(), kLife}, {ready_write.get(), kReady}};
  const pid_t pid = TRY(spawn(what));
  std::unique_ptr<Outward> out(new Outward(pid, std::move(life_write)));
  ready_write.reset();
  pollfd waiting{ready_read.get(), POLLIN, 0};
  char told = 0;
  if (::poll(&waiting, 1, kReadyTimeout) != 1 || ::read(ready_read.get(), &told, 1) != 1) {
    return error("slirp4netns did not open the sandbox's network");
  }
  return out;
}

Outward::~Outward() {
  life_.reset();
  for (int i = 0; i < 100; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    ::usleep(10'000);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace bastide::runner
