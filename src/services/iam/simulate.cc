// What policies would decide, without doing it.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
#include <fmt/format.h>

#include "aws/arn.h"
#include "aws/policy_explain.h"
#include "services/iam/iam_templates.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

namespace {

constexpr size_t kMaxSimulations = 1000;  // actions times resources of one call

Error invalid(std::string message) { return fault("InvalidInput", std::move(message)); }

// Keys that the engine takes from the call itself are set there; all others are context of the target.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
Result<void> take_context(const std::optional<std::vector<m::ContextEntry>>& entries, aws::Call& call,
                          aws::Target& target) {
  if (!entries) return {};
  auto& p = call.principal;
  for (const auto& e : *entries) {
    const std::string name = e.context_key_name.value_or(""), key = lower(name);
    const auto values = e.context_key_values.value_or(std::vector<std::string>());
    const std::string first = values.empty() ? "" : values.front();
    constexpr std::string_view kTag = "aws:principaltag/";
    if (key.empty()) return invalid("ContextEntries must name their key.");
    if (key.starts_with(kTag)) {
      p.session_tags.emplace_back(name.substr(kTag.size()), first);
    } else if (key == "aws:sourceip") {
      call.source_ip = first;
    } else if (key == "aws:securetransport") {
      call.secure = iequals(first, "true");
    } else if (key == "aws:useragent") {
      call.user_agent = first;
    } else if (key == "aws:requestedregion") {
      call.region = first;
    } else if (key == "aws:sourceidentity") {
      p.source_identity = first;
    } else if (key == "aws:userid") {
      p.id = first;
    } else if (key == "aws:username") {
      p.kind = aws::Principal::Kind::user;
      p.name = first;
    } else if (key == "aws:currenttime" || key == "aws:epochtime") {
      const auto seconds = parse_int(first);
      const auto time = seconds ? Result<Millis>(*seconds * 1000) : parse_iso8601(first);
      if (!time) return invalid(fmt::format("Invalid value for {}: {}", name, first));
      call.now = *time;
    } else {
      for (const auto& value : values) target.context.emplace_back(name, value);
    }
  }
  return {};
}

std::string type_of(const std::string& kind, const std::string& policy) {
  if (kind == "resource-based policy" || kind == "role trust policy") return "resource";
  if (policy.starts_with("arn:aws:iam::aws:policy/")) return "aws-managed";
  if (policy.starts_with("arn:") && policy.find(":policy/") != std::string::npos) return "user-managed";
  for (const char* type : {"user", "group", "role"}) {
    if (policy.find(fmt::format(":{}/", type)) != std::string::npos) return type;
  }
  return "none";
}

const char* word(bool allowed, bool explicit_deny) {
  return allowed ? "allowed" : explicit_deny ? "explicitDeny" : "implicitDeny";
}

m::EvaluationResult evaluate(const aws::Call& call, const aws::Target& target,
                             const aws::IdentityPolicies& policies) {
  aws::Explanation explanation;
  const auto decision = aws::decide(call, target, policies, &explanation);
  m::EvaluationResult out;
  out.eval_action_name = target.action;
  out.eval_resource_name = target.resource;
  out.eval_decision = word(decision.allowed, decision.explicit_deny);
  out.matched_statements.emplace();
  for (const auto& match : explanation.matches) {
    m::Statement s;
    s.source_policy_id = match.policy;
    s.source_policy_type = type_of(match.policy_kind, match.policy);
    out.matched_statements->push_back(std::move(s));
  }
  out.missing_context_values = aws::missing_keys(call, target, policies);
  if (!policies.control.empty())
    out.organizations_decision_detail = m::OrganizationsDecisionDetail{explanation.control};
  if (policies.boundary)
    out.permissions_boundary_decision_detail = m::PermissionsBoundaryDecisionDetail{explanation.boundary};
  if (target.policy) {
    out.eval_decision_details.emplace();
    (*out.eval_decision_details)["IAM Policy"] = word(explanation.identity, false);
    (*out.eval_decision_details)["Resource Policy"] = word(explanation.resource, false);
  }
  return out;
}

Result<void> add_inputs(const std::vector<std::string>& texts, const char* list,
                        std::vector<aws::NamedPolicy>& out) {
  for (size_t i = 0; i < texts.size(); ++i) {
    auto document = aws::check_identity_policy(texts[i]);
    if (!document) return invalid(fmt::format("{}.{}: {}", list, i + 1, document.error().message));
    out.push_back({fmt::format("{}.{}", list, i + 1), std::move(document).value()});
  }
  return {};
}

// What both operations share, over their requests of the same members.
template <class Request>
Result<std::vector<std::pair<std::string, m::EvaluationResult>>> simulate(aws::Call call, const Request& q,
                                                                          aws::IdentityPolicies policies) {
  if (q.permissions_boundary_policy_input_list) {
    std::vector<aws::NamedPolicy> boundary;
    TRY(add_inputs(*q.permissions_boundary_policy_input_list, "PermissionsBoundaryPolicyInputList",
                   boundary));
    if (boundary.size() > 1)
      return invalid("PermissionsBoundaryPolicyInputList: only one permissions boundary can be given");
    if (!boundary.empty()) policies.boundary = boundary.front();
  }
  aws::Target target;
  if (q.resource_owner) {
    const auto owner = aws::parse_arn(*q.resource_owner);
    if (!owner || !aws::valid_account_id(owner->account)) return invalid("Invalid ResourceOwner");
    target.owner = owner->account;
  } else {
    target.owner = call.account;
  }
  if (q.resource_policy) {
    auto document = aws::check_resource_policy(*q.resource_policy);
    if (!document) return invalid("ResourcePolicy: " + document.error().message);
    target.policy = std::move(document).value();
  }
  TRY(take_context(q.context_entries, call, target));
  std::vector<std::string> resources{"*"};
  if (q.resource_arns && !q.resource_arns->empty()) resources = *q.resource_arns;
  if (q.action_names.size() * resources.size() > kMaxSimulations) {
    return invalid(fmt::format("At most {} combinations of actions and resources can be simulated at once",
                               kMaxSimulations));
  }
  std::vector<std::pair<std::string, m::EvaluationResult>> out;
  for (const auto& action : q.action_names) {
    if (action.find(':') == std::string::npos) return invalid(fmt::format("Invalid action: {}", action));
    for (const auto& resource : resources) {
      target.action = action;
      target.resource = resource;
      out.emplace_back(fmt::format("{:06}", out.size()), evaluate(call, target, policies));
    }
  }
  return out;
}

Result<aws::Principal> principal_of(const std::string& arn) {
  const auto parts = aws::parse_arn(arn);
  if (!parts || !aws::valid_account_id(parts->account))
    return invalid(fmt::format("{} is not a valid ARN of a user, group or role", arn));
  aws::Principal p;
  p.account = parts->account;
  p.arn = arn;
  p.name = arn.substr(arn.rfind('/') + 1);
  if (parts->service == "iam" && parts->resource == "root") return aws::Principal::root(parts->account);
  if (parts->service == "iam" && parts->resource.starts_with("role/")) {
    p.kind = aws::Principal::Kind::assumed_role;
    p.role_arn = arn;
  } else if (parts->service == "iam" &&
             (parts->resource.starts_with("user/") || parts->resource.starts_with("group/"))) {
    p.kind = aws::Principal::Kind::user;
  } else {
    return invalid(fmt::format("{} is not a valid ARN of a user, group or role", arn));
  }
  return p;
}

}  // namespace

