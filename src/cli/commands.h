// Every command's maker, one file each.
#pragma once

#include "cli/command.h"

namespace bastide::cli {

Command up_command();
Command plan_command();
Command drift_command();
Command destroy_command();
Command synth_command();
Command stack_rollback_command();
Command stack_recover_command();
Command down_command();
Command status_command();
Command logs_command();
Command aws_command();
Command git_credential_command();
Command auth_export_command();
Command services_command();
Command secrets_encrypt_command();
Command secrets_decrypt_command();
Command image_import_command();
Command release_list_command();
Command pipeline_list_command();
Command pipeline_run_command();
Command approve_command();
Command reject_command();
Command promote_command();
Command rollback_command();

}  // namespace bastide::cli
