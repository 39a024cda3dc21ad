// AWS::EC2::VPC, Subnet, RouteTable, Route, SubnetRouteTableAssociation, InternetGateway,
// VPCGatewayAttachment. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_EC2.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Value filter(const char* name, const std::string& value) {
  return json::object({{"Name", name}, {"Values", json::array({value})}});
}

Value tag_specification(const Context& c, const Value& p, const char* what) {
  return json::array({json::object({{"ResourceType", what}, {"Tags", c.tags(p, true)}})});
}

Result<void> retag(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty()) {
    TRY(done(
        c.call("ec2", "CreateTags", json::object({{"Resources", json::array({id})}, {"Tags", change.set}}))));
  }
  if (!change.remove.array().empty()) {
    Value keys = json::array();
    for (const auto& key : change.remove.array()) keys.push(json::object({{"Key", key}}));
    TRY(done(c.call("ec2", "DeleteTags",
                    json::object({{"Resources", json::array({id})}, {"Tags", std::move(keys)}}))));
  }
  return {};
}

// What an interrupted attempt tagged as its own.
Result<std::string> find_tagged(const Context& c, const char* operation, const char* list, const char* id) {
  const Value out = TRY(c.call(
      "ec2", operation,
      json::object({{"Filters", json::array({filter("tag:aws:cloudformation:stack-id", c.stack_id),
                                             filter("tag:aws:cloudformation:logical-id", c.logical)})}})));
  for (const auto& one : out.get_array(list)) {
    if (!only_in({one.get(id)}, c.known).empty()) return one.get(id);
  }
  return std::string();
}

Result<Value> one(const Context& c, const char* operation, const char* list, const char* ids,
                  const std::string& id) {
  const Value out = TRY(c.call("ec2", operation, json::object({{ids, json::array({id})}})));
  if (out.get_array(list).empty()) return fault("NotFound", id + " does not exist");
  return out.get_array(list)[0];
}

Result<std::string> made_id(const Value& out, const char* member, const char* id) {
  const Value* v = out.find(member);
  if (v == nullptr || v->get(id).empty()) return error(std::string("an answer without ") + id);
  return v->get(id);
}

// ---- VPC

Result<Made> make_vpc(const Context& c, const Value& p) {
  Value in = pick(p, {"CidrBlock", "InstanceTenancy"});
  in["TagSpecifications"] = tag_specification(c, p, "vpc");
  const Value out = TRY(c.call("ec2", "CreateVpc", std::move(in)));
  const std::string id = TRY(made_id(out, "Vpc", "VpcId"));
  return Made{id, nullptr};
}

Result<void> apply_vpc(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (!old.is_null() && differs(old, next, "InstanceTenancy")) return not_updatable(c, "InstanceTenancy");
  for (const auto& [key, fallback] :
       {std::pair{"EnableDnsSupport", true}, std::pair{"EnableDnsHostnames", false}}) {
    const bool wanted = next.get_bool(key, fallback);
    if (wanted == old.get_bool(key, fallback)) continue;
    TRY(done(c.call("ec2", "ModifyVpcAttribute",
                    json::object({{"VpcId", id}, {key, json::object({{"Value", wanted}})}}))));
  }
  return retag(c, id, old, next);
}

Result<void> remove_vpc(const Context& c, const std::string& id, const Value&) {
  return unless_missing(c.call("ec2", "DeleteVpc", json::object({{"VpcId", id}})));
}

Result<Value> vpc_attributes(const Context& c, const std::string& id, const Value& p) {
  Value out = json::object({{"VpcId", id}, {"CidrBlock", p.get("CidrBlock")}});
  const Value vpc = TRY(one(c, "DescribeVpcs", "Vpcs", "VpcIds", id));
  Value blocks = json::array();
  for (const auto& a : vpc.get_array("CidrBlockAssociationSet")) blocks.push(a.get("AssociationId"));
  out["CidrBlockAssociations"] = std::move(blocks);
  out["Ipv6CidrBlocks"] = json::array();
  const Value groups = TRY(c.call(
      "ec2", "DescribeSecurityGroups",
      json::object({{"Filters", json::array({filter("vpc-id", id), filter("group-name", "default")})}})));
  if (!groups.get_array("SecurityGroups").empty()) {
    out["DefaultSecurityGroup"] = groups.get_array("SecurityGroups")[0].get("GroupId");
  }
  auto acls =
      c.call("ec2", "DescribeNetworkAcls",
             json::object({{"Filters", json::array({filter("vpc-id", id), filter("default", "true")})}}));
  if (acls && !acls->get_array("NetworkAcls").empty()) {
    out["DefaultNetworkAcl"] = acls->get_array("NetworkAcls")[0].get("NetworkAclId");
  }
  return out;
}

Result<std::string> find_vpc(const Context& c, const Value&) {
  return find_tagged(c, "DescribeVpcs", "Vpcs", "VpcId");
}

