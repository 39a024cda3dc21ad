// Change sets: an update, or a create, looked at before it is done.
#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "services/cloudformation/service.h"

namespace bastide::services {

using cfn::validation;
namespace op = model::cloudformation::op;
namespace m = model::cloudformation;

namespace {

Error no_change_set(const std::string& name) {
  return fault("ChangeSetNotFound", fmt::format("ChangeSet [{}] does not exist", name));
}

std::optional<std::string> some(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

m::ResourceChange change_shown(const cfn::Change& c) {
  m::ResourceChange r;
  r.action = c.action;
  r.logical_resource_id = c.logical;
  r.physical_resource_id = some(c.physical);
  r.resource_type = c.type;
  r.policy_action = some(c.policy_action);
  r.replacement = some(c.replacement);
  r.scope.emplace();
  r.details.emplace();
  for (const auto& d : c.details) {
    m::ResourceChangeDetail detail;
    m::ResourceTargetDefinition target;
    target.attribute = d.attribute;
    target.name = some(d.name);
    target.requires_recreation = d.recreation;
    detail.target = std::move(target);
    detail.evaluation = d.evaluation;
    detail.change_source = d.source;
    detail.causing_entity = some(d.entity);
    bool there = false;
    for (const auto& s : *r.scope) there = there || s == d.attribute;
    if (!there) r.scope->push_back(d.attribute);
    r.details->push_back(std::move(detail));
  }
  return r;
}

}  // namespace

Result<std::optional<store::Resource>> Cloudformation::find_change_set(
    const Call& call, const std::string& name, const std::optional<std::string>& stack_name) {
  if (name.starts_with("arn:")) {
    const auto rows = TRY(records_.db().find(cfn::kChangeSetKind, "arn", name));
    for (const auto& row : rows) {
      if (row.key.account == call.account) return std::optional<store::Resource>(row);
    }
    return std::optional<store::Resource>();
  }
  if (!stack_name)
    return validation("StackName must be specified if ChangeSetName is not specified as an ARN.");
  const cfn::Stack stack = TRY(need(call, *stack_name));
  return records_.db().get({stack.account, stack.region, cfn::kChangeSetKind, stack.id() + "/" + name});
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
Result<op::CreateChangeSet::Response> Cloudformation::create_change_set(
    Call& call, const op::CreateChangeSet::Request& in) {
  const std::string type = in.change_set_type.value_or("UPDATE");
  const bool importing = type == "IMPORT";
  if (importing != in.resources_to_import.has_value())
    return validation("ResourcesToImport must be given with the change set type IMPORT, and with no other.");
  if (in.include_nested_stacks.value_or(false))
    return validation("IncludeNestedStacks is not supported: a nested stack's own changes are not looked at");
  auto there = TRY(find(call, in.stack_name));
  // An import makes a stack where there is none.
  const bool create = type == "CREATE" || (importing && (!there || there->status == "REVIEW_IN_PROGRESS"));
  if (create && there && there->status != "REVIEW_IN_PROGRESS") {
    return validation(
        fmt::format("Stack [{}] already exists and cannot be created again with the changeSet [{}].",
                    in.stack_name, in.change_set_name));
  }
  if (!create && !there) return validation(fmt::format("Stack [{}] does not exist", in.stack_name));
  if (!create && there->status == "REVIEW_IN_PROGRESS") {
    return validation(fmt::format("Stack [{}] is in REVIEW_IN_PROGRESS; the change set's type must be CREATE",
                                  in.stack_name));
  }
  if (there &&
      (there->busy() || there->status == "ROLLBACK_COMPLETE" || there->status.ends_with("_FAILED"))) {
    return validation(
        fmt::format("Stack:{} is in {} state and can not be updated.", there->arn(), there->status));
  }
  cfn::Stack stack = there ? *there : new_stack(call, in.stack_name);
  const Given given{&in.template_body,     &in.template_url, in.use_previous_template.value_or(false),
                    &in.parameters,        &in.tags,         &in.capabilities,
                    &in.notification_arns, &in.role_arn,     true};
  cfn::Stack proposed = stack;
  Proposal p = TRY(propose(call, proposed, given, !create));
  if (importing) {
    for (const auto& one : *in.resources_to_import) {
      const cfn::ResourceDecl* decl = p.t->resource(one.logical_resource_id);
      const bool fresh = std::any_of(
          p.difference.changes.begin(), p.difference.changes.end(),
          [&](const auto& c) { return c.logical == one.logical_resource_id && c.action == "Add"; });
      if (decl == nullptr || decl->type != one.resource_type || !fresh) {
        return validation(fmt::format(
            "As part of the import operation, {} must be a new resource of the type {} in the template",
            one.logical_resource_id, one.resource_type));
      }
      std::vector<std::string> parts;
      for (const auto& [key, value] : one.resource_identifier) parts.push_back(value);
      p.version.imports[one.logical_resource_id] = fmt::format("{}", fmt::join(parts, "|"));
    }
    for (const auto& c : p.difference.changes) {
      if (p.version.imports.count(c.logical) != 0) continue;
      return validation(fmt::format(
          "As part of the import operation, you cannot modify or add [Resources]: {}", c.logical));
    }
  } else if (in.import_existing_resources.value_or(false)) {
    p.version.imports = TRY(existing(call, stack, *p.t, p.scope, p.difference.changes));
  }
  for (auto& c : p.difference.changes) {
    auto it = p.version.imports.find(c.logical);
    if (it == p.version.imports.end()) continue;
    c.action = "Import";
    c.physical = it->second;
  }
  const bool nothing = p.difference.none();
  const std::string arn = aws::make_arn("cloudformation", call.region, call.account,
                                        "changeSet/" + in.change_set_name + "/" + cfn::new_uuid());
  json::Value capabilities = json::array(), notifications = json::array();
  for (const auto& c : proposed.capabilities) capabilities.push(c);
  for (const auto& n : proposed.notification_arns) notifications.push(n);
  const json::Value body =
      json::object({{"arn", arn},
                    {"name", in.change_set_name},
                    {"stack", stack.arn()},
                    {"type", type},
                    {"status", nothing ? "FAILED" : "CREATE_COMPLETE"},
                    {"execution", nothing ? "UNAVAILABLE" : "AVAILABLE"},
                    {"reason", nothing ? "The submitted information didn't contain changes. Submit different "
                                         "information to create a change set."
                                       : ""},
                    {"description", in.description.value_or("")},
                    {"created", clock_.wall()},
                    {"role", proposed.role_arn},
                    {"on_failure", in.on_stack_failure.value_or("")},
                    {"capabilities", std::move(capabilities)},
                    {"notifications", std::move(notifications)},
                    {"changes", cfn::to_json(p.difference.changes)},
                    {"template_description", p.t->description},
                    {"private", records_.seal(p.version.to_json(), arn)}});
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    const store::Key key{stack.account, stack.region, cfn::kChangeSetKind,
                         stack.id() + "/" + in.change_set_name};
    const auto same = TRY(w.get(key));
    if (same) {
      return fault(
          "AlreadyExistsException",
          fmt::format("ChangeSet {} cannot be created due to a mismatch with existing attribute Template",
                      in.change_set_name));
    }
    if (!there) {
      stack.status = "REVIEW_IN_PROGRESS";
      stack.reason = "User Initiated";
      stack.principal = call.principal;
      TRY(records_.put(w, stack));
      TRY(records_.event(w, stack, clock_.wall()));
    }
    return w.put(key, body, {{"arn", arn}, {"stack", stack.arn()}});
  }));
  op::CreateChangeSet::Response out;
  out.id = arn;
  out.stack_id = stack.arn();
  return out;
}

