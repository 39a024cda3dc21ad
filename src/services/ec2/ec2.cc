#include "services/ec2/ec2.h"

#include "aws/arn.h"
#include "gen/ec2.h"

namespace bastide::services {
namespace {

namespace op = model::ec2::op;

// What an operation is authorised against: the resources that the request names, else "*".
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
template <class Op>
aws::Rule<Op> rule(const char* action, std::initializer_list<std::pair<const char*, const char*>> members) {
  std::vector<std::pair<std::string, std::string>> named(members.begin(), members.end());
  return {action,
          [named](const aws::Call& call,
                  const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
            auto in = model::request_body<Op>(request);
            std::vector<aws::Target> out;
            for (const auto& [member, type] : named) {
              auto id = in.get(member);
              if (id.empty()) continue;
              aws::Target target;
              target.resource = aws::make_arn("ec2", call.region, call.account, type + "/" + id);
              out.push_back(std::move(target));
            }
            if (out.empty()) out.emplace_back();
            return out;
          }};
}

template <class Op>
aws::Rule<Op> made(const char* action, const char* type) {
  return {action,
          [type](const aws::Call& call, const typename Op::Request&) -> Result<std::vector<aws::Target>> {
            aws::Target target;
            target.resource = aws::make_arn("ec2", call.region, call.account, std::string(type) + "/*");
            return std::vector<aws::Target>{target};
          }};
}

}  // namespace

#define OFFER(name, function, ...) \
  registry.add<op::name>(this, &Ec2::run<op::name, &Ec2::function>, __VA_ARGS__)
#define DESCRIBE(name, function) OFFER(name, function, {"ec2:" #name, {}})
#define NAMED(name, function, ...) OFFER(name, function, rule<op::name>("ec2:" #name, __VA_ARGS__))

void Ec2::offer(aws::Registry& registry) {
  OFFER(CreateVpc, create_vpc, made<op::CreateVpc>("ec2:CreateVpc", "vpc"));
  NAMED(DeleteVpc, delete_vpc, {{"VpcId", "vpc"}});
  DESCRIBE(DescribeVpcs, describe_vpcs);
  NAMED(ModifyVpcAttribute, modify_vpc_attribute, {{"VpcId", "vpc"}});
  NAMED(DescribeVpcAttribute, describe_vpc_attribute, {{"VpcId", "vpc"}});

  NAMED(CreateSubnet, create_subnet, {{"VpcId", "vpc"}});
  NAMED(DeleteSubnet, delete_subnet, {{"SubnetId", "subnet"}});
  DESCRIBE(DescribeSubnets, describe_subnets);
  NAMED(ModifySubnetAttribute, modify_subnet_attribute, {{"SubnetId", "subnet"}});

  NAMED(CreateRouteTable, create_route_table, {{"VpcId", "vpc"}});
  NAMED(DeleteRouteTable, delete_route_table, {{"RouteTableId", "route-table"}});
  DESCRIBE(DescribeRouteTables, describe_route_tables);
  NAMED(AssociateRouteTable, associate_route_table,
        {{"RouteTableId", "route-table"}, {"SubnetId", "subnet"}});
  DESCRIBE(DisassociateRouteTable, disassociate_route_table);
  NAMED(ReplaceRouteTableAssociation, replace_route_table_association, {{"RouteTableId", "route-table"}});
  NAMED(CreateRoute, create_route, {{"RouteTableId", "route-table"}});
  NAMED(ReplaceRoute, replace_route, {{"RouteTableId", "route-table"}});
  NAMED(DeleteRoute, delete_route, {{"RouteTableId", "route-table"}});

  NAMED(CreateVpcPeeringConnection, create_vpc_peering_connection, {{"VpcId", "vpc"}});
  NAMED(AcceptVpcPeeringConnection, accept_vpc_peering_connection,
        {{"VpcPeeringConnectionId", "vpc-peering-connection"}});
  NAMED(RejectVpcPeeringConnection, reject_vpc_peering_connection,
        {{"VpcPeeringConnectionId", "vpc-peering-connection"}});
  NAMED(DeleteVpcPeeringConnection, delete_vpc_peering_connection,
        {{"VpcPeeringConnectionId", "vpc-peering-connection"}});
  DESCRIBE(DescribeVpcPeeringConnections, describe_vpc_peering_connections);
  NAMED(CreateNetworkInterface, create_network_interface, {{"SubnetId", "subnet"}});
  NAMED(DeleteNetworkInterface, delete_network_interface, {{"NetworkInterfaceId", "network-interface"}});

  OFFER(CreateInternetGateway, create_internet_gateway,
        made<op::CreateInternetGateway>("ec2:CreateInternetGateway", "internet-gateway"));
  NAMED(DeleteInternetGateway, delete_internet_gateway, {{"InternetGatewayId", "internet-gateway"}});
  NAMED(AttachInternetGateway, attach_internet_gateway,
        {{"InternetGatewayId", "internet-gateway"}, {"VpcId", "vpc"}});
  NAMED(DetachInternetGateway, detach_internet_gateway,
        {{"InternetGatewayId", "internet-gateway"}, {"VpcId", "vpc"}});
  DESCRIBE(DescribeInternetGateways, describe_internet_gateways);

  NAMED(CreateSecurityGroup, create_security_group, {{"VpcId", "vpc"}});
  NAMED(DeleteSecurityGroup, delete_security_group, {{"GroupId", "security-group"}});
  DESCRIBE(DescribeSecurityGroups, describe_security_groups);
  DESCRIBE(DescribeSecurityGroupRules, describe_security_group_rules);
  NAMED(AuthorizeSecurityGroupIngress, authorize_ingress, {{"GroupId", "security-group"}});
  NAMED(AuthorizeSecurityGroupEgress, authorize_egress, {{"GroupId", "security-group"}});
  NAMED(RevokeSecurityGroupIngress, revoke_ingress, {{"GroupId", "security-group"}});
  NAMED(RevokeSecurityGroupEgress, revoke_egress, {{"GroupId", "security-group"}});

  DESCRIBE(CreateTags, create_tags);
  DESCRIBE(DeleteTags, delete_tags);
  DESCRIBE(DescribeTags, describe_tags);
  DESCRIBE(DescribeAvailabilityZones, describe_availability_zones);
  DESCRIBE(DescribeRegions, describe_regions);
  DESCRIBE(DescribeAccountAttributes, describe_account_attributes);
  DESCRIBE(DescribeNetworkInterfaces, describe_network_interfaces);
  DESCRIBE(DescribeNatGateways, describe_nat_gateways);
}

}  // namespace bastide::services
