#include "services/ec2/cidr.h"
#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

namespace {

constexpr size_t kMaxVpcs = 100;
constexpr size_t kMaxSubnets = 200;

std::string network_key(const aws::Call& call, const std::string& vpc) {
  return call.account + "/" + call.region + "/" + vpc;
}

Error unsupported(std::string_view what) {
  return fault("UnsupportedOperation", "The parameter " + std::string(what) + " is not supported.");
}

bool link_local_or_loopback(const Cidr& range) {
  return range.overlaps(*Cidr::parse("127.0.0.0/8")) || range.overlaps(*Cidr::parse("169.254.0.0/16"));
}

}  // namespace

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html
Result<json::Value> Ec2::create_vpc(aws::Call& call, const Json& in) {
  for (auto* member :
       {"Ipv6CidrBlock", "Ipv6Pool", "Ipv4IpamPoolId", "Ipv6IpamPoolId", "VpcEncryptionControl"}) {
    if (in.has(member)) return unsupported(member);
  }
  if (in.get_bool("AmazonProvidedIpv6CidrBlock")) return unsupported("AmazonProvidedIpv6CidrBlock");
  auto tenancy = in.get("InstanceTenancy", "default");
  if (tenancy != "default") return unsupported("InstanceTenancy=" + tenancy);
  auto text = in.get("CidrBlock");
  if (text.empty())
    return fault("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' must be provided.");
  auto cidr = Cidr::parse(text);
  if (!cidr)
    return fault("InvalidParameterValue",
                 "Value (" + text + ") for parameter cidrBlock is invalid. This is not a valid CIDR block.");
  if (cidr->length < 16 || cidr->length > 28 || link_local_or_loopback(*cidr)) {
    return fault("InvalidVpc.Range", "The CIDR '" + text + "' is invalid.");
  }
  auto tags = TRY(tags_of(in, kVpc));
  Json vpc;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    // One machine: its VPCs share one routing table of the edge, over all accounts and regions.
    auto everyone = TRY(writer.list("*", "*", kVpc.kind));
    size_t own = 0;
    for (const auto& other : everyone) {
      own += other.key.account == call.account && other.key.region == call.region;
      auto range = Cidr::parse(other.body.get("CidrBlock"));
      if (range && range->overlaps(*cidr)) {
        return fault("InvalidVpc.Range",
                     "The CIDR '" + cidr->text() + "' overlaps '" + range->text() +
                         "' of another VPC: the VPCs of one machine, of all accounts, must not overlap.");
      }
    }
    if (own >= kMaxVpcs) return fault("VpcLimitExceeded", "The maximum number of VPCs has been reached.");
    auto id = new_id("vpc");
    vpc = json::object({{"VpcId", id},
                        {"OwnerId", call.account},
                        {"CidrBlock", cidr->text()},
                        {"State", "available"},
                        {"InstanceTenancy", tenancy},
                        {"IsDefault", false},
                        {"DhcpOptionsId", "default"},
                        {"EnableDnsSupport", true},
                        {"EnableDnsHostnames", false},
                        {"Tags", tags}});
    vpc["CidrBlockAssociationSet"] =
        json::array({json::object({{"AssociationId", new_id("vpc-cidr-assoc")},
                                   {"CidrBlock", cidr->text()},
                                   {"CidrBlockState", json::object({{"State", "associated"}})}})});
    TRY(save(writer, call, kVpc, vpc));
    TRY(make_route_table(writer, call, id, cidr->text(), true, {}));
    TRY(make_group(writer, call, id, "default", "default VPC security group", {}));
    return writer.emit(kEc2NetworkTopic, network_key(call, id));
  }));
  return json::object({{"Vpc", vpc}});
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html
Result<json::Value> Ec2::delete_vpc(aws::Call& call, const Json& in) {
  auto id = in.get("VpcId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    TRY(load(writer, call, kVpc, id));
    bool used = false;
    used |= !TRY(all(writer, call, kSubnet, id))
    .empty();
    used |= !TRY(all(writer, call, kInterface, id))
    .empty();
    auto tables = TRY(all(writer, call, kRouteTable, id));
    auto groups = TRY(all(writer, call, kGroup, id));
    for (const auto& p : TRY(all(writer, call, kPeering))) {
      const auto *from = p.find("RequesterVpcInfo"), *status = p.find("Status");
      used |= from != nullptr && from->get("VpcId") == id && status != nullptr && status->get("Code") == "active";
    }
    used |= tables.size() > 1 || groups.size() > 1;
    for (const auto& gateway : TRY(all(writer, call, kGateway))) {
      for (const auto& a : gateway.get_array("Attachments")) used |= a.get("VpcId") == id;
    }
    if (used)
      return fault("DependencyViolation", "The vpc '" + id + "' has dependencies and cannot be deleted.");
    for (const auto& t : tables) TRY(ec2::remove(writer, call, kRouteTable, t.get("RouteTableId")));
    for (const auto& g : groups) TRY(ec2::remove(writer, call, kGroup, g.get("GroupId")));
    TRY(ec2::remove(writer, call, kVpc, id));
    return writer.emit(kEc2NetworkTopic, network_key(call, id));
  }));
  return json::object();
}

