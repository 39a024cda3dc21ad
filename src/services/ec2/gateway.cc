#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateInternetGateway.html
Result<json::Value> Ec2::create_internet_gateway(aws::Call& call, const Json& in) {
  auto tags = TRY(tags_of(in, kGateway));
  auto gateway = json::object({{"InternetGatewayId", new_id("igw")},
                               {"OwnerId", call.account},
                               {"Attachments", json::array()},
                               {"Tags", tags}});
  TRY(db_.write(
      [&](store::Writer& writer) -> Result<void> { return save(writer, call, kGateway, gateway); }));
  return json::object({{"InternetGateway", gateway}});
}

Result<json::Value> Ec2::delete_internet_gateway(aws::Call& call, const Json& in) {
  auto id = in.get("InternetGatewayId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto gateway = TRY(load(writer, call, kGateway, id));
    if (!gateway.get_array("Attachments").empty()) {
      return fault("DependencyViolation",
                   "The internetGateway '" + id + "' has dependencies and cannot be deleted.");
    }
    return ec2::remove(writer, call, kGateway, id);
  }));
  return json::object();
}

Result<json::Value> Ec2::attach_internet_gateway(aws::Call& call, const Json& in) {
  auto id = in.get("InternetGatewayId"), vpc = in.get("VpcId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto gateway = TRY(load(writer, call, kGateway, id));
    TRY(load(writer, call, kVpc, vpc));
    if (!gateway.get_array("Attachments").empty()) {
      return fault("Resource.AlreadyAssociated", "resource " + id + " is already attached to network " +
                                                     gateway.get_array("Attachments")[0].get("VpcId"));
    }
    for (const auto& other : TRY(all(writer, call, kGateway))) {
      for (const auto& a : other.get_array("Attachments")) {
        if (a.get("VpcId") == vpc)
          return fault("InvalidParameterValue",
                       "Network " + vpc + " already has an internet gateway attached");
      }
    }
    gateway["Attachments"] = json::array({json::object({{"VpcId", vpc}, {"State", "available"}})});
    return save(writer, call, kGateway, gateway);
  }));
  return json::object();
}

Result<json::Value> Ec2::detach_internet_gateway(aws::Call& call, const Json& in) {
  auto id = in.get("InternetGatewayId"), vpc = in.get("VpcId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto gateway = TRY(load(writer, call, kGateway, id));
    const auto& attachments = gateway.get_array("Attachments");
    if (attachments.empty() || attachments[0].get("VpcId") != vpc) {
      return fault("Gateway.NotAttached", "resource " + id + " is not attached to network " + vpc);
    }
    gateway["Attachments"] = json::array();
    // Routes to it lead nowhere from now on.
    for (auto& table : TRY(all(writer, call, kRouteTable, vpc))) {
      bool changed = false;
      for (auto& r : table["Routes"].array()) {
        if (r.get("GatewayId") != id) continue;
        r["State"] = "blackhole";
        changed = true;
      }
      if (changed) TRY(save(writer, call, kRouteTable, table));
    }
    return save(writer, call, kGateway, gateway);
  }));
  return json::object();
}

Result<json::Value> Ec2::describe_internet_gateways(aws::Call& call, const Json& in) {
  static const FilterPaths paths{{"internet-gateway-id", "InternetGatewayId"},
                                 {"owner-id", "OwnerId"},
                                 {"attachment.vpc-id", "Attachments.VpcId"},
                                 {"attachment.state", "Attachments.State"}};
  return describe(db_, call, kGateway, in, "InternetGatewayIds", "InternetGateways", paths);
}

}  // namespace bastide::services
