// Making, changing and ending stacks.
#include <fmt/format.h>

#include "services/cloudformation/service.h"
#include "services/cloudformation/stack_policy.h"

namespace bastide::services {

using cfn::validation;
namespace op = model::cloudformation::op;
namespace m = model::cloudformation;

namespace {

constexpr const char* kUserInitiated = "User Initiated";

bool updatable(const std::string& status) {
  return status == "CREATE_COMPLETE" || status == "UPDATE_COMPLETE" || status == "UPDATE_ROLLBACK_COMPLETE" ||
         status == "UPDATE_FAILED" || status == "IMPORT_COMPLETE" || status == "IMPORT_ROLLBACK_COMPLETE";
}

Error cannot(const cfn::Stack& s, const char* what) {
  return validation(fmt::format("Stack:{} is in {} state and can not be {}.", s.arn(), s.status, what));
}

}  // namespace

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
Result<op::CreateStack::Response> Cloudformation::create_stack(Call& call,
                                                               const op::CreateStack::Request& in) {
  if (in.stack_policy_url) return validation("StackPolicyURL is not supported; give StackPolicyBody");
  if (in.disable_rollback && in.on_failure)
    return validation("You can specify either DisableRollback or OnFailure, but not both.");
  op::CreateStack::Response out;
  const auto there = TRY(find(call, in.stack_name));
  if (there && in.client_request_token && there->client_token == *in.client_request_token) {
    out.stack_id = there->arn();  // the same request again
    return out;
  }
  if (there) return fault("AlreadyExistsException", fmt::format("Stack [{}] already exists", in.stack_name));
  cfn::Stack stack = new_stack(call, in.stack_name);
  const Given given{&in.template_body, &in.template_url,      false,       &in.parameters, &in.tags,
                    &in.capabilities,  &in.notification_arns, &in.role_arn};
  Proposal p = TRY(propose(call, stack, given, false));
  stack.on_failure = in.on_failure.value_or(in.disable_rollback.value_or(false) ? "DO_NOTHING" : "ROLLBACK");
  stack.timeout_minutes = in.timeout_in_minutes.value_or(0);
  stack.termination_protection = in.enable_termination_protection.value_or(false);
  stack.client_token = in.client_request_token.value_or("");
  stack.parameters = p.version.parameters;
  stack.tags = p.version.tags;
  if (in.stack_policy_body) stack.policy = TRY(cfn::parse_stack_policy(*in.stack_policy_body));
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    const auto again = TRY(records_.find(w, call.account, call.region, in.stack_name));
    if (again)
      return fault("AlreadyExistsException", fmt::format("Stack [{}] already exists", in.stack_name));
    TRY(records_.put_version(w, stack, "current", p.version));
    return begin(w, stack, "CREATE_IN_PROGRESS", kUserInitiated);
  }));
  out.stack_id = stack.arn();
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStack.html
Result<op::UpdateStack::Response> Cloudformation::update_stack(Call& call,
                                                               const op::UpdateStack::Request& in) {
  if (in.stack_policy_url || in.stack_policy_during_update_url)
    return validation("StackPolicyURL is not supported; give StackPolicyBody");
  op::UpdateStack::Response out;
  cfn::Stack stack = TRY(need(call, in.stack_name));
  out.stack_id = stack.arn();
  if (in.client_request_token && stack.client_token == *in.client_request_token) return out;
  if (!updatable(stack.status)) return cannot(stack, "updated");
  const Given given{&in.template_body,     &in.template_url, in.use_previous_template.value_or(false),
                    &in.parameters,        &in.tags,         &in.capabilities,
                    &in.notification_arns, &in.role_arn};
  Proposal p = TRY(propose(call, stack, given, true));
  if (p.difference.none() && stack.status != "UPDATE_FAILED")
    return validation("No updates are to be performed.");
  stack.keep_failed_update = in.disable_rollback.value_or(false);
  stack.retain.clear();
  stack.client_token = in.client_request_token.value_or("");
  stack.updated = clock_.wall();
  if (in.stack_policy_body) stack.policy = TRY(cfn::parse_stack_policy(*in.stack_policy_body));
  stack.update_policy = nullptr;
  if (in.stack_policy_during_update_body)
    stack.update_policy = TRY(cfn::parse_stack_policy(*in.stack_policy_during_update_body));
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    const auto now = TRY(records_.find(w, call.account, call.region, stack.arn()));
    if (!now || !updatable(now->status)) return cannot(now ? *now : stack, "updated");
    TRY(records_.put_version(w, stack, "next", p.version));
    return begin(w, stack, "UPDATE_IN_PROGRESS", kUserInitiated);
  }));
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html
Result<op::DeleteStack::Response> Cloudformation::delete_stack(Call& call,
                                                               const op::DeleteStack::Request& in) {
  if (in.deletion_mode && *in.deletion_mode != "STANDARD") {
    return validation("DeletionMode " + *in.deletion_mode + " is not supported");
  }
  auto found = TRY(find(call, in.stack_name));
  if (!found || found->gone()) return op::DeleteStack::Response{};  // as on AWS: nothing to do
  cfn::Stack stack = std::move(*found);
  if (stack.termination_protection) {
    return validation(
        fmt::format("Stack [{}] cannot be deleted while TerminationProtection is enabled", stack.name));
  }
  if (in.retain_resources && !in.retain_resources->empty() && stack.status != "DELETE_FAILED") {
    return validation(
        "Invalid operation on stack [" + stack.arn() +
        "]. RetainResources can only be specified for a stack that is in the DELETE_FAILED state.");
  }
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    const auto now = TRY(records_.find(w, call.account, call.region, stack.arn()));
    if (!now || now->status == "DELETE_IN_PROGRESS" || now->gone()) return {};
    if (now->busy()) {
      return validation(
          fmt::format("Stack [{}] cannot be deleted while in status {}", now->arn(), now->status));
    }
    for (const auto& e : stack.outputs) {
      if (e.export_name.empty()) continue;
      const auto users = TRY(records_.importers(w, call.account, call.region, e.export_name));
      if (!users.empty()) {
        return validation(
            fmt::format("Export {} cannot be deleted as it is in use by {}", e.export_name, users[0]));
      }
    }
    stack = *now;
    if (in.role_arn) stack.role_arn = *in.role_arn;
    stack.principal = call.principal;
    stack.retain = in.retain_resources.value_or(std::vector<std::string>{});
    stack.client_token = in.client_request_token.value_or("");
    return begin(w, stack, "DELETE_IN_PROGRESS", kUserInitiated);
  }));
  return op::DeleteStack::Response{};
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CancelUpdateStack.html
Result<op::CancelUpdateStack::Response> Cloudformation::cancel_update_stack(
    Call& call, const op::CancelUpdateStack::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  if (stack.status != "UPDATE_IN_PROGRESS") {
    return validation("CancelUpdateStack cannot be called from current stack status");
  }
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    return w.put({stack.account, stack.region, cfn::kCancelKind, stack.id()},
                 json::object({{"operation", stack.operation}}));
  }));
  return op::CancelUpdateStack::Response{};
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html
Result<op::ContinueUpdateRollback::Response> Cloudformation::continue_update_rollback(
    Call& call, const op::ContinueUpdateRollback::Request& in) {
  cfn::Stack stack = TRY(need(call, in.stack_name));
  if (stack.status != "UPDATE_ROLLBACK_FAILED") return cannot(stack, "continued to be rolled back");
  stack.retain.clear();
  if (in.resources_to_skip && !in.resources_to_skip->empty()) {
    const auto rows = TRY(records_.resources(stack));
    for (const auto& logical : *in.resources_to_skip) {
      auto it = rows.find(logical);
      if (it == rows.end() || it->second.status != "UPDATE_FAILED") {
        return validation(
            fmt::format("[{}] cannot be skipped: only resources in the state UPDATE_FAILED can be", logical));
      }
    }
    stack.retain = *in.resources_to_skip;
  }
  const std::string operation = stack.operation;
  if (in.role_arn) stack.role_arn = *in.role_arn;
  stack.principal = call.principal;
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    TRY(begin(w, stack, "UPDATE_ROLLBACK_IN_PROGRESS", kUserInitiated));
    stack.operation = operation;  // what that update replaced is put back
    return records_.put(w, stack);
  }));
  return op::ContinueUpdateRollback::Response{};
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html
Result<op::RollbackStack::Response> Cloudformation::rollback_stack(Call& call,
                                                                   const op::RollbackStack::Request& in) {
  cfn::Stack stack = TRY(need(call, in.stack_name));
  if (stack.status != "CREATE_FAILED" && stack.status != "UPDATE_FAILED") return cannot(stack, "rolled back");
  const std::string operation = stack.operation;
  if (in.role_arn) stack.role_arn = *in.role_arn;
  stack.principal = call.principal;
  const bool create = stack.status == "CREATE_FAILED";
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    TRY(begin(w, stack, create ? "ROLLBACK_IN_PROGRESS" : "UPDATE_ROLLBACK_IN_PROGRESS", kUserInitiated));
    stack.operation = operation;
    return records_.put(w, stack);
  }));
  op::RollbackStack::Response out;
  out.stack_id = stack.arn();
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateTerminationProtection.html
Result<op::UpdateTerminationProtection::Response> Cloudformation::update_termination_protection(
    Call& call, const op::UpdateTerminationProtection::Request& in) {
  op::UpdateTerminationProtection::Response out;
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    auto stack = TRY(records_.find(w, call.account, call.region, in.stack_name));
    if (!stack) return validation(fmt::format("Stack with id {} does not exist", in.stack_name));
    if (stack->gone() || stack->status == "DELETE_IN_PROGRESS") return cannot(*stack, "updated");
    stack->termination_protection = in.enable_termination_protection;
    out.stack_id = stack->arn();
    return records_.put(w, *stack);
  }));
  return out;
}

}  // namespace bastide::services
