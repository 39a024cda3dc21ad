// The wiring of the roles, one file each: the only places that know everyone.
#pragma once

#include "cli/command.h"

namespace bastide {

cli::Command serve_command();
cli::Command control_command();
cli::Command edge_command();
cli::Command runner_command();

// For the tests: every operation with the action it is authorised by; status 1 where one is not there or has none.
cli::Command operations_command();

// `--fd name=number`: what serve hands over.
int given_fd(const cli::Arguments& arguments, const std::string& name);  // -1 where it is missing

}  // namespace bastide
