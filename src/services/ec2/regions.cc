#include <algorithm>

#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

namespace {

// The regions that every account has without opting in.
// https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
constexpr const char* kRegions[] = {
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ca-central-1",   "eu-central-1",   "eu-north-1",     "eu-west-1",  "eu-west-2",      "eu-west-3",
    "sa-east-1",      "us-east-1",      "us-east-2",      "us-west-1",  "us-west-2"};

bool wanted(const json::Array& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), json::Value(name)) != names.end();
}

}  // namespace

Result<json::Value> Ec2::describe_regions(aws::Call&, const Json& in) {
  std::vector<Json> regions;
  const auto& names = in.get_array("RegionNames");
  for (const auto& n : names) {
    if (std::none_of(std::begin(kRegions), std::end(kRegions), [&](const char* r) { return Json(r) == n; })) {
      return fault("InvalidParameterValue", "Invalid region: " + n.string());
    }
  }
  for (const char* name : kRegions) {
    if (!wanted(names, name)) continue;
    regions.push_back(json::object({{"RegionName", name},
                                    {"Endpoint", std::string("ec2.") + name + ".amazonaws.com"},
                                    {"OptInStatus", "opt-in-not-required"}}));
  }
  static const FilterPaths paths{
      {"region-name", "RegionName"}, {"endpoint", "Endpoint"}, {"opt-in-status", "OptInStatus"}};
  const auto* filters = in.find("Filters");
  if (filters != nullptr) TRY(apply_filters(*filters, paths, regions));
  return json::object({{"Regions", json::Array(regions.begin(), regions.end())}});
}

Result<json::Value> Ec2::describe_availability_zones(aws::Call& call, const Json& in) {
  std::vector<Json> out;
  const auto& names = in.get_array("ZoneNames");
  const auto all_zones = zones(call.region);
  for (const auto& n : names) {
    if (std::find(all_zones.begin(), all_zones.end(), n.string()) == all_zones.end()) {
      return fault("InvalidParameterValue", "Invalid availability zone: [" + n.string() + "]");
    }
  }
  for (const auto& zone : all_zones) {
    if (!wanted(names, zone) || !wanted(in.get_array("ZoneIds"), zone_id(zone))) continue;
    out.push_back(json::object({{"ZoneName", zone},
                                {"ZoneId", zone_id(zone)},
                                {"RegionName", call.region},
                                {"GroupName", call.region},
                                {"NetworkBorderGroup", call.region},
                                {"State", "available"},
                                {"OptInStatus", "opt-in-not-required"},
                                {"ZoneType", "availability-zone"},
                                {"Messages", json::array()}}));
  }
  static const FilterPaths paths{
      {"zone-name", "ZoneName"},   {"zone-id", "ZoneId"}, {"region-name", "RegionName"},
      {"group-name", "GroupName"}, {"state", "State"},    {"opt-in-status", "OptInStatus"},
      {"zone-type", "ZoneType"}};
  const auto* filters = in.find("Filters");
  if (filters != nullptr) TRY(apply_filters(*filters, paths, out));
  return json::object({{"AvailabilityZones", json::Array(out.begin(), out.end())}});
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAccountAttributes.html
Result<json::Value> Ec2::describe_account_attributes(aws::Call&, const Json& in) {
  const std::pair<const char*, std::vector<const char*>> attributes[] = {
      {"supported-platforms", {"VPC"}}, {"default-vpc", {"none"}},
      {"max-instances", {"0"}},         {"vpc-max-security-groups-per-interface", {"5"}},
      {"max-elastic-ips", {"0"}},       {"vpc-max-elastic-ips", {"0"}}};
  json::Array out;
  for (const auto& [name, values] : attributes) {
    if (!wanted(in.get_array("AttributeNames"), name)) continue;
    json::Array list;
    for (const auto* v : values) list.push_back(json::object({{"AttributeValue", v}}));
    out.push_back(json::object({{"AttributeName", name}, {"AttributeValues", list}}));
  }
  return json::object({{"AccountAttributes", out}});
}

Result<json::Value> Ec2::describe_network_interfaces(aws::Call& call, const Json& in) {
  static const FilterPaths paths{{"network-interface-id", "NetworkInterfaceId"},
                                 {"vpc-id", "VpcId"},
                                 {"subnet-id", "SubnetId"},
                                 {"status", "Status"},
                                 {"private-ip-address", "PrivateIpAddress"},
                                 {"group-id", "Groups.GroupId"},
                                 {"addresses.private-ip-address", "PrivateIpAddresses.PrivateIpAddress"},
                                 {"availability-zone", "AvailabilityZone"},
                                 {"description", "Description"},
                                 {"interface-type", "InterfaceType"},
                                 {"owner-id", "OwnerId"},
                                 {"requester-id", "RequesterId"},
                                 {"attachment.instance-id", "Attachment.InstanceId"}};
  return describe(db_, call, kInterface, in, "NetworkInterfaceIds", "NetworkInterfaces", paths);
}

// There are none: CreateNatGateway is not offered, because nothing here would translate addresses.
Result<json::Value> Ec2::describe_nat_gateways(aws::Call&, const Json& in) {
  const auto& ids = in.get_array("NatGatewayIds");
  if (!ids.empty())
    return fault("NatGatewayNotFound", "The Nat Gateway " + ids[0].string() + " was not found");
  return json::object({{"NatGateways", json::array()}});
}

}  // namespace bastide::services
