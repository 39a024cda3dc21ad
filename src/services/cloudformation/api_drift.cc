// Drift detection.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/cloudformation/service.h"

namespace bastide::services {

using cfn::validation;
namespace op = model::cloudformation::op;
namespace m = model::cloudformation;

namespace {

constexpr size_t kPage = 100;

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/detect-drift-stack.html
bool checkable(const std::string& status) {
  return status == "CREATE_COMPLETE" || status == "UPDATE_COMPLETE" || status == "UPDATE_ROLLBACK_COMPLETE" ||
         status == "UPDATE_ROLLBACK_FAILED" || status == "IMPORT_COMPLETE" ||
         status == "IMPORT_ROLLBACK_COMPLETE" || status == "IMPORT_ROLLBACK_FAILED";
}

Error cannot(const cfn::Stack& s) {
  return validation(
      fmt::format("Drift detection is not supported for stack {} in {} state", s.arn(), s.status));
}

m::StackResourceDrift drift_shown(const cfn::Stack& stack, const cfn::ResourceDrift& d) {
  m::StackResourceDrift out;
  out.stack_id = stack.arn();
  out.logical_resource_id = d.logical;
  out.physical_resource_id = d.physical;
  out.resource_type = d.type;
  out.stack_resource_drift_status = d.status;
  out.timestamp = d.at;
  if (d.status == "NOT_CHECKED") return out;
  out.expected_properties = json::print(d.expected);
  if (d.status == "DELETED") return out;
  out.actual_properties = json::print(d.actual);
  out.property_differences.emplace();
  for (const auto& p : d.differences) {
    m::PropertyDifference one;
    one.property_path = p.path;
    one.expected_value = p.expected;
    one.actual_value = p.actual;
    one.difference_type = p.kind;
    out.property_differences->push_back(std::move(one));
  }
  return out;
}

}  // namespace

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DetectStackDrift.html
Result<op::DetectStackDrift::Response> Cloudformation::detect_stack_drift(
    Call& call, const op::DetectStackDrift::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  if (!checkable(stack.status)) return cannot(stack);
  const auto before = TRY(drift_.last(stack));
  if (before && before->status == "DETECTION_IN_PROGRESS" && clock_.wall() - before->started < 10 * kMinute) {
    return validation(fmt::format("Drift detection is already in progress for stack {}", stack.arn()));
  }
  op::DetectStackDrift::Response out;
  out.stack_drift_detection_id =
      TRY(drift_.begin(stack, call.principal, in.logical_resource_ids.value_or(std::vector<std::string>{})));
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackDriftDetectionStatus.html
Result<op::DescribeStackDriftDetectionStatus::Response> Cloudformation::describe_stack_drift_detection_status(
    Call& call, const op::DescribeStackDriftDetectionStatus::Request& in) {
  const auto d = TRY(drift_.by_id(call.account, call.region, in.stack_drift_detection_id));
  if (!d) {
    return validation(
        fmt::format("Drift detection operation {} does not exist", in.stack_drift_detection_id));
  }
  op::DescribeStackDriftDetectionStatus::Response out;
  out.stack_id = d->stack_arn;
  out.stack_drift_detection_id = d->id;
  out.detection_status = d->status;
  out.timestamp = d->started;
  if (!d->reason.empty()) out.detection_status_reason = d->reason;
  if (d->status == "DETECTION_IN_PROGRESS") return out;
  out.stack_drift_status = d->stack_status;
  out.drifted_stack_resource_count = d->drifted();
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResourceDrifts.html
Result<op::DescribeStackResourceDrifts::Response> Cloudformation::describe_stack_resource_drifts(
    Call& call, const op::DescribeStackResourceDrifts::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  op::DescribeStackResourceDrifts::Response out;
  const auto d = TRY(drift_.last(stack));
  if (!d) return out;
  size_t from = 0;
  if (in.next_token) {
    auto n = parse_int(*in.next_token);
    if (!n || *n < 0) return validation("Invalid NextToken");
    from = static_cast<size_t>(*n);
  }
  std::vector<const cfn::ResourceDrift*> wanted;
  for (const auto& r : d->resources) {
    const auto& filters = in.stack_resource_drift_status_filters;
    if (filters && !filters->empty() &&
        std::find(filters->begin(), filters->end(), r.status) == filters->end())
      continue;
    wanted.push_back(&r);
  }
  const size_t page = static_cast<size_t>(in.max_results.value_or(static_cast<int32_t>(kPage)));
  for (size_t i = from; i < wanted.size() && i < from + page; ++i) {
    out.stack_resource_drifts.push_back(drift_shown(stack, *wanted[i]));
  }
  if (wanted.size() > from + page) out.next_token = fmt::format("{}", from + page);
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DetectStackResourceDrift.html
Result<op::DetectStackResourceDrift::Response> Cloudformation::detect_stack_resource_drift(
    Call& call, const op::DetectStackResourceDrift::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  if (!checkable(stack.status)) return cannot(stack);
  const auto rows = TRY(records_.resources(stack));
  auto it = rows.find(in.logical_resource_id);
  if (it == rows.end() || !it->second.made()) {
    return validation(
        fmt::format("Resource {} does not exist for stack {}", in.logical_resource_id, stack.name));
  }
  const auto d = TRY(drift_.detect(stack, it->second, rows, call.principal));
  if (d.status == "NOT_CHECKED") {
    return validation(fmt::format("Drift detection is not supported for resource type {}", it->second.type));
  }
  TRY(drift_.keep(stack, d));
  op::DetectStackResourceDrift::Response out;
  out.stack_resource_drift = drift_shown(stack, d);
  return out;
}

}  // namespace bastide::services
