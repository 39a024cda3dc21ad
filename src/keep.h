// What keeps a home: its master key, backups, the system's service. Wiring, as the roles are.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "sys/fd.h"

namespace bastide {

// For `serve`: the passphrase of this home's master key, checked, on a descriptor that BASTIDE_UNLOCK_FD names; asked
// for on the terminal where nothing else gives it. None where no passphrase protects the key. A wrong one is refused
// before anything is touched.
Result<sys::Fd> unlock_home(const std::string& home);

// key status, key rotate-master, backup, restore, install
std::vector<cli::Command> keep_commands();

cli::Command key_status_command();
cli::Command key_rotate_command();
cli::Command backup_command();
cli::Command restore_command();
cli::Command install_command();

}  // namespace bastide
