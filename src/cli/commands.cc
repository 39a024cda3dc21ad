#include "cli/commands.h"

namespace bastide::cli {

std::vector<Command> client_commands() {
  std::vector<Command> all = {up_command(),        plan_command(),            drift_command(),      destroy_command(),
          synth_command(),     init_command(),            schema_command(),     stack_rollback_command(),  stack_recover_command(),
          status_command(),          logs_command(),       approve_command(),
          reject_command(),    promote_command(),         rollback_command(),   release_list_command(),
          pipeline_list_command(), pipeline_run_command(), cdn_publish_command(), cdn_invalidate_command(), cdn_stats_command(),
          cdn_explain_command(), image_import_command(),
          aws_command(),       auth_login_command(), auth_logout_command(), auth_whoami_command(), auth_mfa_command(),
          auth_export_command(), auth_exec_command(), auth_console_command(), auth_profiles_sync_command(), auth_profiles_list_command(),
          auth_request_command(), auth_requests_command(), auth_approve_command(), auth_deny_command(), auth_revoke_command(),
          auth_audit_command(), auth_why_command(),     git_credential_command(), services_command(), metrics_list_command(), metrics_get_command(), metrics_plot_command(), alarms_list_command(), alarms_history_command(), alarms_test_command(), logs_query_command(), console_command(), down_command()};
  for (auto& command : secrets_commands()) all.push_back(std::move(command));
  return all;
}

}  // namespace bastide::cli
