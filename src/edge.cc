
#include "base/bytes.h"
#include "base/log.h"
#include "cli/context.h"
#include "edge/edge.h"
#include "net/loop.h"
#include "net/message.h"
#include "roles.h"

namespace bastide {
namespace {

constexpr Millis kRunnerPatience = 15 * kSecond;
constexpr Millis kRetry = 50;

// Where targets are reached: the runner's namespace with a leg in each VPC. Nothing where the runner cannot make one.
struct Where {
  bool loopback = false;
  sys::Fd userns, netns;
};
Where target_namespace(const std::string& home) {
  Where found;
  net::Loop loop;
  loop.spawn([&] {
    const Millis deadline = Clock::system().steady() + kRunnerPatience;
    while (!found.netns && !found.loopback && Clock::system().steady() < deadline) {
      auto channel = net::Channel::connect(home + "/run/runner.sock", "edge", kSecond);
      if (channel) {
        auto answer = (*channel)->call({json::object({{"kind", "edge.namespace"}}), {}}, 5 * kSecond);
        if (answer && answer->body.get_bool("loopback")) {
          found.loopback = true;
          break;
        }
        if (answer && !answer->fds.empty()) {
          found.netns = std::move(answer->fds.front());
          if (answer->fds.size() > 1) found.userns = std::move(answer->fds[1]);
          break;
        }
        if (!answer && answer.error().code == "Unsupported") break;
      }
      net::sleep_for(kRetry);
    }
    loop.stop();
  });
  loop.run();
  if (!found.netns && !found.loopback) log::warn("the runner gave no network namespace: targets are reached from the host's");
  return found;
}

Result<int> run(cli::Context& context, const cli::Arguments& a) {
  log::init("edge", a.flag("--debug"));
  edge::EdgeOptions options;
  options.home = context.home();
  for (const char* name : {"https", "http"}) {
    if (const int fd = given_fd(a, name); fd >= 0) options.listeners.emplace(name, sys::Fd(fd));
  }
  options.channel = sys::Fd(given_fd(a, "messages"));
  if (!a.get("--become").empty()) options.become = static_cast<uid_t>(TRY(parse_int(a.get("--become"))));
  auto where = target_namespace(context.home());
  options.userns = std::move(where.userns);
  options.netns = std::move(where.netns);
  options.loopback = where.loopback;
  return edge::run_edge(std::move(options));
}

}  // namespace

cli::Command edge_command() {
  using cli::Option;
  return {"edge", "The role that serve starts for public traffic", "",
          {{"--fd", Option::Kind::values, "A descriptor, NAME=NUMBER"},
           {"--become", Option::Kind::value, "The user to be after entering the targets' network"}, {"--debug", Option::Kind::flag, "Log more"}}, run, true};
}

}  // namespace bastide
