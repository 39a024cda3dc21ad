// AWS::Logs::LogGroup.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-loggroup.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Value tag_map(const Value& tags) {
  Value out = json::object();
  for (const auto& tag : tags.array()) out[tag.get("Key")] = tag.get("Value");
  return out;
}

std::string arn(const Context& c, const std::string& name) {
  return "arn:aws:logs:" + c.region + ":" + c.account + ":log-group:" + name;
}

Result<Made> make(const Context& c, const Value& p) {
  const std::string name = c.name(p, "LogGroupName", 512);
  Value in = json::object({{"logGroupName", name}});
  if (p.has("KmsKeyId")) in["kmsKeyId"] = p.get("KmsKeyId");
  if (p.has("LogGroupClass")) in["logGroupClass"] = p.get("LogGroupClass");
  if (p.get_bool("DeletionProtectionEnabled")) in["deletionProtectionEnabled"] = true;
  Value tags = tag_map(c.tags(p));
  if (!tags.object().empty()) in["tags"] = std::move(tags);
  TRY(done(c.call("logs", "CreateLogGroup", std::move(in))));
  return Made{name, json::object({{"Arn", arn(c, name) + ":*"}})};
}

Result<void> apply(const Context& c, const std::string& name, const Value& old, const Value& next) {
  const Value group = json::object({{"logGroupName", name}});
  if (differs(old, next, "RetentionInDays")) {
    if (const Value* days = next.find("RetentionInDays")) {
      TRY(done(c.call("logs", "PutRetentionPolicy",
                      json::object({{"logGroupName", name}, {"retentionInDays", *days}}))));
    } else {
      TRY(unless_missing(c.call("logs", "DeleteRetentionPolicy", group)));
    }
  }
  if (old.is_null()) return {};
  if (differs(old, next, "LogGroupClass")) return not_updatable(c, "LogGroupClass");
  if (differs(old, next, "KmsKeyId")) {
    if (next.has("KmsKeyId")) {
      TRY(done(c.call("logs", "AssociateKmsKey",
                      json::object({{"logGroupName", name}, {"kmsKeyId", next.get("KmsKeyId")}}))));
    } else {
      TRY(done(c.call("logs", "DisassociateKmsKey", group)));
    }
  }
  if (differs(old, next, "DeletionProtectionEnabled")) {
    TRY(done(
        c.call("logs", "PutLogGroupDeletionProtection",
               json::object({{"logGroupIdentifier", name},
                             {"deletionProtectionEnabled", next.get_bool("DeletionProtectionEnabled")}}))));
  }
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty()) {
    TRY(done(c.call("logs", "TagResource",
                    json::object({{"resourceArn", arn(c, name)}, {"tags", tag_map(change.set)}}))));
  }
  if (!change.remove.array().empty()) {
    TRY(done(c.call("logs", "UntagResource",
                    json::object({{"resourceArn", arn(c, name)}, {"tagKeys", change.remove}}))));
  }
  return {};
}

Result<void> remove(const Context& c, const std::string& name, const Value&) {
  return unless_missing(c.call("logs", "DeleteLogGroup", json::object({{"logGroupName", name}})));
}

Result<Value> attributes(const Context& c, const std::string& name, const Value&) {
  return json::object({{"Arn", arn(c, name) + ":*"}});
}

Result<std::string> find(const Context& c, const Value& p) {
  const std::string name = c.name(p, "LogGroupName", 512);
  const Value out = TRY(c.call("logs", "DescribeLogGroups", json::object({{"logGroupNamePrefix", name}})));
  for (const auto& group : out.get_array("logGroups")) {
    if (group.get("logGroupName") == name && group.get_int("creationTime") + 1000 >= c.started) return name;
  }
  return std::string();
}

}  // namespace

void add_logs(Handlers& h) {
  h["AWS::Logs::LogGroup"] = {.name_property = "LogGroupName",
                              .make = make,
                              .apply = apply,
                              .remove = remove,
                              .attributes = attributes,
                              .find = find};
}

}  // namespace bastide::services::cfn
