// Every command's maker, one file each.
#pragma once

#include "cli/command.h"

namespace bastide::cli {

Command up_command();
Command plan_command();
Command drift_command();
Command destroy_command();
Command synth_command();
Command init_command();
Command schema_command();
Command stack_rollback_command();
Command stack_recover_command();
Command down_command();
Command status_command();
Command logs_command();
Command cdn_publish_command();
Command cdn_invalidate_command();
Command cdn_stats_command();
Command cdn_explain_command();
Command aws_command();
Command git_credential_command();
Command auth_login_command();
Command auth_logout_command();
Command auth_whoami_command();
Command auth_mfa_command();
Command auth_export_command();
Command auth_exec_command();
Command auth_console_command();
Command auth_profiles_sync_command();
Command auth_profiles_list_command();
Command auth_request_command();
Command auth_requests_command();
Command auth_approve_command();
Command auth_deny_command();
Command auth_revoke_command();
Command auth_audit_command();
Command auth_why_command();
Command services_command();
std::vector<Command> secrets_commands();
Command image_import_command();
Command release_list_command();
Command pipeline_list_command();
Command pipeline_run_command();
Command approve_command();
Command reject_command();
Command promote_command();
Command rollback_command();
Command metrics_list_command();
Command metrics_get_command();
Command metrics_plot_command();
Command alarms_list_command();
Command alarms_history_command();
Command alarms_test_command();
Command logs_query_command();
Command console_command();

}  // namespace bastide::cli
