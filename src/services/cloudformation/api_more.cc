// Stack policies, operation events, the registry of types, limits.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/cloudformation/service.h"
#include "services/cloudformation/stack_policy.h"
#include "services/cloudformation/types.h"

namespace bastide::services {

using cfn::validation;
namespace op = model::cloudformation::op;
namespace m = model::cloudformation;

namespace {

constexpr size_t kPage = 100;

template <class T>
Result<std::optional<std::string>> page(std::vector<T>& all, const std::optional<std::string>& token,
                                        size_t size) {
  size_t from = 0;
  if (token) {
    auto n = parse_int(*token);
    if (!n || *n < 0) return validation("Invalid NextToken");
    from = static_cast<size_t>(*n);
  }
  all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(std::min(from, all.size())));
  if (all.size() <= size) return std::optional<std::string>();
  all.resize(size);
  return std::optional<std::string>(fmt::format("{}", from + size));
}

const char* operation_type(const std::string& status) {
  if (status.starts_with("CREATE") || status.starts_with("REVIEW") || status.starts_with("IMPORT"))
    return "CREATE_STACK";
  if (status.starts_with("UPDATE_ROLLBACK")) return "CONTINUE_ROLLBACK";
  if (status.starts_with("UPDATE")) return "UPDATE_STACK";
  if (status.starts_with("DELETE")) return "DELETE_STACK";
  return "ROLLBACK";
}

}  // namespace

Result<op::SetStackPolicy::Response> Cloudformation::set_stack_policy(Call& call,
                                                                      const op::SetStackPolicy::Request& in) {
  if (in.stack_policy_body.has_value() == in.stack_policy_url.has_value()) {
    return validation(
        "You must specify either the StackPolicyBody or the StackPolicyURL parameter, but not both.");
  }
  if (in.stack_policy_url) return validation("StackPolicyURL is not supported; give StackPolicyBody");
  auto policy = TRY(cfn::parse_stack_policy(*in.stack_policy_body));
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    auto stack = TRY(records_.find(w, call.account, call.region, in.stack_name));
    if (!stack || stack->gone())
      return validation(fmt::format("Stack with id {} does not exist", in.stack_name));
    stack->policy = std::move(policy);
    return records_.put(w, *stack);
  }));
  return op::SetStackPolicy::Response{};
}

