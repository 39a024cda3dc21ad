// One binary: the roles and the commands.
#include <signal.h>

#include <cstdio>

#include "cli/command.h"
#include "keep.h"
#include "roles.h"

int main(int argc, char** argv) {
  using namespace bastide;
  ::signal(SIGPIPE, SIG_IGN);
  auto commands = cli::client_commands();
  commands.insert(commands.begin() + 1, serve_command());
  for (auto& command : keep_commands()) commands.push_back(std::move(command));
  const auto documented = commands;
  commands.push_back({"reference", "Prints docs/CLI.md", "", {}, [documented](cli::Context&, const cli::Arguments&) -> Result<int> {
                        std::fputs(cli::reference(documented).c_str(), stdout);
                        return 0;
                      }, true});
  for (auto role : {control_command(), edge_command(), runner_command(), operations_command()}) commands.push_back(role);
  return cli::run_program(argc, argv, std::move(commands));
}
