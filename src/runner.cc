#include "runner/runner.h"

#include "base/log.h"
#include "cli/context.h"
#include "roles.h"

namespace bastide {
namespace {

Result<int> run(cli::Context& context, const cli::Arguments& a) {
  log::init("runner", a.flag("--debug"));
  runner::RunnerOptions options;
  options.home = context.home();
  options.helpers = context.program().substr(0, context.program().rfind('/'));
  options.listener = sys::Fd(given_fd(a, "messages"));
  if (!a.get("--tier").empty()) options.tier = runner::tier_named(a.get("--tier"));
  TRY(runner::run_runner(std::move(options)));
  return 0;
}

}  // namespace

cli::Command runner_command() {
  using cli::Option;
  return {"runner", "The role that serve starts for containers and networks", "",
          {{"--fd", Option::Kind::values, "A descriptor, NAME=NUMBER"},
           {"--tier", Option::Kind::value, "The only tier to try"}, {"--debug", Option::Kind::flag, "Log more"}}, run, true};
}

}  // namespace bastide