Result<op::GetStackPolicy::Response> Cloudformation::get_stack_policy(Call& call,
                                                                      const op::GetStackPolicy::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  op::GetStackPolicy::Response out;
  if (!stack.policy.is_null()) out.stack_policy_body = json::print(stack.policy);
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeEvents.html
Result<op::DescribeEvents::Response> Cloudformation::describe_events(Call& call,
                                                                     const op::DescribeEvents::Request& in) {
  if (!in.stack_name && !in.change_set_name && !in.operation_id)
    return validation("One of StackName, ChangeSetName or OperationId must be specified.");
  std::vector<cfn::Stack> stacks;
  if (in.stack_name) {
    auto one = TRY(need(call, *in.stack_name));
    stacks.push_back(std::move(one));
  } else if (in.change_set_name) {
    const auto row = TRY(find_change_set(call, *in.change_set_name, in.stack_name));
    if (!row)
      return fault("ChangeSetNotFound", fmt::format("ChangeSet [{}] does not exist", *in.change_set_name));
    auto one = TRY(need(call, row->body.get("stack")));
    stacks.push_back(std::move(one));
  } else {
    stacks = TRY(records_.stacks(call.account, call.region));
  }
  const bool only_failed = in.filters && in.filters->failed_events.value_or(false);
  std::vector<m::OperationEvent> all;
  for (const auto& stack : stacks) {
    const auto events = TRY(records_.events(stack));
    std::map<std::string, const char*> kinds;  // by operation: what its first event was
    for (auto it = events.rbegin(); it != events.rend(); ++it) {
      if (it->physical == stack.arn()) kinds.emplace(it->operation, operation_type(it->status));
    }
    for (const auto& e : events) {
      if (in.operation_id && e.operation != *in.operation_id) continue;
      const bool failed = e.status.ends_with("_FAILED");
      if (only_failed && !failed) continue;
      m::OperationEvent one;
      one.event_id = e.id;
      one.stack_id = stack.arn();
      one.operation_id = e.operation;
      if (auto kind = kinds.find(e.operation); kind != kinds.end()) one.operation_type = kind->second;
      const bool own = e.physical == stack.arn();
      one.event_type = failed && !own ? "PROVISIONING_ERROR" : "STACK_EVENT";
      if (own) {
        one.operation_status = e.status.ends_with("_IN_PROGRESS") ? "IN_PROGRESS"
                               : failed || e.status.find("ROLLBACK_COMPLETE") != std::string::npos
                                   ? "FAILED"
                                   : "SUCCEEDED";
      }
      one.logical_resource_id = e.logical;
      if (!e.physical.empty()) one.physical_resource_id = e.physical;
      one.resource_type = e.type;
      one.timestamp = e.at;
      one.resource_status = e.status;
      if (!e.reason.empty()) one.resource_status_reason = e.reason;
      if (!e.token.empty()) one.client_request_token = e.token;
      all.push_back(std::move(one));
    }
  }
  op::DescribeEvents::Response out;
  out.next_token = TRY(page(all, in.next_token, kPage));
  out.operation_events = std::move(all);
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListTypes.html
Result<op::ListTypes::Response> Cloudformation::list_types(Call&, const op::ListTypes::Request& in) {
  op::ListTypes::Response out;
  out.type_summaries.emplace();
  // What is private to an account, or no resource: there is none.
  const bool third = in.filters && in.filters->category && *in.filters->category != "AWS_TYPES";
  if (in.visibility.value_or("PRIVATE") != "PUBLIC" || in.type.value_or("RESOURCE") != "RESOURCE" || third)
    return out;
  const std::string prefix = in.filters ? in.filters->type_name_prefix.value_or("") : "";
  std::vector<m::TypeSummary> all;
  for (const auto& type : cfn::all_types()) {
    if (!type.starts_with(prefix)) continue;
    m::TypeSummary one;
    one.type = "RESOURCE";
    one.type_name = type;
    one.type_arn = cfn::type_arn(type);
    one.is_activated = true;
    all.push_back(std::move(one));
  }
  out.next_token = TRY(page(all, in.next_token, static_cast<size_t>(in.max_results.value_or(100))));
  out.type_summaries = std::move(all);
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeType.html
Result<op::DescribeType::Response> Cloudformation::describe_type(Call&, const op::DescribeType::Request& in) {
  std::string type = in.type_name.value_or("");
  if (in.arn) {
    for (const auto& one : cfn::all_types()) {
      if (cfn::type_arn(one) == *in.arn) type = one;
    }
  }
  if (type.empty() && !in.arn) return fault("CFNRegistryException", "TypeName or Arn must be specified");
  if (!cfn::known_type(type) || in.type.value_or("RESOURCE") != "RESOURCE") {
    return fault("TypeNotFoundException",
                 fmt::format("The type '{}' cannot be found.", type.empty() ? *in.arn : type));
  }
  op::DescribeType::Response out;
  out.arn = cfn::type_arn(type);
  out.type = "RESOURCE";
  out.type_name = type;
  out.visibility = "PUBLIC";
  out.deprecated_status = "LIVE";
  out.is_activated = true;
  out.schema = cfn::type_schema(type);
  out.provisioning_type = cfn::mutable_type(type) ? "FULLY_MUTABLE" : "IMMUTABLE";
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeAccountLimits.html
Result<op::DescribeAccountLimits::Response> Cloudformation::describe_account_limits(
    Call&, const op::DescribeAccountLimits::Request&) {
  op::DescribeAccountLimits::Response out;
  out.account_limits.emplace();
  for (const auto& [name, value] : {std::pair{"StackLimit", 2000}, std::pair{"StackOutputsLimit", 200},
                                    std::pair{"ConcurrentResourcesLimit", 2500}}) {
    m::AccountLimit one;
    one.name = name;
    one.value = value;
    out.account_limits->push_back(std::move(one));
  }
  return out;
}

}  // namespace bastide::services
