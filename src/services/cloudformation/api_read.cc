// Reading stacks, events, resources, outputs, templates.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/cloudformation/service.h"

namespace bastide::services {

using cfn::validation;
namespace op = model::cloudformation::op;
namespace m = model::cloudformation;

namespace {

constexpr const char* kNamed = "The following resource(s) require capabilities: [{}]";
constexpr size_t kEventPage = 100, kListPage = 100;

std::optional<std::string> some(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

template <class T>
std::optional<T> at(Millis t) {
  return t == 0 ? std::nullopt : std::optional<T>(t);
}

// Tokens are the place in the list: what they name is read with the caller's own rights again.
Result<size_t> offset_of(const std::optional<std::string>& token) {
  if (!token) return size_t{0};
  auto n = parse_int(*token);
  if (!n || *n < 0) return validation("Invalid NextToken");
  return static_cast<size_t>(*n);
}

template <class T>
std::optional<std::string> cut(std::vector<T>& all, size_t from, size_t page) {
  const size_t total = all.size();
  all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(std::min(from, total)));
  if (all.size() <= page) return std::nullopt;
  all.resize(page);
  return fmt::format("{}", from + page);
}

std::vector<std::string> capabilities(const cfn::Template& t) {
  if (t.named_iam) return {"CAPABILITY_NAMED_IAM"};
  if (t.iam) return {"CAPABILITY_IAM"};
  return {};
}

std::string capabilities_reason(const cfn::Template& t) {
  std::vector<std::string> types;
  for (const auto& r : t.resources) {
    if (r.type.starts_with("AWS::IAM::") && std::find(types.begin(), types.end(), r.type) == types.end())
      types.push_back(r.type);
  }
  return types.empty() ? "" : fmt::format(fmt::runtime(kNamed), join(types, ", "));
}

}  // namespace

Result<m::Stack> Cloudformation::shown(const cfn::Stack& s, const cfn::Template* t) {
  m::Stack out;
  out.stack_id = s.arn();
  out.stack_name = s.name;
  out.change_set_id = some(s.change_set_id);
  out.description = some(s.description);
  out.creation_time = s.created;
  out.last_updated_time = at<Millis>(s.updated);
  out.deletion_time = at<Millis>(s.deleted);
  out.stack_status = s.status;
  out.stack_status_reason = some(s.reason);
  out.disable_rollback = s.on_failure == "DO_NOTHING";
  out.notification_arns = s.notification_arns;
  if (s.timeout_minutes > 0) out.timeout_in_minutes = static_cast<int32_t>(s.timeout_minutes);
  if (!s.capabilities.empty()) out.capabilities = s.capabilities;
  out.role_arn = some(s.role_arn);
  out.parent_id = some(s.parent);
  out.root_id = some(s.parent);
  out.enable_termination_protection = s.termination_protection;
  const auto drift = TRY(drift_.last(s));
  out.drift_information =
      m::StackDriftInformation{.stack_drift_status = drift ? drift->stack_status : "NOT_CHECKED",
                               .last_check_timestamp = at<Millis>(drift ? drift->checked : 0)};
  out.tags.emplace();
  for (const auto& tag : s.tags.array()) out.tags->push_back({tag.get("Key"), tag.get("Value")});
  if (!s.parameters.empty()) {
    out.parameters.emplace();
    for (const auto& [key, value] : s.parameters) {
      const cfn::Parameter* declared = t == nullptr ? nullptr : t->parameter(key);
      m::Parameter p;
      p.parameter_key = key;
      p.parameter_value = declared == nullptr || declared->no_echo ? "****" : value;
      out.parameters->push_back(std::move(p));
    }
  }
  if (!s.outputs.empty()) {
    out.outputs.emplace();
    for (const auto& o : s.outputs) {
      m::Output one;
      one.output_key = o.key;
      one.output_value = o.value;
      one.description = some(o.description);
      one.export_name = some(o.export_name);
      out.outputs->push_back(std::move(one));
    }
  }
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
Result<op::DescribeStacks::Response> Cloudformation::describe_stacks(Call& call,
                                                                     const op::DescribeStacks::Request& in) {
  op::DescribeStacks::Response out;
  std::vector<cfn::Stack> stacks;
  if (in.stack_name) {
    auto one = TRY(need(call, *in.stack_name));
    stacks.push_back(std::move(one));
  } else {
    stacks = TRY(records_.stacks(call.account, call.region));
    std::erase_if(stacks, [](const cfn::Stack& s) { return s.gone(); });
    const size_t from = TRY(offset_of(in.next_token));
    out.next_token = cut(stacks, from, kListPage);
  }
  out.stacks.emplace();
  for (const auto& s : stacks) {
    std::unique_ptr<cfn::Template> t;
    if (!s.parameters.empty()) {
      const auto version = TRY(records_.version(s, "current"));
      if (version) t = TRY(parsed(version->executed()));
    }
    auto one = TRY(shown(s, t.get()));
    out.stacks->push_back(std::move(one));
  }
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStacks.html
Result<op::ListStacks::Response> Cloudformation::list_stacks(Call& call, const op::ListStacks::Request& in) {
  auto stacks = TRY(records_.stacks(call.account, call.region));
  std::sort(stacks.begin(), stacks.end(), [](const auto& a, const auto& b) { return a.created > b.created; });
  if (in.stack_status_filter && !in.stack_status_filter->empty()) {
    const auto& wanted = *in.stack_status_filter;
    std::erase_if(stacks, [&](const cfn::Stack& s) {
      return std::find(wanted.begin(), wanted.end(), s.status) == wanted.end();
    });
  }
  op::ListStacks::Response out;
  const size_t from = TRY(offset_of(in.next_token));
  out.next_token = cut(stacks, from, kListPage);
  out.stack_summaries.emplace();
  for (const auto& s : stacks) {
    m::StackSummary one;
    one.stack_id = s.arn();
    one.stack_name = s.name;
    one.template_description = some(s.description);
    one.creation_time = s.created;
    one.last_updated_time = at<Millis>(s.updated);
    one.deletion_time = at<Millis>(s.deleted);
    one.stack_status = s.status;
    one.stack_status_reason = some(s.reason);
    one.drift_information =
        m::StackDriftInformationSummary{.stack_drift_status = "NOT_CHECKED", .last_check_timestamp = {}};
    out.stack_summaries->push_back(std::move(one));
  }
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html
Result<op::DescribeStackEvents::Response> Cloudformation::describe_stack_events(
    Call& call, const op::DescribeStackEvents::Request& in) {
  auto stack = TRY(find(call, in.stack_name));
  if (!stack) return validation(fmt::format("Stack [{}] does not exist", in.stack_name));
  auto events = TRY(records_.events(*stack));
  op::DescribeStackEvents::Response out;
  const size_t from = TRY(offset_of(in.next_token));
  out.next_token = cut(events, from, kEventPage);
  out.stack_events.emplace();
  for (const auto& e : events) {
    m::StackEvent one;
    one.stack_id = stack->arn();
    one.stack_name = stack->name;
    one.event_id = e.id;
    one.logical_resource_id = e.logical;
    one.physical_resource_id = e.physical;
    one.resource_type = e.type;
    one.timestamp = e.at;
    one.resource_status = e.status;
    one.resource_status_reason = some(e.reason);
    one.client_request_token = some(e.token);
    out.stack_events->push_back(std::move(one));
  }
  return out;
}

namespace {

template <class T>
T resource_shown(const cfn::ResourceRow& r) {
  T out;
  out.logical_resource_id = r.logical;
  out.physical_resource_id = some(!r.physical.empty() ? r.physical : r.pending ? r.pending->physical : "");
  out.resource_type = r.type;
  out.resource_status = r.status;
  out.resource_status_reason = some(r.reason);
  return out;
}

}  // namespace

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResources.html
Result<op::DescribeStackResources::Response> Cloudformation::describe_stack_resources(
    Call& call, const op::DescribeStackResources::Request& in) {
  if (in.stack_name.has_value() == in.physical_resource_id.has_value()) {
    return validation("Either StackName or PhysicalResourceId must be specified.");
  }
  std::vector<cfn::Stack> stacks;
  if (in.stack_name) {
    auto one = TRY(need(call, *in.stack_name));
    stacks.push_back(std::move(one));
  } else {
    stacks = TRY(records_.stacks(call.account, call.region));
  }
  op::DescribeStackResources::Response out;
  out.stack_resources.emplace();
  for (const auto& s : stacks) {
    const auto rows = TRY(records_.resources(s));
    if (in.physical_resource_id) {
      const bool here = std::any_of(rows.begin(), rows.end(), [&](const auto& r) {
        return r.second.made() && r.second.physical == *in.physical_resource_id;
      });
      if (!here) continue;
    }
    for (const auto& [logical, row] : rows) {
      if (in.logical_resource_id && *in.logical_resource_id != logical) continue;
      auto one = resource_shown<m::StackResource>(row);
      one.stack_name = s.name;
      one.stack_id = s.arn();
      one.timestamp = row.updated;
      out.stack_resources->push_back(std::move(one));
    }
    if (in.physical_resource_id) return out;
  }
  if (in.physical_resource_id)
    return validation(fmt::format("Stack for {} does not exist", *in.physical_resource_id));
  return out;
}

Result<op::DescribeStackResource::Response> Cloudformation::describe_stack_resource(
    Call& call, const op::DescribeStackResource::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  const auto rows = TRY(records_.resources(stack));
  auto it = rows.find(in.logical_resource_id);
  if (it == rows.end()) {
    return validation(
        fmt::format("Resource {} does not exist for stack {}", in.logical_resource_id, stack.name));
  }
  auto one = resource_shown<m::StackResourceDetail>(it->second);
  one.stack_name = stack.name;
  one.stack_id = stack.arn();
  one.last_updated_timestamp = it->second.updated;
  op::DescribeStackResource::Response out;
  out.stack_resource_detail = std::move(one);
  return out;
}

Result<op::ListStackResources::Response> Cloudformation::list_stack_resources(
    Call& call, const op::ListStackResources::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  const auto rows = TRY(records_.resources(stack));
  std::vector<m::StackResourceSummary> all;
  for (const auto& [logical, row] : rows) {
    auto one = resource_shown<m::StackResourceSummary>(row);
    one.last_updated_timestamp = row.updated;
    all.push_back(std::move(one));
  }
  op::ListStackResources::Response out;
  const size_t from = TRY(offset_of(in.next_token));
  out.next_token = cut(all, from, kListPage);
  out.stack_resource_summaries = std::move(all);
  return out;
}

Result<op::ListExports::Response> Cloudformation::list_exports(Call& call,
                                                               const op::ListExports::Request& in) {
  auto all = TRY(records_.exports(call.account, call.region));
  op::ListExports::Response out;
  const size_t from = TRY(offset_of(in.next_token));
  out.next_token = cut(all, from, kListPage);
  out.exports.emplace();
  for (const auto& e : all) {
    m::Export one;
    one.exporting_stack_id = e.stack_arn;
    one.name = e.name;
    one.value = e.value;
    out.exports->push_back(std::move(one));
  }
  return out;
}

Result<op::ListImports::Response> Cloudformation::list_imports(Call& call,
                                                               const op::ListImports::Request& in) {
  std::vector<std::string> users;
  TRY(records_.db().read([&, this](store::Reader& r) -> Result<void> {
    users = TRY(records_.importers(r, call.account, call.region, in.export_name));
    return {};
  }));
  if (users.empty())
    return validation(fmt::format("Export '{}' is not imported by any stack.", in.export_name));
  op::ListImports::Response out;
  const size_t from = TRY(offset_of(in.next_token));
  out.next_token = cut(users, from, kListPage);
  out.imports = std::move(users);
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplate.html
Result<op::GetTemplate::Response> Cloudformation::get_template(Call& call,
                                                               const op::GetTemplate::Request& in) {
  op::GetTemplate::Response out;
  out.stages_available = {"Original", "Processed"};
  if (in.change_set_name) {
    const auto row = TRY(find_change_set(call, *in.change_set_name, in.stack_name));
    if (!row)
      return fault("ChangeSetNotFound", fmt::format("ChangeSet [{}] does not exist", *in.change_set_name));
    const json::Value* sealed = row->body.find("private");
    const json::Value body =
        TRY(records_.unseal(sealed == nullptr ? json::Value() : *sealed, row->body.get("arn")));
    const cfn::Version version = cfn::Version::from(body);
    out.template_body =
        in.template_stage.value_or("Original") == "Processed" ? version.executed() : version.text;
    return out;
  }
  if (!in.stack_name) return validation("StackName is required");
  const cfn::Stack stack = TRY(need(call, *in.stack_name));
  const auto version = TRY(records_.version(stack, "current"));
  if (!version) return validation(fmt::format("Stack {} does not have a template", stack.name));
  out.template_body =
      in.template_stage.value_or("Original") == "Processed" ? version->executed() : version->text;
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ValidateTemplate.html
Result<op::ValidateTemplate::Response> Cloudformation::validate_template(
    Call& call, const op::ValidateTemplate::Request& in) {
  const std::string text = TRY(text_of(call, in.template_body, in.template_url));
  const auto ready = TRY(prepared(call, text, "", {}));
  const auto t = TRY(parsed(ready.executed));
  op::ValidateTemplate::Response out;
  if (!ready.transforms.empty()) out.declared_transforms = ready.transforms;
  out.description = some(t->description);
  out.parameters.emplace();
  for (const auto& p : t->parameters) {
    m::TemplateParameter one;
    one.parameter_key = p.name;
    one.default_value = p.fallback;
    one.no_echo = p.no_echo;
    one.description = some(p.description);
    out.parameters->push_back(std::move(one));
  }
  out.capabilities = capabilities(*t);
  out.capabilities_reason = some(capabilities_reason(*t));
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplateSummary.html
Result<op::GetTemplateSummary::Response> Cloudformation::get_template_summary(
    Call& call, const op::GetTemplateSummary::Request& in) {
  if (in.stack_set_name) return validation("StackSetName is not supported");
  std::string text;
  if (in.stack_name) {
    const cfn::Stack stack = TRY(need(call, *in.stack_name));
    const auto version = TRY(records_.version(stack, "current"));
    if (!version) return validation(fmt::format("Stack {} does not have a template", stack.name));
    text = version->text;
  } else {
    text = TRY(text_of(call, in.template_body, in.template_url));
  }
  const auto ready = TRY(prepared(call, text, in.stack_name.value_or(""), {}));
  const auto t = TRY(parsed(ready.executed));
  op::GetTemplateSummary::Response out;
  if (!ready.transforms.empty()) out.declared_transforms = ready.transforms;
  out.resource_identifier_summaries.emplace();
  for (const auto& r : t->resources) {
    auto& all = *out.resource_identifier_summaries;
    auto same =
        std::find_if(all.begin(), all.end(), [&](const auto& s) { return s.resource_type == r.type; });
    if (same == all.end()) {
      m::ResourceIdentifierSummary one;
      one.resource_type = r.type;
      one.logical_resource_ids.emplace();
      same = all.insert(all.end(), std::move(one));
    }
    same->logical_resource_ids->push_back(r.logical);
  }
  out.description = some(t->description);
  out.version = some(t->body.get("AWSTemplateFormatVersion"));
  if (t->metadata.is_object()) out.metadata = json::print(t->metadata);
  out.parameters.emplace();
  for (const auto& p : t->parameters) {
    m::ParameterDeclaration one;
    one.parameter_key = p.name;
    one.default_value = p.fallback;
    one.parameter_type = p.type;
    one.no_echo = p.no_echo;
    one.description = some(p.description);
    one.parameter_constraints.emplace();
    one.parameter_constraints->allowed_values = p.allowed_values;
    out.parameters->push_back(std::move(one));
  }
  out.resource_types.emplace();
  for (const auto& r : t->resources) {
    if (std::find(out.resource_types->begin(), out.resource_types->end(), r.type) ==
        out.resource_types->end()) {
      out.resource_types->push_back(r.type);
    }
  }
  out.capabilities = capabilities(*t);
  out.capabilities_reason = some(capabilities_reason(*t));
  return out;
}

}  // namespace bastide::services
