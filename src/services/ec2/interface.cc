// Network interfaces: an address of a subnet with its security groups, for what is not a task of ECS. The
// addresses of a VPC are one book (ecs.address), so that nobody gets one twice.
#include <set>

#include "services/ec2/cidr.h"
#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

namespace {

constexpr size_t kMaxInterfaces = 5'000;
constexpr const char* kBook = "ecs.address";  // id: vpc/address

std::string text_of(uint32_t address) {
  Cidr one;
  one.address = address;
  one.length = 32;
  const std::string text = one.text();
  return text.substr(0, text.find('/'));
}

// The first that is free. AWS keeps the first four of a subnet and the last.
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
Result<std::string> free_address(store::Reader& reader, const aws::Call& call, const json::Value& subnet,
                                 const std::string& wanted) {
  const auto range = Cidr::parse(subnet.get("CidrBlock"));
  if (!range) return error("a subnet without a range");
  const std::string prefix = subnet.get("VpcId") + "/";
  std::set<std::string> used;
  for (const auto& row : TRY(reader.list(call.account, call.region, kBook, "", 1'000'000, prefix)))
    used.insert(row.key.id.substr(prefix.size()));
  const uint32_t last = range->address | ~range->mask();
  if (!wanted.empty()) {
    const auto one = Cidr::parse(wanted + "/32");
    if (!one || !range->contains(*one) || one->address < range->address + 4 || one->address >= last)
      return fault("InvalidParameterValue", "Address " + wanted + " does not fall within the subnet's address range");
    if (used.contains(wanted)) return fault("InvalidIPAddress.InUse", "Address " + wanted + " is in use.");
    return wanted;
  }
  // From the top: tasks take theirs from below.
  for (uint32_t address = last - 1; address >= range->address + 4; --address) {
    if (!used.contains(text_of(address))) return text_of(address);
  }
  return fault("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '" +
                                                        subnet.get("SubnetId") +
                                                        "' to satisfy the requested number of addresses.");
}

}  // namespace

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkInterface.html
Result<json::Value> Ec2::create_network_interface(aws::Call& call, const Json& in) {
  for (const auto& [name, value] : in.object()) {
    const bool known = name == "SubnetId" || name == "Description" || name == "Groups" || name == "PrivateIpAddress" ||
                       name == "TagSpecifications" || name == "ClientToken" || name == "DryRun";
    if (!known) return fault("UnsupportedOperation", "The parameter " + name + " is not supported.");
  }
  auto tags = TRY(tags_of(in, kInterface));
  Json made;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto subnet = TRY(load(writer, call, kSubnet, in.get("SubnetId")));
    const std::string vpc = subnet.get("VpcId"), token = in.get("ClientToken");
    const auto others = TRY(all(writer, call, kInterface));
    if (others.size() >= kMaxInterfaces)
      return fault("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached.");
    for (const auto& other : others) {
      if (token.empty() || other.get("_token") != token) continue;
      made = other;
      return {};
    }
    json::Array groups;
    for (const auto& id : in.get_array("Groups")) {
      const auto group = TRY(load(writer, call, kGroup, id.is_string() ? id.string() : ""));
      if (group.get("VpcId") != vpc)
        return fault("InvalidParameterValue", "You have specified two resources that belong to different networks.");
      groups.push_back(json::object({{"GroupId", group.get("GroupId")}, {"GroupName", group.get("GroupName")}}));
    }
    if (groups.empty()) {
      for (const auto& group : TRY(all(writer, call, kGroup, vpc))) {
        if (group.get("GroupName") != "default") continue;
        groups.push_back(json::object({{"GroupId", group.get("GroupId")}, {"GroupName", "default"}}));
      }
    }
    const auto address = TRY(free_address(writer, call, subnet, in.get("PrivateIpAddress")));
    const auto id = new_id("eni");
    made = json::object({{"NetworkInterfaceId", id},
                         {"VpcId", vpc},
                         {"SubnetId", subnet.get("SubnetId")},
                         {"AvailabilityZone", subnet.get("AvailabilityZone")},
                         {"OwnerId", call.account},
                         {"Description", in.get("Description")},
                         {"InterfaceType", "interface"},
                         {"PrivateIpAddress", address},
                         {"Groups", std::move(groups)},
                         {"Status", "available"},
                         {"SourceDestCheck", true},
                         {"RequesterManaged", call.principal.kind == aws::Principal::Kind::service},
                         {"TagSet", tags}});
    made["PrivateIpAddresses"] =
        json::array({json::object({{"Primary", true}, {"PrivateIpAddress", address}})});
    if (!token.empty()) made["_token"] = token;
    TRY(writer.put({call.account, call.region, kBook, vpc + "/" + address},
                   json::object({{"interface", id}, {"subnet", subnet.get("SubnetId")}})));
    return save(writer, call, kInterface, made);
  }));
  made.remove("_token");
  return json::object({{"NetworkInterface", made}});
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkInterface.html
Result<json::Value> Ec2::delete_network_interface(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const std::string id = in.get("NetworkInterfaceId");
    const auto found = TRY(load(writer, call, kInterface, id));
    TRY(writer.remove({call.account, call.region, kBook, found.get("VpcId") + "/" + found.get("PrivateIpAddress")}));
    return ec2::remove(writer, call, kInterface, id);
  }));
  return json::object();
}

}  // namespace bastide::services