// ---- Subnet

Result<Made> make_subnet(const Context& c, const Value& p) {
  Value in = pick(p, {"AvailabilityZone", "CidrBlock", "VpcId"});
  in["TagSpecifications"] = tag_specification(c, p, "subnet");
  const Value out = TRY(c.call("ec2", "CreateSubnet", std::move(in)));
  const std::string id = TRY(made_id(out, "Subnet", "SubnetId"));
  Value attributes = pick(*out.find("Subnet"), {"SubnetId", "AvailabilityZone", "CidrBlock", "VpcId"});
  return Made{id, std::move(attributes)};
}

Result<void> apply_subnet(const Context& c, const std::string& id, const Value& old, const Value& next) {
  const bool wanted = next.get_bool("MapPublicIpOnLaunch");
  if (wanted != old.get_bool("MapPublicIpOnLaunch")) {
    TRY(done(c.call(
        "ec2", "ModifySubnetAttribute",
        json::object({{"SubnetId", id}, {"MapPublicIpOnLaunch", json::object({{"Value", wanted}})}}))));
  }
  return retag(c, id, old, next);
}

Result<void> remove_subnet(const Context& c, const std::string& id, const Value&) {
  return unless_missing(c.call("ec2", "DeleteSubnet", json::object({{"SubnetId", id}})));
}

Result<Value> subnet_attributes(const Context& c, const std::string& id, const Value&) {
  const Value subnet = TRY(one(c, "DescribeSubnets", "Subnets", "SubnetIds", id));
  return pick(subnet, {"SubnetId", "AvailabilityZone", "CidrBlock", "VpcId"});
}

Result<std::string> find_subnet(const Context& c, const Value&) {
  return find_tagged(c, "DescribeSubnets", "Subnets", "SubnetId");
}

// ---- RouteTable

Result<Made> make_table(const Context& c, const Value& p) {
  Value in = pick(p, {"VpcId"});
  in["TagSpecifications"] = tag_specification(c, p, "route-table");
  const Value out = TRY(c.call("ec2", "CreateRouteTable", std::move(in)));
  const std::string id = TRY(made_id(out, "RouteTable", "RouteTableId"));
  return Made{id, json::object({{"RouteTableId", id}})};
}

Result<void> remove_table(const Context& c, const std::string& id, const Value&) {
  return unless_missing(c.call("ec2", "DeleteRouteTable", json::object({{"RouteTableId", id}})));
}

Result<Value> table_attributes(const Context&, const std::string& id, const Value&) {
  return json::object({{"RouteTableId", id}});
}

Result<std::string> find_table(const Context& c, const Value&) {
  return find_tagged(c, "DescribeRouteTables", "RouteTables", "RouteTableId");
}

// ---- Route

std::string route_id(const Value& p) { return p.get("RouteTableId") + "|" + p.get("DestinationCidrBlock"); }

Result<void> put_route(const Context& c, const char* operation, const Value& p) {
  return done(c.call("ec2", operation,
                     pick(p, {"DestinationCidrBlock", "GatewayId", "NatGatewayId", "NetworkInterfaceId",
                              "RouteTableId", "VpcPeeringConnectionId"})));
}

Result<Made> make_route(const Context& c, const Value& p) {
  TRY(put_route(c, "CreateRoute", p));
  return Made{route_id(p), json::object({{"CidrBlock", p.get("DestinationCidrBlock")}})};
}

Result<void> apply_route(const Context& c, const std::string&, const Value& old, const Value& next) {
  return old.is_null() ? Result<void>() : put_route(c, "ReplaceRoute", next);
}

Result<void> remove_route(const Context& c, const std::string&, const Value& p) {
  return unless_missing(c.call("ec2", "DeleteRoute", pick(p, {"DestinationCidrBlock", "RouteTableId"})));
}

Result<Value> route_attributes(const Context&, const std::string&, const Value& p) {
  return json::object({{"CidrBlock", p.get("DestinationCidrBlock")}});
}

Result<std::string> find_route(const Context& c, const Value& p) {
  auto table = one(c, "DescribeRouteTables", "RouteTables", "RouteTableIds", p.get("RouteTableId"));
  if (!table) return std::string();
  for (const auto& route : table->get_array("Routes")) {
    const bool same = route.get("DestinationCidrBlock") == p.get("DestinationCidrBlock");
    if (same && route.get("GatewayId") == p.get("GatewayId") &&
        route.get("VpcPeeringConnectionId") == p.get("VpcPeeringConnectionId") &&
        route.get("NatGatewayId") == p.get("NatGatewayId"))
      return route_id(p);
  }
  return std::string();
}

// ---- SubnetRouteTableAssociation

