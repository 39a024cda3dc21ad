#include "services/cloudformation/service.h"

#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "net/loop.h"
#include "services/cloudformation/rules.h"

namespace bastide::services {

using cfn::validation;
namespace m = model::cloudformation;
namespace op = model::cloudformation::op;

namespace {

std::string stack_pattern(const aws::Call& call, const std::string& name) {
  if (name.starts_with("arn:")) return name;
  return aws::make_arn("cloudformation", call.region, call.account, "stack/" + name + "/*");
}

// The stack that an operation names; and the role it hands over, which takes iam:PassRole.
template <class Op>
aws::Rule<Op> stack_rule(const char* action, std::string (*name)(const typename Op::Request&),
                         std::optional<std::string> (*role)(const typename Op::Request&) = nullptr) {
  return {action,
          [name, role](const aws::Call& call,
                       const typename Op::Request& in) -> Result<std::vector<aws::Target>> {
            std::vector<aws::Target> out(1);
            const std::string n = name(in);
            out[0].resource = n.empty() ? "*" : stack_pattern(call, n);
            if (role != nullptr && role(in)) {
              aws::Target pass;
              pass.action = "iam:PassRole";
              pass.resource = *role(in);
              pass.context.emplace_back("iam:PassedToService", "cloudformation.amazonaws.com");
              out.push_back(std::move(pass));
            }
            return out;
          }};
}

}  // namespace

Cloudformation::Cloudformation(store::Database& db, store::Keyring& keyring, aws::LocalClient& client,
                               Clock& clock)
    : records_(db, keyring),
      client_(client),
      engine_(records_, client, clock),
      drift_(records_, client, clock),
      clock_(clock) {}

void Cloudformation::start() {
  engine_.start();
  records_.db().run_jobs(cfn::kDriftJob, [this](store::Job& job) -> Result<std::optional<Millis>> {
    const size_t a = job.key.find('/'), b = job.key.find('/', a + 1);
    if (a == std::string::npos || b == std::string::npos) return std::optional<Millis>();
    const auto stack =
        TRY(records_.stack(job.key.substr(0, a), job.key.substr(a + 1, b - a - 1), job.key.substr(b + 1)));
    if (stack) TRY(drift_.run(*stack));
    return std::optional<Millis>();
  });
}

void Cloudformation::offer(aws::Registry& r) {
  using C = Cloudformation;
  const auto named = [](const auto& in) -> std::string { return in.stack_name; };
  const auto maybe = [](const auto& in) -> std::string { return in.stack_name.value_or(""); };
  const auto role = [](const auto& in) { return in.role_arn; };
  r.add<op::CreateStack>(this, &C::create_stack,
                         stack_rule<op::CreateStack>("cloudformation:CreateStack", named, role));
  r.add<op::UpdateStack>(this, &C::update_stack,
                         stack_rule<op::UpdateStack>("cloudformation:UpdateStack", named, role));
  r.add<op::DeleteStack>(this, &C::delete_stack,
                         stack_rule<op::DeleteStack>("cloudformation:DeleteStack", named, role));
  r.add<op::CreateChangeSet>(this, &C::create_change_set,
                             stack_rule<op::CreateChangeSet>("cloudformation:CreateChangeSet", named, role));
  r.add<op::DescribeChangeSet>(this, &C::describe_change_set,
                               stack_rule<op::DescribeChangeSet>("cloudformation:DescribeChangeSet", maybe));
  r.add<op::ExecuteChangeSet>(this, &C::execute_change_set,
                              stack_rule<op::ExecuteChangeSet>("cloudformation:ExecuteChangeSet", maybe));
  r.add<op::DeleteChangeSet>(this, &C::delete_change_set,
                             stack_rule<op::DeleteChangeSet>("cloudformation:DeleteChangeSet", maybe));
  r.add<op::ListChangeSets>(this, &C::list_change_sets,
                            stack_rule<op::ListChangeSets>("cloudformation:ListChangeSets", named));
  r.add<op::DescribeStacks>(this, &C::describe_stacks,
                            stack_rule<op::DescribeStacks>("cloudformation:DescribeStacks", maybe));
  r.add<op::DescribeStackEvents>(
      this, &C::describe_stack_events,
      stack_rule<op::DescribeStackEvents>("cloudformation:DescribeStackEvents", named));
  r.add<op::DescribeStackResource>(
      this, &C::describe_stack_resource,
      stack_rule<op::DescribeStackResource>("cloudformation:DescribeStackResource", named));
  r.add<op::DescribeStackResources>(
      this, &C::describe_stack_resources,
      stack_rule<op::DescribeStackResources>("cloudformation:DescribeStackResources", maybe));
  r.add<op::ListStackResources>(
      this, &C::list_stack_resources,
      stack_rule<op::ListStackResources>("cloudformation:ListStackResources", named));
  r.add<op::GetTemplate>(this, &C::get_template,
                         stack_rule<op::GetTemplate>("cloudformation:GetTemplate", maybe));
  r.add<op::GetTemplateSummary>(
      this, &C::get_template_summary,
      stack_rule<op::GetTemplateSummary>("cloudformation:GetTemplateSummary", maybe));
  r.add<op::RollbackStack>(this, &C::rollback_stack,
                           stack_rule<op::RollbackStack>("cloudformation:RollbackStack", named, role));
  r.add<op::ContinueUpdateRollback>(
      this, &C::continue_update_rollback,
      stack_rule<op::ContinueUpdateRollback>("cloudformation:ContinueUpdateRollback", named, role));
  r.add<op::CancelUpdateStack>(this, &C::cancel_update_stack,
                               stack_rule<op::CancelUpdateStack>("cloudformation:CancelUpdateStack", named));
  r.add<op::UpdateTerminationProtection>(
      this, &C::update_termination_protection,
      stack_rule<op::UpdateTerminationProtection>("cloudformation:UpdateTerminationProtection", named));
  r.add<op::DescribeStackResourceDrifts>(
      this, &C::describe_stack_resource_drifts,
      stack_rule<op::DescribeStackResourceDrifts>("cloudformation:DescribeStackResourceDrifts", named));
  r.add<op::DetectStackDrift>(this, &C::detect_stack_drift,
                              stack_rule<op::DetectStackDrift>("cloudformation:DetectStackDrift", named));
  r.add<op::DetectStackResourceDrift>(
      this, &C::detect_stack_resource_drift,
      stack_rule<op::DetectStackResourceDrift>("cloudformation:DetectStackResourceDrift", named));
  r.add<op::SetStackPolicy>(this, &C::set_stack_policy,
                            stack_rule<op::SetStackPolicy>("cloudformation:SetStackPolicy", named));
  r.add<op::GetStackPolicy>(this, &C::get_stack_policy,
                            stack_rule<op::GetStackPolicy>("cloudformation:GetStackPolicy", named));
  r.add<op::DescribeEvents>(this, &C::describe_events,
                            stack_rule<op::DescribeEvents>("cloudformation:DescribeEvents", maybe));
  r.add<op::DescribeStackDriftDetectionStatus>(this, &C::describe_stack_drift_detection_status,
                                               {"cloudformation:DescribeStackDriftDetectionStatus", {}});
  r.add<op::ListTypes>(this, &C::list_types, {"cloudformation:ListTypes", {}});
  r.add<op::DescribeType>(this, &C::describe_type, {"cloudformation:DescribeType", {}});
  r.add<op::DescribeAccountLimits>(this, &C::describe_account_limits,
                                   {"cloudformation:DescribeAccountLimits", {}});
  r.add<op::SignalResource>(this, &C::signal_resource,
                            stack_rule<op::SignalResource>("cloudformation:SignalResource", named));
  r.add<op::ListStacks>(this, &C::list_stacks, {"cloudformation:ListStacks", {}});
  r.add<op::ListExports>(this, &C::list_exports, {"cloudformation:ListExports", {}});
  r.add<op::ListImports>(this, &C::list_imports, {"cloudformation:ListImports", {}});
  r.add<op::ValidateTemplate>(this, &C::validate_template, {"cloudformation:ValidateTemplate", {}});
}

Result<std::unique_ptr<cfn::Template>> Cloudformation::parsed(const std::string& text) {
  auto t = TRY(net::offload_result([&] { return cfn::parse_template(text); }));
  return std::make_unique<cfn::Template>(std::move(t));
}

Result<std::optional<cfn::Stack>> Cloudformation::find(const Call& call, const std::string& name) {
  std::optional<cfn::Stack> out;
  TRY(records_.db().read([&](store::Reader& r) -> Result<void> {
    out = TRY(records_.find(r, call.account, call.region, name));
    return {};
  }));
  return out;
}

Result<cfn::Stack> Cloudformation::need(const Call& call, const std::string& name) {
  auto s = TRY(find(call, name));
  if (!s) return validation(fmt::format("Stack with id {} does not exist", name));
  return std::move(*s);
}

cfn::Stack Cloudformation::new_stack(const Call& call, const std::string& name) const {
  cfn::Stack s;
  s.name = name;
  s.uuid = cfn::new_uuid();
  s.account = call.account;
  s.region = call.region;
  s.created = clock_.wall();
  return s;
}

Result<void> Cloudformation::begin(store::Writer& w, cfn::Stack& s, std::string status, std::string reason) {
  const Millis now = clock_.wall();
  s.status = std::move(status);
  s.reason = std::move(reason);
  s.operation = cfn::new_uuid();
  TRY(records_.put(w, s));
  TRY(records_.event(w, s, now));
  return w.enqueue(cfn::kJobKind, cfn::Engine::job_key(s), json::object(), now);
}

Result<Cloudformation::Proposal> Cloudformation::propose(const Call& call, cfn::Stack& stack,
                                                         const Given& given, bool exists) {
  Proposal p;
  if (exists) p.previous_version = TRY(records_.version(stack, "current"));
  if (given.use_previous) {
    if (*given.body || *given.url)
      return validation("You cannot specify both usePreviousTemplate and Template Body/Template URL.");
    if (!p.previous_version) return validation("Cannot use the previous template: the stack has none");
    p.version.text = p.previous_version->text;
  } else {
    p.version.text = TRY(text_of(call, *given.body, *given.url));
  }
  std::map<std::string, std::string> known =
      p.previous_version ? p.previous_version->parameters : std::map<std::string, std::string>{};
  if (*given.parameters) {
    for (const auto& one : **given.parameters) {
      if (!one.use_previous_value.value_or(false))
        known[one.parameter_key.value_or("")] = one.parameter_value.value_or("");
    }
  }
  auto ready = TRY(prepared(call, p.version.text, stack.name, known));
  if (!ready.transforms.empty()) p.version.processed = std::move(ready.executed);
  p.t = TRY(parsed(p.version.executed()));
  std::vector<cfn::GivenParameter> parameters;
  if (*given.parameters) {
    for (const auto& one : **given.parameters) {
      parameters.push_back({one.parameter_key.value_or(""), one.parameter_value.value_or(""),
                            one.use_previous_value.value_or(false)});
    }
  }
  const std::map<std::string, std::string> nothing;
  p.version.parameters = TRY(
      cfn::parameter_texts(*p.t, parameters, p.previous_version ? p.previous_version->parameters : nothing));
  if (*given.tags) {
    for (const auto& tag : **given.tags) {
      // Only CloudFormation itself says which stack another one is nested in.
      if (tag.key == "aws:cloudformation:stack-id" && !call.principal.called_via.empty()) {
        stack.parent = tag.value;
        continue;
      }
      if (tag.key.starts_with("aws:"))
        return validation("aws: prefixed tag key names are not allowed for external use.");
      p.version.tags.push(json::object({{"Key", tag.key}, {"Value", tag.value}}));
    }
  } else if (p.previous_version) {
    p.version.tags = p.previous_version->tags;
  }
  if (*given.capabilities) stack.capabilities = **given.capabilities;
  if (*given.notifications) stack.notification_arns = **given.notifications;
  if (*given.role) stack.role_arn = **given.role;
  stack.principal = call.principal;
  stack.description = p.t->description;
  auto has = [&](const char* capability) {
    return std::find(stack.capabilities.begin(), stack.capabilities.end(), capability) !=
           stack.capabilities.end();
  };
  if (!ready.transforms.empty() && !given.looks_first && !has("CAPABILITY_AUTO_EXPAND")) {
    return fault("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_AUTO_EXPAND]");
  }
  if (p.t->named_iam && !has("CAPABILITY_NAMED_IAM")) {
    return fault("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]");
  }
  if (p.t->iam && !has("CAPABILITY_IAM") && !has("CAPABILITY_NAMED_IAM")) {
    return fault("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]");
  }
  const aws::Principal actor = TRY(engine_.actor(stack));
  cfn::Side after{p.t.get(), &p.version, {}};
  after.scope = TRY(engine_.scope(stack, *p.t, p.version, actor));
  TRY(cfn::check_rules(after.scope, p.t->rules));
  p.scope = after.scope;
  cfn::Side before;
  std::map<std::string, cfn::ResourceRow> rows;
  if (p.previous_version) {
    p.previous = TRY(parsed(p.previous_version->executed()));
    before.t = p.previous.get();
    before.version = &*p.previous_version;
    before.scope = TRY(engine_.scope(stack, *p.previous, *p.previous_version, actor));
    rows = TRY(records_.resources(stack));
  }
  p.difference = TRY(cfn::difference(before, after, rows));
  return p;
}

}  // namespace bastide::services
