// AWS::CloudFormation::Stack (nested), WaitCondition, WaitConditionHandle; AWS::CDK::Metadata.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-nested-stacks.html
#include <fmt/format.h>

#include "services/cloudformation/handler.h"
#include "services/cloudformation/read.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

constexpr Millis kStackBound = kHour * 12, kStep = 50;

Value parameters_of(const Value& p) {
  Value out = json::array();
  for (const auto& [key, value] : p.get_object("Parameters")) {
    std::string text = value.is_string() ? value.string() : json::print(value);
    if (value.is_array()) {
      text.clear();
      for (const auto& one : value.array())
        text += (text.empty() ? "" : ",") + (one.is_string() ? one.string() : json::print(one));
    }
    out.push(json::object({{"ParameterKey", key}, {"ParameterValue", text}}));
  }
  return out;
}

Result<Value> input(const Context& c, const Value& p) {
  Value in = json::object({{"TemplateURL", p.get("TemplateURL")}, {"Parameters", parameters_of(p)}});
  Value tags = c.tags(p);
  Value capabilities = json::array();
  for (const auto& one : c.capabilities) capabilities.push(one);
  in["Capabilities"] = std::move(capabilities);
  tags.push(json::object({{"Key", "aws:cloudformation:stack-id"}, {"Value", c.stack_id}}));
  if (!tags.array().empty()) in["Tags"] = std::move(tags);
  if (p.has("NotificationARNs")) in["NotificationARNs"] = *p.find("NotificationARNs");
  return in;
}

Result<Value> described(const Context& c, const std::string& id) {
  return first_of(c.call("cloudformation", "DescribeStacks", json::object({{"StackName", id}})), "Stacks",
                  id);
}

Result<Value> settled(const Context& c, const std::string& id, bool deleting) {
  Value last;
  TRY(c.wait_until(kStackBound, kStep, [&]() -> Result<bool> {
    auto now = described(c, id);
    if (!now && deleting && now.error().code == "ValidationError") {
      last = json::object({{"StackStatus", "DELETE_COMPLETE"}});
      return true;
    }
    if (!now) return std::move(now).error();
    last = std::move(*now);
    return !last.get("StackStatus").ends_with("_IN_PROGRESS");
  }));
  return last;
}

Result<Value> stack_attributes(const Context& c, const std::string& id, const Value&) {
  const Value stack = TRY(described(c, id));
  Value out = json::object({{"StackId", id}});
  for (const auto& o : stack.get_array("Outputs"))
    out["Outputs." + o.get("OutputKey")] = o.get("OutputValue");
  return out;
}

Result<Made> make_stack(const Context& c, const Value& p) {
  Value in = TRY(input(c, p));
  in["StackName"] = c.generated_name(128);
  in["OnFailure"] = "DO_NOTHING";  // what goes wrong is rolled back with the parent
  in["ClientRequestToken"] = c.token;
  if (p.has("TimeoutInMinutes")) in["TimeoutInMinutes"] = *p.find("TimeoutInMinutes");
  const Value out = TRY(c.call("cloudformation", "CreateStack", std::move(in)));
  return Made{out.get("StackId"), nullptr};
}

Result<void> apply_stack(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (!old.is_null()) {
    Value in = TRY(input(c, next));
    in["StackName"] = id;
    auto out = c.call("cloudformation", "UpdateStack", std::move(in));
    if (!out && out.error().message.find("No updates are to be performed") != std::string::npos) return {};
    if (!out) return std::move(out).error();
  }
  const Value now = TRY(settled(c, id, false));
  const std::string status = now.get("StackStatus");
  if (status == "CREATE_COMPLETE" || status == "UPDATE_COMPLETE") return {};
  return fault("GeneralServiceException",
               fmt::format("Embedded stack {} was not successfully {}: {}", id,
                           old.is_null() ? "created" : "updated", now.get("StackStatusReason", status)));
}

Result<void> remove_stack(const Context& c, const std::string& id, const Value&) {
  auto out = c.call("cloudformation", "DeleteStack", json::object({{"StackName", id}}));
  if (!out) return std::move(out).error();
  const Value now = TRY(settled(c, id, true));
  if (now.get("StackStatus") == "DELETE_COMPLETE") return {};
  return fault("GeneralServiceException", fmt::format("Embedded stack {} was not successfully deleted: {}",
                                                      id, now.get("StackStatusReason")));
}

Result<std::string> find_stack(const Context& c, const Value&) {
  auto out = c.call("cloudformation", "DescribeStacks", json::object({{"StackName", c.generated_name(128)}}));
  if (!out && out.error().code == "ValidationError") return std::string();
  if (!out) return std::move(out).error();
  return out->get_array("Stacks").empty() ? std::string() : out->get_array("Stacks")[0].get("StackId");
}

Result<Value> read_stack(const Context& c, const std::string& id, const Value& p) {
  const Value stack = TRY(described(c, id));
  if (stack.get("StackStatus") == "DELETE_COMPLETE") return fault("NotFound", id + " is deleted");
  Value out = json::object({{"TemplateURL", p.get("TemplateURL")}});
  Value parameters = json::object();
  for (const auto& one : stack.get_array("Parameters"))
    parameters[one.get("ParameterKey")] = one.get("ParameterValue");
  out["Parameters"] = std::move(parameters);
  if (p.has("TimeoutInMinutes")) out["TimeoutInMinutes"] = *p.find("TimeoutInMinutes");
  if (p.has("NotificationARNs")) out["NotificationARNs"] = *p.find("NotificationARNs");
  out["Tags"] = plain_tags(stack.find("Tags"));
  return out;
}

// ---- what only stands in a template

Result<Made> make_nothing(const Context& c, const Value&) {
  return Made{c.generated_name(128), json::object()};
}
Result<void> apply_nothing(const Context&, const std::string&, const Value&, const Value&) { return {}; }
Result<void> remove_nothing(const Context&, const std::string&, const Value&) { return {}; }
Result<Value> no_attributes(const Context&, const std::string&, const Value&) { return json::object(); }
Result<std::string> find_nothing(const Context& c, const Value&) { return c.generated_name(128); }

// A condition is met by the signals of SignalResource, which the engine waits for.
Result<Made> make_condition(const Context& c, const Value& p) {
  if (p.has("Handle")) {
    return fault("InvalidRequest",
                 "A handle's URL receives no signals here: give the WaitCondition a CreationPolicy and use "
                 "SignalResource.");
  }
  return Made{c.generated_name(128), json::object({{"Data", "{}"}})};
}

}  // namespace

void add_stacks(Handlers& h) {
  h["AWS::CloudFormation::Stack"] = {.waits = true,
                                     .make = make_stack,
                                     .apply = apply_stack,
                                     .remove = remove_stack,
                                     .attributes = stack_attributes,
                                     .find = find_stack,
                                     .read = read_stack};
  h["AWS::CloudFormation::WaitConditionHandle"] = {.make = make_nothing,
                                                   .apply = apply_nothing,
                                                   .remove = remove_nothing,
                                                   .attributes = no_attributes,
                                                   .find = find_nothing};
  h["AWS::CDK::Metadata"] = h["AWS::CloudFormation::WaitConditionHandle"];
  h["AWS::CloudFormation::WaitCondition"] = {
      .make = make_condition, .apply = apply_nothing, .remove = remove_nothing, .find = find_nothing};
}

}  // namespace bastide::services::cfn