Result<op::SimulateCustomPolicy::Response> Iam::simulate_custom_policy(
    Call& call, const op::SimulateCustomPolicy::Request& q) {
  aws::IdentityPolicies policies;
  TRY(add_inputs(q.policy_input_list, "PolicyInputList", policies.identity));
  aws::Call simulated;
  simulated.account = call.account;
  simulated.region = call.region;
  simulated.now = call.now;
  simulated.principal.kind = aws::Principal::Kind::user;
  simulated.principal.account = call.account;
  if (q.caller_arn) simulated.principal = TRY(principal_of(*q.caller_arn));
  auto items = TRY(simulate(simulated, q, std::move(policies)));
  return page<op::SimulateCustomPolicy::Response>(
      std::move(items), q.marker, q.max_items, "simulate " + call.account,
      [](op::SimulateCustomPolicy::Response& r, auto told) { r.evaluation_results = std::move(told); });
}

Result<op::SimulatePrincipalPolicy::Response> Iam::simulate_principal_policy(
    Call& call, const op::SimulatePrincipalPolicy::Request& q) {
  aws::Call simulated;
  simulated.principal = TRY(principal_of(q.policy_source_arn));
  const auto source = simulated.principal;
  if (source.account != call.account || source.kind == aws::Principal::Kind::root) {
    return invalid(fmt::format("{} is not a user, group or role of this account", q.policy_source_arn));
  }
  aws::IdentityPolicies policies;
  if (q.policy_source_arn.find(":group/") != std::string::npos) {
    TRY(reading([&](store::Reader& r) -> Result<void> {
      const auto body = TRY(need(r, call.account, Kind::group, source.name));
      return add_policies(r, call.account, body, q.policy_source_arn, policies.identity);
    }));
  } else {
    const Kind kind = source.kind == aws::Principal::Kind::user ? Kind::user : Kind::role;
    const auto body = TRY(entity(call.account, kind, source.name));
    simulated.principal.id = body.get("id");
    for (const auto& [key, value] : body.get_object("tags"))
      simulated.principal.tags.emplace_back(key, value.string());
    const auto known = TRY(policies_of(source));
    policies = *known;
  }
  if (q.policy_input_list) TRY(add_inputs(*q.policy_input_list, "PolicyInputList", policies.identity));
  if (q.caller_arn) simulated.principal = TRY(principal_of(*q.caller_arn));
  simulated.account = call.account;
  simulated.region = call.region;
  simulated.now = call.now;
  auto items = TRY(simulate(simulated, q, std::move(policies)));
  return page<op::SimulatePrincipalPolicy::Response>(
      std::move(items), q.marker, q.max_items, "simulate " + call.account,
      [](op::SimulatePrincipalPolicy::Response& r, auto told) { r.evaluation_results = std::move(told); });
}

}  // namespace bastide::services
