// AWS::EC2::SecurityGroup, SecurityGroupIngress, SecurityGroupEgress.
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

// A rule of a template as EC2's IpPermission.
Value permission(const Value& rule) {
  Value out = json::object({{"IpProtocol", rule.get("IpProtocol")}});
  for (const char* port : {"FromPort", "ToPort"}) {
    if (const Value* v = rule.find(port)) out[port] = *v;
  }
  auto with_description = [&](Value v) {
    if (rule.has("Description")) v["Description"] = rule.get("Description");
    return json::array({std::move(v)});
  };
  if (rule.has("CidrIp")) out["IpRanges"] = with_description(json::object({{"CidrIp", rule.get("CidrIp")}}));
  if (rule.has("CidrIpv6"))
    out["Ipv6Ranges"] = with_description(json::object({{"CidrIpv6", rule.get("CidrIpv6")}}));
  for (const char* key : {"SourcePrefixListId", "DestinationPrefixListId"}) {
    if (rule.has(key))
      out["PrefixListIds"] = with_description(json::object({{"PrefixListId", rule.get(key)}}));
  }
  for (const char* key : {"SourceSecurityGroupId", "DestinationSecurityGroupId"}) {
    if (!rule.has(key)) continue;
    Value pair = json::object({{"GroupId", rule.get(key)}});
    if (rule.has("SourceSecurityGroupOwnerId")) pair["UserId"] = rule.get("SourceSecurityGroupOwnerId");
    out["UserIdGroupPairs"] = with_description(std::move(pair));
  }
  return out;
}

Value permissions(const Value& p, const char* list) {
  Value out = json::array();
  for (const auto& rule : p.get_array(list)) out.push(permission(rule));
  return out;
}

Value without(const Value& these, const Value& not_those) {
  Value out = json::array();
  for (const auto& one : these.array()) {
    bool there = false;
    for (const auto& other : not_those.array()) there = there || one == other;
    if (!there) out.push(one);
  }
  return out;
}

Value everything_out() {
  return json::array({permission(json::object({{"IpProtocol", "-1"}, {"CidrIp", "0.0.0.0/0"}}))});
}

Result<void> change(const Context& c, const char* operation, const std::string& group, const Value& rules) {
  if (rules.array().empty()) return {};
  auto out = c.call("ec2", operation, json::object({{"GroupId", group}, {"IpPermissions", rules}}));
  return std::string_view(operation).starts_with("Revoke") ? unless_missing(std::move(out))
                                                           : unless_existing(std::move(out));
}

Result<Made> make_group(const Context& c, const Value& p) {
  Value in =
      json::object({{"GroupName", c.name(p, "GroupName", 255)}, {"Description", p.get("GroupDescription")}});
  if (p.has("VpcId")) in["VpcId"] = p.get("VpcId");
  in["TagSpecifications"] =
      json::array({json::object({{"ResourceType", "security-group"}, {"Tags", c.tags(p, true)}})});
  const Value out = TRY(c.call("ec2", "CreateSecurityGroup", std::move(in)));
  const std::string id = out.get("GroupId");
  return Made{id, json::object({{"Id", id}, {"GroupId", id}, {"VpcId", p.get("VpcId")}})};
}

// EC2 gives a new group a rule that lets everything out; a template that lists its own egress means no other.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html
Value egress(const Value& p) {
  if (p.is_null() || p.get_array("SecurityGroupEgress").empty()) return everything_out();
  return permissions(p, "SecurityGroupEgress");
}

Result<void> apply_group(const Context& c, const std::string& id, const Value& old, const Value& next) {
  const Value in_before = permissions(old, "SecurityGroupIngress"),
              in_after = permissions(next, "SecurityGroupIngress");
  const Value out_before = egress(old), out_after = egress(next);
  TRY(change(c, "AuthorizeSecurityGroupIngress", id, without(in_after, in_before)));
  TRY(change(c, "RevokeSecurityGroupIngress", id, without(in_before, in_after)));
  TRY(change(c, "RevokeSecurityGroupEgress", id, without(out_before, out_after)));
  TRY(change(c, "AuthorizeSecurityGroupEgress", id, without(out_after, out_before)));
  if (old.is_null()) return {};
  const TagChange tags = tag_change(c, old, next);
  if (!tags.set.array().empty()) {
    TRY(done(
        c.call("ec2", "CreateTags", json::object({{"Resources", json::array({id})}, {"Tags", tags.set}}))));
  }
  if (!tags.remove.array().empty()) {
    Value keys = json::array();
    for (const auto& key : tags.remove.array()) keys.push(json::object({{"Key", key}}));
    TRY(done(c.call("ec2", "DeleteTags",
                    json::object({{"Resources", json::array({id})}, {"Tags", std::move(keys)}}))));
  }
  return {};
}