Result<json::Value> Ec2::describe_vpcs(aws::Call& call, const Json& in) {
  static const FilterPaths paths{
      {"vpc-id", "VpcId"},
      {"cidr", "CidrBlock"},
      {"cidr-block", "CidrBlock"},
      {"cidrBlock", "CidrBlock"},
      {"state", "State"},
      {"is-default", "IsDefault"},
      {"isDefault", "IsDefault"},
      {"owner-id", "OwnerId"},
      {"dhcp-options-id", "DhcpOptionsId"},
      {"cidr-block-association.cidr-block", "CidrBlockAssociationSet.CidrBlock"},
      {"cidr-block-association.association-id", "CidrBlockAssociationSet.AssociationId"},
      {"cidr-block-association.state", "CidrBlockAssociationSet.CidrBlockState.State"}};
  return describe(db_, call, kVpc, in, "VpcIds", "Vpcs", paths);
}

Result<json::Value> Ec2::modify_vpc_attribute(aws::Call& call, const Json& in) {
  int given = 0;
  for (auto* member : {"EnableDnsSupport", "EnableDnsHostnames", "EnableNetworkAddressUsageMetrics"})
    given += in.has(member);
  if (given != 1) return fault("InvalidParameterCombination", "Exactly one attribute must be specified.");
  if (in.has("EnableNetworkAddressUsageMetrics")) return unsupported("EnableNetworkAddressUsageMetrics");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto vpc = TRY(load(writer, call, kVpc, in.get("VpcId")));
    for (auto* member : {"EnableDnsSupport", "EnableDnsHostnames"}) {
      const auto* value = in.find(member);
      if (value != nullptr) vpc[member] = value->get_bool("Value");
    }
    return save(writer, call, kVpc, vpc);
  }));
  return json::object();
}

Result<json::Value> Ec2::describe_vpc_attribute(aws::Call& call, const Json& in) {
  Json vpc;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    vpc = TRY(load(reader, call, kVpc, in.get("VpcId")));
    return {};
  }));
  auto attribute = in.get("Attribute");
  auto answer = json::object({{"VpcId", in.get("VpcId")}});
  auto member = attribute == "enableDnsSupport"     ? "EnableDnsSupport"
                : attribute == "enableDnsHostnames" ? "EnableDnsHostnames"
                                                    : "EnableNetworkAddressUsageMetrics";
  answer[member] = json::object({{"Value", vpc.get_bool(member)}});
  return answer;
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html
Result<json::Value> Ec2::create_subnet(aws::Call& call, const Json& in) {
  for (auto* member : {"Ipv6CidrBlock", "OutpostArn", "Ipv4IpamPoolId", "Ipv6IpamPoolId"}) {
    if (in.has(member)) return unsupported(member);
  }
  if (in.get_bool("Ipv6Native")) return unsupported("Ipv6Native");
  auto text = in.get("CidrBlock");
  auto cidr = Cidr::parse(text);
  if (!cidr)
    return fault("InvalidParameterValue",
                 "Value (" + text + ") for parameter cidrBlock is invalid. This is not a valid CIDR block.");
  auto zone = in.get("AvailabilityZone");
  std::string known;
  for (const auto& z : zones(call.region)) {
    if (zone.empty() && in.get("AvailabilityZoneId") == zone_id(z)) zone = z;
    known += (known.empty() ? "" : ", ") + z;
  }
  if (zone.empty() && in.has("AvailabilityZoneId")) {
    return fault("InvalidParameterValue",
                 "Value (" + in.get("AvailabilityZoneId") + ") for parameter availabilityZoneId is invalid.");
  }
  if (zone.empty()) zone = zones(call.region).front();
  if (known.find(zone) == std::string::npos || zone.size() != call.region.size() + 1) {
    return fault("InvalidParameterValue",
                 "Value (" + zone +
                     ") for parameter availabilityZone is invalid. Subnets can currently only be created in "
                     "the following availability zones: " +
                     known + ".");
  }
  auto tags = TRY(tags_of(in, kSubnet));
  Json subnet;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto vpc = TRY(load(writer, call, kVpc, in.get("VpcId")));
    auto range = Cidr::parse(vpc.get("CidrBlock"));
    if (cidr->length < 16 || cidr->length > 28 || !range || !range->contains(*cidr)) {
      return fault("InvalidSubnet.Range", "The CIDR '" + text + "' is invalid.");
    }
    auto others = TRY(all(writer, call, kSubnet, vpc.get("VpcId")));
    if (others.size() >= kMaxSubnets)
      return fault("SubnetLimitExceeded", "The maximum number of subnets has been reached.");
    for (const auto& other : others) {
      auto taken = Cidr::parse(other.get("CidrBlock"));
      if (taken && taken->overlaps(*cidr))
        return fault("InvalidSubnet.Conflict", "The CIDR '" + text + "' conflicts with another subnet");
    }
    auto id = new_id("subnet");
    subnet = json::object({{"SubnetId", id},
                           {"SubnetArn", "arn:aws:ec2:" + call.region + ":" + call.account + ":subnet/" + id},
                           {"VpcId", vpc.get("VpcId")},
                           {"OwnerId", call.account},
                           {"CidrBlock", cidr->text()},
                           {"State", "available"},
                           {"AvailabilityZone", zone},
                           {"AvailabilityZoneId", zone_id(zone)},
                           {"AvailableIpAddressCount", cidr->size() - 5},
                           {"DefaultForAz", false},
                           {"MapPublicIpOnLaunch", false},
                           {"AssignIpv6AddressOnCreation", false},
                           {"MapCustomerOwnedIpOnLaunch", false},
                           {"EnableDns64", false},
                           {"Ipv6Native", false},
                           {"Tags", tags}});
    subnet["PrivateDnsNameOptionsOnLaunch"] = json::object({{"HostnameType", "ip-name"},
                                                            {"EnableResourceNameDnsARecord", false},
                                                            {"EnableResourceNameDnsAAAARecord", false}});
    return save(writer, call, kSubnet, subnet);
  }));
  return json::object({{"Subnet", subnet}});
}

