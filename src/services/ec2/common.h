// What the operations of EC2 share: ids, look-ups that answer EC2's errors, tags of a request. Inside a
// Writer or Reader.
#pragma once

#include <string>
#include <vector>

#include "aws/call.h"
#include "base/json.h"
#include "base/result.h"
#include "services/ec2/filter.h"
#include "store/database.h"

namespace bastide::services::ec2 {

struct KindOf {
  const char* prefix;  // of ids
  const char* kind;    // in the store
  const char* type;    // EC2's resource type, of tags and ARNs
  const char* id_member;
  const char* not_found;  // error code
  const char* malformed;
  const char* word;  // of its messages
};
inline constexpr KindOf kVpc{
    "vpc", "ec2.vpc", "vpc", "VpcId", "InvalidVpcID.NotFound", "InvalidVpcId.Malformed", "vpc"};
inline constexpr KindOf kSubnet{
    "subnet", "ec2.subnet", "subnet", "SubnetId", "InvalidSubnetID.NotFound", "InvalidSubnetId.Malformed",
    "subnet"};
inline constexpr KindOf kRouteTable{"rtb",
                                    "ec2.route_table",
                                    "route-table",
                                    "RouteTableId",
                                    "InvalidRouteTableID.NotFound",
                                    "InvalidRouteTableId.Malformed",
                                    "routeTable"};
inline constexpr KindOf kGateway{"igw",
                                 "ec2.internet_gateway",
                                 "internet-gateway",
                                 "InternetGatewayId",
                                 "InvalidInternetGatewayID.NotFound",
                                 "InvalidInternetGatewayId.Malformed",
                                 "internetGateway"};
inline constexpr KindOf kGroup{"sg",
                               "ec2.security_group",
                               "security-group",
                               "GroupId",
                               "InvalidGroup.NotFound",
                               "InvalidGroupId.Malformed",
                               "security group"};
inline constexpr KindOf kInterface{"eni",
                                   "ec2.network_interface",
                                   "network-interface",
                                   "NetworkInterfaceId",
                                   "InvalidNetworkInterfaceID.NotFound",
                                   "InvalidNetworkInterfaceId.Malformed",
                                   "networkInterface"};
inline constexpr KindOf kPeering{"pcx",
                                 "ec2.vpc_peering_connection",
                                 "vpc-peering-connection",
                                 "VpcPeeringConnectionId",
                                 "InvalidVpcPeeringConnectionID.NotFound",
                                 "InvalidVpcPeeringConnectionId.Malformed",
                                 "vpcPeeringConnection"};
const std::vector<const KindOf*>& kinds();

std::string new_id(std::string_view prefix);  // prefix-, 17 hexadecimal digits
store::Key key_of(const aws::Call& call, const KindOf& kind, const std::string& id);
Error not_found(const KindOf& kind, const std::string& id);

Result<json::Value> load(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                         const std::string& id);
// One that this account asked for or was asked for.
Result<store::Resource> load_peering(store::Reader& reader, const aws::Call& call, const std::string& id);
Result<void> save(store::Writer& writer, const aws::Call& call, const KindOf& kind, const json::Value& body);
Result<void> remove(store::Writer& writer, const aws::Call& call, const KindOf& kind, const std::string& id);
// All of a kind, of this account and region; those of a VPC where `vpc` is not empty.
Result<std::vector<json::Value>> all(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                                     const std::string& vpc = "");

// The tags that TagSpecifications give to this kind; InvalidParameterValue for those of another kind.
Result<json::Array> tags_of(const json::Value& request, const KindOf& kind);
Result<void> check_tags(const json::Array& tags);

// A Describe operation: by ids (NotFound for those that are not there), filters and pages.
Result<json::Value> describe(store::Database& db, const aws::Call& call, const KindOf& kind,
                             const json::Value& request, const std::string& ids_member,
                             const std::string& list_member, const FilterPaths& paths);

std::vector<std::string> zones(const std::string& region);
std::string zone_id(const std::string& zone);  // "us-east-1a" -> "use1-az1"

// First versions of what a new VPC comes with.
Result<std::string> make_route_table(store::Writer& writer, const aws::Call& call, const std::string& vpc,
                                     const std::string& cidr, bool main, json::Array tags);
Result<std::string> make_group(store::Writer& writer, const aws::Call& call, const std::string& vpc,
                               const std::string& name, const std::string& description, json::Array tags);

}  // namespace bastide::services::ec2
