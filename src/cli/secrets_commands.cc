#include "cli/secrets_commands.h"

#include "cli/commands.h"

namespace bastide::cli {

std::vector<Command> secrets_commands() {
  return {secrets_encrypt_command(), secrets_decrypt_command(),   secrets_set_command(),
          secrets_unset_command(),   secrets_edit_command(),      secrets_rotate_command(),
          secrets_rekey_command(),   secrets_exec_command(),      secrets_exec_file_command(),
          secrets_check_command(),   secrets_git_setup_command(), secrets_textconv_command(),
          secrets_merge_command()};
}

}  // namespace bastide::cli