Result<json::Value> Ec2::delete_subnet(aws::Call& call, const Json& in) {
  auto id = in.get("SubnetId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto subnet = TRY(load(writer, call, kSubnet, id));
    for (const auto& interface : TRY(all(writer, call, kInterface))) {
      if (interface.get("SubnetId") == id) {
        return fault("DependencyViolation",
                     "The subnet '" + id + "' has dependencies and cannot be deleted.");
      }
    }
    for (auto& table : TRY(all(writer, call, kRouteTable, subnet.get("VpcId")))) {
      auto& associations = table["Associations"];
      if (!associations.is_array()) continue;
      if (std::erase_if(associations.array(), [&](const Json& a) { return a.get("SubnetId") == id; }) > 0) {
        TRY(save(writer, call, kRouteTable, table));
      }
    }
    return ec2::remove(writer, call, kSubnet, id);
  }));
  return json::object();
}

Result<json::Value> Ec2::describe_subnets(aws::Call& call, const Json& in) {
  static const FilterPaths paths{{"subnet-id", "SubnetId"},
                                 {"vpc-id", "VpcId"},
                                 {"cidr-block", "CidrBlock"},
                                 {"cidr", "CidrBlock"},
                                 {"cidrBlock", "CidrBlock"},
                                 {"state", "State"},
                                 {"availability-zone", "AvailabilityZone"},
                                 {"availabilityZone", "AvailabilityZone"},
                                 {"availability-zone-id", "AvailabilityZoneId"},
                                 {"default-for-az", "DefaultForAz"},
                                 {"map-public-ip-on-launch", "MapPublicIpOnLaunch"},
                                 {"owner-id", "OwnerId"},
                                 {"subnet-arn", "SubnetArn"},
                                 {"available-ip-address-count", "AvailableIpAddressCount"}};
  return describe(db_, call, kSubnet, in, "SubnetIds", "Subnets", paths);
}

Result<json::Value> Ec2::modify_subnet_attribute(aws::Call& call, const Json& in) {
  for (const auto& [name, value] : in.object()) {
    if (name != "SubnetId" && name != "MapPublicIpOnLaunch" && value.get_bool("Value", true))
      return unsupported(name);
  }
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto subnet = TRY(load(writer, call, kSubnet, in.get("SubnetId")));
    const auto* map = in.find("MapPublicIpOnLaunch");
    if (map != nullptr) subnet["MapPublicIpOnLaunch"] = map->get_bool("Value");
    return save(writer, call, kSubnet, subnet);
  }));
  return json::object();
}

}  // namespace bastide::services