Result<op::DescribeChangeSet::Response> Cloudformation::describe_change_set(
    Call& call, const op::DescribeChangeSet::Request& in) {
  const auto row = TRY(find_change_set(call, in.change_set_name, in.stack_name));
  if (!row) return no_change_set(in.change_set_name);
  const json::Value& b = row->body;
  op::DescribeChangeSet::Response out;
  out.change_set_name = b.get("name");
  out.change_set_id = b.get("arn");
  out.stack_id = b.get("stack");
  out.stack_name = row->key.id.substr(0, row->key.id.find('/'));
  out.description = some(b.get("description"));
  out.creation_time = b.get_int("created");
  out.status = b.get("status");
  out.status_reason = some(b.get("reason"));
  out.execution_status = b.get("execution");
  out.on_stack_failure = some(b.get("on_failure"));
  out.capabilities.emplace();
  for (const auto& c : b.get_array("capabilities")) out.capabilities->push_back(c.string());
  out.notification_arns.emplace();
  for (const auto& n : b.get_array("notifications")) out.notification_arns->push_back(n.string());
  const json::Value* sealed = b.find("private");
  const json::Value body = TRY(records_.unseal(sealed == nullptr ? json::Value() : *sealed, b.get("arn")));
  const cfn::Version version = cfn::Version::from(body);
  const auto t = TRY(parsed(version.executed()));
  out.parameters.emplace();
  for (const auto& [key, value] : version.parameters) {
    const cfn::Parameter* declared = t->parameter(key);
    m::Parameter p;
    p.parameter_key = key;
    p.parameter_value = declared != nullptr && declared->no_echo ? "****" : value;
    out.parameters->push_back(std::move(p));
  }
  out.tags.emplace();
  for (const auto& tag : version.tags.array()) out.tags->push_back({tag.get("Key"), tag.get("Value")});
  out.changes.emplace();
  const json::Value* changes = b.find("changes");
  for (const auto& c : cfn::changes_of(changes == nullptr ? json::Value() : *changes)) {
    m::Change one;
    one.type = "Resource";
    one.resource_change = change_shown(c);
    out.changes->push_back(std::move(one));
  }
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html
Result<op::ExecuteChangeSet::Response> Cloudformation::execute_change_set(
    Call& call, const op::ExecuteChangeSet::Request& in) {
  const auto row = TRY(find_change_set(call, in.change_set_name, in.stack_name));
  if (!row) return no_change_set(in.change_set_name);
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    const auto now = TRY(w.get(row->key));
    if (!now) return no_change_set(in.change_set_name);
    if (now->body.get("execution") != "AVAILABLE") {
      return fault("InvalidChangeSetStatus",
                   fmt::format("ChangeSet [{}] cannot be executed in its current execution status of [{}]",
                               now->body.get("arn"), now->body.get("execution")));
    }
    auto stack = TRY(records_.find(w, call.account, call.region, now->body.get("stack")));
    if (!stack || stack->busy()) {
      return fault(
          "InvalidChangeSetStatus",
          fmt::format("ChangeSet [{}] cannot be executed: its stack is busy or gone", now->body.get("arn")));
    }
    const json::Value* sealed = now->body.find("private");
    const json::Value body =
        TRY(records_.unseal(sealed == nullptr ? json::Value() : *sealed, now->body.get("arn")));
    const cfn::Version version = cfn::Version::from(body);
    const bool importing = now->body.get("type") == "IMPORT";
    const bool create =
        now->body.get("type") == "CREATE" || (importing && stack->status == "REVIEW_IN_PROGRESS");
    stack->retain.clear();
    stack->principal = call.principal;
    stack->role_arn = now->body.get("role");
    stack->description = now->body.get("template_description");
    stack->change_set_id = now->body.get("arn");
    stack->client_token = in.client_request_token.value_or("");
    stack->capabilities.clear();
    for (const auto& c : now->body.get_array("capabilities")) stack->capabilities.push_back(c.string());
    stack->notification_arns.clear();
    for (const auto& n : now->body.get_array("notifications")) stack->notification_arns.push_back(n.string());
    const bool keep = in.disable_rollback.value_or(false);
    const std::string on_failure = now->body.get("on_failure");
    if (create) {
      stack->on_failure = keep ? "DO_NOTHING" : on_failure.empty() ? "ROLLBACK" : on_failure;
      stack->parameters = version.parameters;
      stack->tags = version.tags;
    } else {
      stack->keep_failed_update = keep || on_failure == "DO_NOTHING";
      stack->updated = clock_.wall();
    }
    TRY(records_.put_version(w, *stack, create ? "current" : "next", version));
    // The other change sets looked at a stack that is no more.
    const auto others = TRY(w.find(cfn::kChangeSetKind, "stack", stack->arn()));
    for (const auto& other : others) {
      if (other.key.id != row->key.id) TRY(w.remove(other.key));
    }
    json::Value executed = now->body;
    executed["execution"] = "EXECUTE_COMPLETE";
    TRY(w.put(row->key, executed, {{"arn", executed.get("arn")}, {"stack", stack->arn()}}));
    return begin(w, *stack,
                 importing ? "IMPORT_IN_PROGRESS"
                 : create  ? "CREATE_IN_PROGRESS"
                           : "UPDATE_IN_PROGRESS",
                 "User Initiated");
  }));
  return op::ExecuteChangeSet::Response{};
}

