// AWS::SSM::Parameter.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ssm-parameter.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Value input(const Value& p, const std::string& name) {
  Value in = pick(p, {"AllowedPattern", "DataType", "Description", "Tier", "Type", "Value"});
  in["Name"] = name;
  return in;
}

Value attributes_of(const Value& p) { return pick(p, {"Type", "Value"}); }

Result<Made> make(const Context& c, const Value& p) {
  const std::string name = c.name(p, "Name", 1011);
  Value in = input(p, name);
  Value tags = c.tags(p);
  if (!tags.array().empty()) in["Tags"] = std::move(tags);
  TRY(done(c.call("ssm", "PutParameter", std::move(in))));
  return Made{name, attributes_of(p)};
}

Result<void> apply(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  Value in = input(next, name);
  in["Overwrite"] = true;
  TRY(done(c.call("ssm", "PutParameter", std::move(in))));
  const TagChange change = tag_change(c, old, next);
  const Value which = json::object({{"ResourceType", "Parameter"}, {"ResourceId", name}});
  if (!change.set.array().empty()) {
    Value tag = which;
    tag["Tags"] = change.set;
    TRY(done(c.call("ssm", "AddTagsToResource", std::move(tag))));
  }
  if (!change.remove.array().empty()) {
    Value untag = which;
    untag["TagKeys"] = change.remove;
    TRY(done(c.call("ssm", "RemoveTagsFromResource", std::move(untag))));
  }
  return {};
}

Result<void> remove(const Context& c, const std::string& name, const Value&) {
  return unless_missing(c.call("ssm", "DeleteParameter", json::object({{"Name", name}})));
}

Result<Value> attributes(const Context&, const std::string&, const Value& p) { return attributes_of(p); }

Result<std::string> find(const Context& c, const Value& p) {
  const std::string name = c.name(p, "Name", 1011);
  auto out = c.call("ssm", "GetParameter", json::object({{"Name", name}}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  const Value* parameter = out->find("Parameter");
  const Value* at = parameter == nullptr ? nullptr : parameter->find("LastModifiedDate");
  if (at != nullptr && at->is_number() && (at->number() + 1) * 1000 < static_cast<double>(c.started))
    return std::string();
  return name;
}

}  // namespace

void add_ssm(Handlers& h) {
  h["AWS::SSM::Parameter"] = {.name_property = "Name",
                              .make = make,
                              .apply = apply,
                              .remove = remove,
                              .attributes = attributes,
                              .find = find};
}

}  // namespace bastide::services::cfn