Result<Made> make_association(const Context& c, const Value& p) {
  const Value out = TRY(c.call("ec2", "AssociateRouteTable", pick(p, {"RouteTableId", "SubnetId"})));
  return Made{out.get("AssociationId"), json::object({{"Id", out.get("AssociationId")}})};
}

Result<void> remove_association(const Context& c, const std::string& id, const Value&) {
  return unless_missing(c.call("ec2", "DisassociateRouteTable", json::object({{"AssociationId", id}})));
}

Result<Value> association_attributes(const Context&, const std::string& id, const Value&) {
  return json::object({{"Id", id}});
}

Result<std::string> find_association(const Context& c, const Value& p) {
  auto table = one(c, "DescribeRouteTables", "RouteTables", "RouteTableIds", p.get("RouteTableId"));
  if (!table) return std::string();
  for (const auto& a : table->get_array("Associations")) {
    if (a.get("SubnetId") == p.get("SubnetId")) return a.get("RouteTableAssociationId");
  }
  return std::string();
}

// ---- InternetGateway and its attachment

Result<Made> make_gateway(const Context& c, const Value& p) {
  const Value out =
      TRY(c.call("ec2", "CreateInternetGateway",
                 json::object({{"TagSpecifications", tag_specification(c, p, "internet-gateway")}})));
  const std::string id = TRY(made_id(out, "InternetGateway", "InternetGatewayId"));
  return Made{id, json::object({{"InternetGatewayId", id}})};
}

Result<void> remove_gateway(const Context& c, const std::string& id, const Value&) {
  return unless_missing(c.call("ec2", "DeleteInternetGateway", json::object({{"InternetGatewayId", id}})));
}

Result<Value> gateway_attributes(const Context&, const std::string& id, const Value&) {
  return json::object({{"InternetGatewayId", id}});
}

Result<std::string> find_gateway(const Context& c, const Value&) {
  return find_tagged(c, "DescribeInternetGateways", "InternetGateways", "InternetGatewayId");
}

Result<Made> make_attachment(const Context& c, const Value& p) {
  TRY(done(c.call("ec2", "AttachInternetGateway", pick(p, {"InternetGatewayId", "VpcId"}))));
  return Made{"IGW|" + p.get("VpcId"), json::object({{"AttachmentType", "IGW"}})};
}

Result<void> remove_attachment(const Context& c, const std::string&, const Value& p) {
  return unless_missing(c.call("ec2", "DetachInternetGateway", pick(p, {"InternetGatewayId", "VpcId"})));
}

Result<void> apply_attachment(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (old.is_null() || !differs(old, next, "InternetGatewayId")) return {};
  TRY(remove_attachment(c, id, old));
  return done(c.call("ec2", "AttachInternetGateway", pick(next, {"InternetGatewayId", "VpcId"})));
}

Result<Value> attachment_attributes(const Context&, const std::string&, const Value&) {
  return json::object({{"AttachmentType", "IGW"}});
}

Result<std::string> find_attachment(const Context& c, const Value& p) {
  auto gateway = one(c, "DescribeInternetGateways", "InternetGateways", "InternetGatewayIds",
                     p.get("InternetGatewayId"));
  if (!gateway) return std::string();
  for (const auto& a : gateway->get_array("Attachments")) {
    if (a.get("VpcId") == p.get("VpcId")) return "IGW|" + p.get("VpcId");
  }
  return std::string();
}

}  // namespace

void add_ec2(Handlers& h) {
  h["AWS::EC2::VPC"] = {.make = make_vpc,
                        .apply = apply_vpc,
                        .remove = remove_vpc,
                        .attributes = vpc_attributes,
                        .find = find_vpc};
  h["AWS::EC2::Subnet"] = {.make = make_subnet,
                           .apply = apply_subnet,
                           .remove = remove_subnet,
                           .attributes = subnet_attributes,
                           .find = find_subnet};
  h["AWS::EC2::RouteTable"] = {.make = make_table,
                               .apply = retag,
                               .remove = remove_table,
                               .attributes = table_attributes,
                               .find = find_table};
  h["AWS::EC2::Route"] = {.make = make_route,
                          .apply = apply_route,
                          .remove = remove_route,
                          .attributes = route_attributes,
                          .find = find_route};
  h["AWS::EC2::SubnetRouteTableAssociation"] = {.make = make_association,
                                                .remove = remove_association,
                                                .attributes = association_attributes,
                                                .find = find_association};
  h["AWS::EC2::InternetGateway"] = {.make = make_gateway,
                                    .apply = retag,
                                    .remove = remove_gateway,
                                    .attributes = gateway_attributes,
                                    .find = find_gateway};
  h["AWS::EC2::VPCGatewayAttachment"] = {.make = make_attachment,
                                         .apply = apply_attachment,
                                         .remove = remove_attachment,
                                         .attributes = attachment_attributes,
                                         .find = find_attachment};
}

}  // namespace bastide::services::cfn