Result<op::DeleteChangeSet::Response> Cloudformation::delete_change_set(
    Call& call, const op::DeleteChangeSet::Request& in) {
  const auto row = TRY(find_change_set(call, in.change_set_name, in.stack_name));
  if (!row) return op::DeleteChangeSet::Response{};
  TRY(records_.db().write([&](store::Writer& w) -> Result<void> {
    TRY(w.remove(row->key));
    return {};
  }));
  return op::DeleteChangeSet::Response{};
}

Result<op::ListChangeSets::Response> Cloudformation::list_change_sets(Call& call,
                                                                      const op::ListChangeSets::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  const auto rows = TRY(records_.db().find(cfn::kChangeSetKind, "stack", stack.arn()));
  op::ListChangeSets::Response out;
  out.summaries.emplace();
  for (const auto& row : rows) {
    m::ChangeSetSummary one;
    one.stack_id = stack.arn();
    one.stack_name = stack.name;
    one.change_set_id = row.body.get("arn");
    one.change_set_name = row.body.get("name");
    one.status = row.body.get("status");
    one.status_reason = some(row.body.get("reason"));
    one.execution_status = row.body.get("execution");
    one.creation_time = row.body.get_int("created");
    one.description = some(row.body.get("description"));
    out.summaries->push_back(std::move(one));
  }
  return out;
}

}  // namespace bastide::services
