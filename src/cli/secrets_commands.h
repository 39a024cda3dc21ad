// The commands of `bastide secrets`, one maker each.
#pragma once

#include "cli/command.h"

namespace bastide::cli {

Command secrets_encrypt_command();
Command secrets_decrypt_command();
Command secrets_set_command();
Command secrets_unset_command();
Command secrets_edit_command();
Command secrets_rotate_command();
Command secrets_rekey_command();
Command secrets_exec_command();
Command secrets_exec_file_command();
Command secrets_check_command();
Command secrets_git_setup_command();
Command secrets_textconv_command();
Command secrets_merge_command();

}  // namespace bastide::cli
