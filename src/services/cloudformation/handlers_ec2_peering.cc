// AWS::EC2::VPCPeeringConnection.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpcpeeringconnection.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

std::string status(const Value& peering) {
  const Value* s = peering.find("Status");
  return s == nullptr ? "" : s->get("Code");
}

// The other side's consent: by its role where the template names one, by the same account's own right else.
Result<void> accept(const Context& c, const std::string& id, const Value& p) {
  const Value input = json::object({{"VpcPeeringConnectionId", id}});
  const std::string role = p.get("PeerRoleArn"), owner = p.get("PeerOwnerId", c.account);
  if (role.empty()) {
    if (owner != c.account) return {};  // waits for somebody over there
    return done(c.call("ec2", "AcceptVpcPeeringConnection", input));
  }
  const Value session = TRY(c.call("sts", "AssumeRole",
                                   json::object({{"RoleArn", role}, {"RoleSessionName", "AWSCloudFormation"}})));
  const Value *user = session.find("AssumedRoleUser"), *credentials = session.find("Credentials");
  if (user == nullptr || credentials == nullptr) return error("STS answered no credentials");
  aws::Principal there;
  there.kind = aws::Principal::Kind::assumed_role;
  there.account = owner;
  there.arn = user->get("Arn");
  there.id = user->get("AssumedRoleId");
  there.name = role.substr(role.rfind('/') + 1);
  there.role_arn = role;
  there.access_key_id = credentials->get("AccessKeyId");
  return done(c.client->call(there, owner, c.region, "ec2", "AcceptVpcPeeringConnection", input));
}

Result<Made> make_peering(const Context& c, const Value& p) {
  Value in = pick(p, {"VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion"});
  in["TagSpecifications"] = json::array(
      {json::object({{"ResourceType", "vpc-peering-connection"}, {"Tags", c.tags(p, true)}})});
  const Value out = TRY(c.call("ec2", "CreateVpcPeeringConnection", std::move(in)));
  const Value* made = out.find("VpcPeeringConnection");
  if (made == nullptr) return error("an answer without VpcPeeringConnection");
  const std::string id = made->get("VpcPeeringConnectionId");
  if (status(*made) == "failed") {
    (void)unless_missing(c.call("ec2", "DeleteVpcPeeringConnection", json::object({{"VpcPeeringConnectionId", id}}))).ok();
    return fault("NotStabilized", "VpcPeeringConnection " + id + " failed to stabilize: incorrect VPC-ID, Account ID, or overlapping CIDR range");
  }
  if (status(*made) == "pending-acceptance") TRY(accept(c, id, p));
  return Made{id, json::object({{"Id", id}})};
}

Result<void> apply_peering(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  const TagChange tags = tag_change(c, old, next);
  if (!tags.set.array().empty())
    TRY(done(c.call("ec2", "CreateTags", json::object({{"Resources", json::array({id})}, {"Tags", tags.set}}))));
  if (!tags.remove.array().empty()) {
    Value keys = json::array();
    for (const auto& key : tags.remove.array()) keys.push(json::object({{"Key", key}}));
    TRY(done(c.call("ec2", "DeleteTags",
                    json::object({{"Resources", json::array({id})}, {"Tags", std::move(keys)}}))));
  }
  return {};
}

Result<void> remove_peering(const Context& c, const std::string& id, const Value&) {
  return unless_missing(
      c.call("ec2", "DeleteVpcPeeringConnection", json::object({{"VpcPeeringConnectionId", id}})));
}

Result<Value> peering_attributes(const Context&, const std::string& id, const Value&) {
  return json::object({{"Id", id}});
}

}  // namespace

// An interrupted attempt needs no search: asking for the same connection again gives the one that is there.
void add_ec2_peering(Handlers& h) {
  h["AWS::EC2::VPCPeeringConnection"] = {
      .make = make_peering, .apply = apply_peering, .remove = remove_peering, .attributes = peering_attributes};
}

}  // namespace bastide::services::cfn