Result<void> remove_group(const Context& c, const std::string& id, const Value&) {
  return unless_missing(c.call("ec2", "DeleteSecurityGroup", json::object({{"GroupId", id}})));
}

Result<Value> group_attributes(const Context&, const std::string& id, const Value& p) {
  return json::object({{"Id", id}, {"GroupId", id}, {"VpcId", p.get("VpcId")}});
}

Result<std::string> find_group(const Context& c, const Value&) {
  Value filters = json::array(
      {json::object({{"Name", "tag:aws:cloudformation:stack-id"}, {"Values", json::array({c.stack_id})}}),
       json::object({{"Name", "tag:aws:cloudformation:logical-id"}, {"Values", json::array({c.logical})}})});
  const Value out =
      TRY(c.call("ec2", "DescribeSecurityGroups", json::object({{"Filters", std::move(filters)}})));
  for (const auto& group : out.get_array("SecurityGroups")) {
    if (!only_in({group.get("GroupId")}, c.known).empty()) return group.get("GroupId");
  }
  return std::string();
}

// ---- rules of their own

template <bool ingress>
Result<Made> make_rule(const Context& c, const Value& p) {
  auto out =
      c.call("ec2", ingress ? "AuthorizeSecurityGroupIngress" : "AuthorizeSecurityGroupEgress",
             json::object({{"GroupId", p.get("GroupId")}, {"IpPermissions", json::array({permission(p)})}}));
  if (!out && !(c.resumed && is_existing(out.error()))) return std::move(out).error();
  std::string id = c.generated_name(255);
  if (out && !out->get_array("SecurityGroupRules").empty()) {
    id = out->get_array("SecurityGroupRules")[0].get("SecurityGroupRuleId", id);
  }
  return Made{id, json::object({{"Id", id}})};
}

template <bool ingress>
Result<void> remove_rule(const Context& c, const std::string&, const Value& p) {
  return change(c, ingress ? "RevokeSecurityGroupIngress" : "RevokeSecurityGroupEgress", p.get("GroupId"),
                json::array({permission(p)}));
}

// Only the description can change in place.
template <bool ingress>
Result<void> apply_rule(const Context& c, const std::string&, const Value& old, const Value& next) {
  if (old.is_null() || !differs(old, next, "Description")) return {};
  return done(c.call(
      "ec2",
      ingress ? "UpdateSecurityGroupRuleDescriptionsIngress" : "UpdateSecurityGroupRuleDescriptionsEgress",
      json::object({{"GroupId", next.get("GroupId")}, {"IpPermissions", json::array({permission(next)})}})));
}

Result<Value> rule_attributes(const Context&, const std::string& id, const Value&) {
  return json::object({{"Id", id}});
}

}  // namespace

void add_ec2_groups(Handlers& h) {
  h["AWS::EC2::SecurityGroup"] = {.name_property = "GroupName",
                                  .make = make_group,
                                  .apply = apply_group,
                                  .remove = remove_group,
                                  .attributes = group_attributes,
                                  .find = find_group};
  h["AWS::EC2::SecurityGroupIngress"] = {.make = make_rule<true>,
                                         .apply = apply_rule<true>,
                                         .remove = remove_rule<true>,
                                         .attributes = rule_attributes};
  h["AWS::EC2::SecurityGroupEgress"] = {.make = make_rule<false>,
                                        .apply = apply_rule<false>,
                                        .remove = remove_rule<false>,
                                        .attributes = rule_attributes};
}

}  // namespace bastide::services::cfn
