#include <fcntl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "cli/context.h"
#include "edge/edge.h"
#include "roles.h"

namespace bastide {
namespace {

Result<int> run(cli::Context& context, const cli::Arguments& a) {
  log::init("edge", a.flag("--debug"));
  edge::EdgeOptions options;
  options.home = context.home();
  for (const char* name : {"https", "http"}) {
    if (const int fd = given_fd(a, name); fd >= 0) options.listeners.emplace(name, sys::Fd(fd));
  }
  options.channel = sys::Fd(given_fd(a, "messages"));
  options.snapshot = sys::Fd(given_fd(a, "snapshot"));
  return edge::run_edge(std::move(options));
}

}  // namespace

cli::Command edge_command() {
  using cli::Option;
  return {"edge", "The role that serve starts for public traffic", "",
          {{"--fd", Option::Kind::values, "A descriptor, NAME=NUMBER"}, {"--debug", Option::Kind::flag, "Log more"}}, run, true};
}

}  // namespace bastide
