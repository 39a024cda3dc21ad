// AWS::KMS::Key and AWS::KMS::Alias.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_KMS.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Value kms_tags(const Value& tags) {
  Value out = json::array();
  for (const auto& tag : tags.array())
    out.push(json::object({{"TagKey", tag.get("Key")}, {"TagValue", tag.get("Value")}}));
  return out;
}

Value key_attributes_of(const Value& answer) {
  const Value* meta = answer.find("KeyMetadata");
  return meta == nullptr ? json::object() : pick(*meta, {"Arn", "KeyId"});
}

Result<Made> make_key(const Context& c, const Value& p) {
  Value in = pick(p, {"Description", "KeySpec", "KeyUsage", "MultiRegion", "Origin"});
  if (const Value* policy = p.find("KeyPolicy")) in["Policy"] = document(*policy);
  if (const Value* bypass = p.find("BypassPolicyLockoutSafetyCheck"))
    in["BypassPolicyLockoutSafetyCheck"] = *bypass;
  in["Tags"] = kms_tags(c.tags(p, true));
  const Value out = TRY(c.call("kms", "CreateKey", std::move(in)));
  Value attributes = key_attributes_of(out);
  const std::string id = attributes.get("KeyId");
  return Made{id, std::move(attributes)};
}

Result<void> apply_rotation(const Context& c, const std::string& id, const Value& old, const Value& next) {
  const bool on = next.get_bool("EnableKeyRotation"), was = old.get_bool("EnableKeyRotation");
  if (on && (!was || differs(old, next, "RotationPeriodInDays"))) {
    Value in = json::object({{"KeyId", id}});
    if (const Value* days = next.find("RotationPeriodInDays")) in["RotationPeriodInDays"] = *days;
    return done(c.call("kms", "EnableKeyRotation", std::move(in)));
  }
  if (!on && was) return done(c.call("kms", "DisableKeyRotation", json::object({{"KeyId", id}})));
  return {};
}

Result<void> apply_key(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (!old.is_null()) {
    for (const char* fixed : {"KeySpec", "KeyUsage", "MultiRegion", "Origin"}) {
      if (differs(old, next, fixed)) return not_updatable(c, fixed);
    }
    if (differs(old, next, "Description")) {
      TRY(done(c.call("kms", "UpdateKeyDescription",
                      json::object({{"KeyId", id}, {"Description", next.get("Description")}}))));
    }
    if (differs(old, next, "KeyPolicy") && next.has("KeyPolicy")) {
      Value in = json::object(
          {{"KeyId", id}, {"PolicyName", "default"}, {"Policy", document(*next.find("KeyPolicy"))}});
      if (const Value* bypass = next.find("BypassPolicyLockoutSafetyCheck"))
        in["BypassPolicyLockoutSafetyCheck"] = *bypass;
      TRY(done(c.call("kms", "PutKeyPolicy", std::move(in))));
    }
    const TagChange change = tag_change(c, old, next);
    if (!change.set.array().empty()) {
      TRY(done(c.call("kms", "TagResource", json::object({{"KeyId", id}, {"Tags", kms_tags(change.set)}}))));
    }
    if (!change.remove.array().empty()) {
      TRY(done(c.call("kms", "UntagResource", json::object({{"KeyId", id}, {"TagKeys", change.remove}}))));
    }
  }
  const bool enabled = next.get_bool("Enabled", true), was = old.get_bool("Enabled", true);
  if (enabled && !was) TRY(done(c.call("kms", "EnableKey", json::object({{"KeyId", id}}))));
  TRY(apply_rotation(c, id, old, next));
  if (!enabled && was) TRY(done(c.call("kms", "DisableKey", json::object({{"KeyId", id}}))));
  return {};
}

Result<void> remove_key(const Context& c, const std::string& id, const Value& p) {
  auto out =
      c.call("kms", "ScheduleKeyDeletion",
             json::object({{"KeyId", id}, {"PendingWindowInDays", p.get_int("PendingWindowInDays", 30)}}));
  if (!out && out.error().code == "KMSInvalidStateException") return {};  // it is pending deletion already
  return unless_missing(std::move(out));
}

Result<Value> key_attributes(const Context& c, const std::string& id, const Value&) {
  const Value out = TRY(c.call("kms", "DescribeKey", json::object({{"KeyId", id}})));
  return key_attributes_of(out);
}

Result<std::string> find_key(const Context& c, const Value&) {
  Value in = json::object();
  for (int page = 0; page < 1000; ++page) {
    const Value out = TRY(c.call("kms", "ListKeys", in));
    for (const auto& key : out.get_array("Keys")) {
      const std::string id = key.get("KeyId");
      if (only_in({id}, c.known).empty()) continue;
      auto tags = c.call("kms", "ListResourceTags", json::object({{"KeyId", id}}));
      if (!tags) continue;  // a key that this principal may not see is not ours
      int ours = 0;
      for (const auto& tag : tags->get_array("Tags")) {
        ours += tag.get("TagKey") == "aws:cloudformation:stack-id" && tag.get("TagValue") == c.stack_id;
        ours += tag.get("TagKey") == "aws:cloudformation:logical-id" && tag.get("TagValue") == c.logical;
      }
      if (ours == 2) return id;
    }
    if (!out.get_bool("Truncated")) break;
    in["Marker"] = out.get("NextMarker");
  }
  return std::string();
}

// ---- Alias

Result<Made> make_alias(const Context& c, const Value& p) {
  TRY(done(c.call("kms", "CreateAlias", pick(p, {"AliasName", "TargetKeyId"}))));
  return Made{p.get("AliasName"), json::object()};
}

Result<void> apply_alias(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  return done(c.call("kms", "UpdateAlias",
                     json::object({{"AliasName", name}, {"TargetKeyId", next.get("TargetKeyId")}})));
}

Result<void> remove_alias(const Context& c, const std::string& name, const Value&) {
  return unless_missing(c.call("kms", "DeleteAlias", json::object({{"AliasName", name}})));
}

Result<Value> no_attributes(const Context&, const std::string&, const Value&) { return json::object(); }

// It is ours when it points where the template says.
Result<std::string> find_alias(const Context& c, const Value& p) {
  auto out = c.call("kms", "DescribeKey", json::object({{"KeyId", p.get("AliasName")}}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  const Value key = key_attributes_of(*out);
  const std::string target = p.get("TargetKeyId");
  return target == key.get("KeyId") || target == key.get("Arn") ? p.get("AliasName") : std::string();
}

}  // namespace

void add_kms(Handlers& h) {
  h["AWS::KMS::Key"] = {.make = make_key,
                        .apply = apply_key,
                        .remove = remove_key,
                        .attributes = key_attributes,
                        .find = find_key};
  h["AWS::KMS::Alias"] = {.name_property = "AliasName",
                          .make = make_alias,
                          .apply = apply_alias,
                          .remove = remove_alias,
                          .attributes = no_attributes,
                          .find = find_alias};
}

}  // namespace bastide::services::cfn
