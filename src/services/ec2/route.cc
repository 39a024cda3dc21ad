#include "services/ec2/cidr.h"
#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

namespace {

constexpr size_t kMaxTables = 200;
constexpr size_t kMaxRoutes = 50;

json::Value state(const char* text) { return json::object({{"State", text}}); }

// The table that has an association, and the association in it.
Result<json::Value> table_of_association(store::Reader& reader, const aws::Call& call,
                                         const std::string& id) {
  for (auto& table : TRY(all(reader, call, kRouteTable))) {
    for (const auto& a : table.get_array("Associations")) {
      if (a.get("RouteTableAssociationId") == id) return std::move(table);
    }
  }
  return fault("InvalidAssociationID.NotFound", "The association ID '" + id + "' does not exist");
}

Result<void> check_gateway(store::Reader& reader, const aws::Call& call, const std::string& table_id,
                           const json::Value& table, const std::string& gateway) {
  auto target = load(reader, call, kGateway, gateway);
  if (!target) {
    const bool code = target.error().code == kGateway.not_found || target.error().code == kGateway.malformed;
    if (!code) return std::move(target).error();
    return fault("InvalidGatewayID.NotFound", "The gateway ID '" + gateway + "' does not exist");
  }
  for (const auto& a : target->get_array("Attachments")) {
    if (a.get("VpcId") == table.get("VpcId")) return {};
  }
  return fault("InvalidParameterValue", "route table " + table_id + " and network gateway " + gateway +
                                            " belong to different networks");
}

Result<void> check_peering(store::Reader& reader, const aws::Call& call, const std::string& table_id,
                           const json::Value& table, const std::string& id) {
  const auto peering = TRY(load_peering(reader, call, id));
  const auto* status = peering.body.find("Status");
  if (status == nullptr || status->get("Code") != "active")
    return fault("InvalidStateTransition", "The vpcPeeringConnection " + id + " is not active");
  for (const char* which : {"RequesterVpcInfo", "AccepterVpcInfo"}) {
    const auto* side = peering.body.find(which);
    if (side != nullptr && side->get("VpcId") == table.get("VpcId") && side->get("OwnerId") == call.account) return {};
  }
  return fault("InvalidParameterValue",
               "route table " + table_id + " and vpc peering connection " + id + " belong to different networks");
}

json::Value take_association(json::Value& table, const std::string& id) {
  auto& associations = table["Associations"].array();
  json::Value out;
  std::erase_if(associations, [&](const json::Value& a) {
    if (a.get("RouteTableAssociationId") != id) return false;
    out = a;
    return true;
  });
  return out;
}

}  // namespace

namespace ec2 {
Result<std::string> make_route_table(store::Writer& writer, const aws::Call& call, const std::string& vpc,
                                     const std::string& cidr, bool main, json::Array tags) {
  auto id = new_id("rtb");
  auto table = json::object({{"RouteTableId", id},
                             {"VpcId", vpc},
                             {"OwnerId", call.account},
                             {"Tags", std::move(tags)},
                             {"PropagatingVgws", json::array()},
                             {"Associations", json::array()}});
  table["Routes"] = json::array({json::object({{"DestinationCidrBlock", cidr},
                                               {"GatewayId", "local"},
                                               {"State", "active"},
                                               {"Origin", "CreateRouteTable"}})});
  if (main) {
    table["Associations"].push(json::object({{"Main", true},
                                             {"RouteTableAssociationId", new_id("rtbassoc")},
                                             {"RouteTableId", id},
                                             {"AssociationState", state("associated")}}));
  }
  TRY(save(writer, call, kRouteTable, table));
  return id;
}
}  // namespace ec2

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRouteTable.html
Result<json::Value> Ec2::create_route_table(aws::Call& call, const Json& in) {
  auto tags = TRY(tags_of(in, kRouteTable));
  Json table;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto vpc = TRY(load(writer, call, kVpc, in.get("VpcId")));
    if (TRY(all(writer, call, kRouteTable, in.get("VpcId"))).size() >= kMaxTables) {
      return fault("RouteTableLimitExceeded", "The maximum number of route tables has been reached.");
    }
    auto id = TRY(make_route_table(writer, call, in.get("VpcId"), vpc.get("CidrBlock"), false, tags));
    table = TRY(load(writer, call, kRouteTable, id));
    return {};
  }));
  return json::object({{"RouteTable", table}});
}

Result<json::Value> Ec2::delete_route_table(aws::Call& call, const Json& in) {
  auto id = in.get("RouteTableId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto table = TRY(load(writer, call, kRouteTable, id));
    if (!table.get_array("Associations").empty()) {
      return fault("DependencyViolation",
                   "The routeTable '" + id + "' has dependencies and cannot be deleted.");
    }
    return ec2::remove(writer, call, kRouteTable, id);
  }));
  return json::object();
}

Result<json::Value> Ec2::describe_route_tables(aws::Call& call, const Json& in) {
  static const FilterPaths paths{
      {"route-table-id", "RouteTableId"},
      {"vpc-id", "VpcId"},
      {"owner-id", "OwnerId"},
      {"association.main", "Associations.Main"},
      {"association.subnet-id", "Associations.SubnetId"},
      {"association.gateway-id", "Associations.GatewayId"},
      {"association.route-table-association-id", "Associations.RouteTableAssociationId"},
      {"association.route-table-id", "Associations.RouteTableId"},
      {"route.destination-cidr-block", "Routes.DestinationCidrBlock"},
      {"route.gateway-id", "Routes.GatewayId"},
      {"route.nat-gateway-id", "Routes.NatGatewayId"},
      {"route.state", "Routes.State"},
      {"route.origin", "Routes.Origin"}};
  return describe(db_, call, kRouteTable, in, "RouteTableIds", "RouteTables", paths);
}

Result<json::Value> Ec2::associate_route_table(aws::Call& call, const Json& in) {
  if (in.has("GatewayId") || in.has("PublicIpv4Pool")) {
    return fault("UnsupportedOperation", "Only subnets can be associated with a route table.");
  }
  if (!in.has("SubnetId"))
    return fault("MissingParameter", "The request must contain the parameter subnetId or gatewayId");
  auto id = new_id("rtbassoc");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto subnet = TRY(load(writer, call, kSubnet, in.get("SubnetId")));
    auto table = TRY(load(writer, call, kRouteTable, in.get("RouteTableId")));
    if (subnet.get("VpcId") != table.get("VpcId")) {
      return fault("InvalidParameterValue", "Route table " + in.get("RouteTableId") + " and subnet " +
                                                in.get("SubnetId") + " belong to different networks");
    }
    for (const auto& other : TRY(all(writer, call, kRouteTable, subnet.get("VpcId")))) {
      for (const auto& a : other.get_array("Associations")) {
        if (a.get("SubnetId") == in.get("SubnetId")) {
          return fault("Resource.AlreadyAssociated", "the specified association for route table " +
                                                         in.get("RouteTableId") +
                                                         " conflicts with an existing association");
        }
      }
    }
    table["Associations"].push(json::object({{"Main", false},
                                             {"RouteTableAssociationId", id},
                                             {"RouteTableId", in.get("RouteTableId")},
                                             {"SubnetId", in.get("SubnetId")},
                                             {"AssociationState", state("associated")}}));
    return save(writer, call, kRouteTable, table);
  }));
  return json::object({{"AssociationId", id}, {"AssociationState", state("associated")}});
}

Result<json::Value> Ec2::disassociate_route_table(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto id = in.get("AssociationId");
    auto table = TRY(table_of_association(writer, call, id));
    if (take_association(table, id).get_bool("Main")) {
      return fault("InvalidParameterValue", "cannot disassociate the main route table association " + id);
    }
    return save(writer, call, kRouteTable, table);
  }));
  return json::object();
}

Result<json::Value> Ec2::replace_route_table_association(aws::Call& call, const Json& in) {
  auto fresh = new_id("rtbassoc");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto from = TRY(table_of_association(writer, call, in.get("AssociationId")));
    auto association = take_association(from, in.get("AssociationId"));
    TRY(save(writer, call, kRouteTable, from));
    auto to = TRY(load(writer, call, kRouteTable, in.get("RouteTableId")));
    if (to.get("VpcId") != from.get("VpcId")) {
      return fault("InvalidParameterValue",
                   "Route table " + in.get("RouteTableId") + " belongs to a different network");
    }
    association["RouteTableAssociationId"] = fresh;
    association["RouteTableId"] = in.get("RouteTableId");
    to["Associations"].push(association);
    return save(writer, call, kRouteTable, to);
  }));
  return json::object({{"NewAssociationId", fresh}, {"AssociationState", state("associated")}});
}

Result<json::Value> Ec2::put_route(aws::Call& call, const Json& in, bool replace) {
  for (const auto& [name, value] : in.object()) {
    bool known =
        name == "RouteTableId" || name == "DestinationCidrBlock" || name == "GatewayId" ||
                 name == "VpcPeeringConnectionId" || name == "DryRun";
    if (name == "NatGatewayId")
      return fault("InvalidNatGatewayID.NotFound",
                   "The natGateway ID '" + value.string() + "' does not exist");
    if (!known)
      return fault("UnsupportedOperation",
                   "The parameter " + name + " is not supported: a route leads to an internet gateway or a peering connection.");
  }
  auto text = in.get("DestinationCidrBlock");
  auto destination = Cidr::parse(text);
  if (!destination)
    return fault("InvalidParameterValue",
                 "Value (" + text +
                     ") for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.");
  auto gateway = in.get("GatewayId"), peering = in.get("VpcPeeringConnectionId");
  if (gateway.empty() == peering.empty())
    return fault("MissingParameter",
                 "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, "
                 "vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto table = TRY(load(writer, call, kRouteTable, in.get("RouteTableId")));
    auto route = json::object({{"DestinationCidrBlock", destination->text()},
                               {"State", "active"},
                               {"Origin", "CreateRoute"}});
    if (peering.empty()) {
      TRY(check_gateway(writer, call, in.get("RouteTableId"), table, gateway));
      route["GatewayId"] = gateway;
    } else {
      TRY(check_peering(writer, call, in.get("RouteTableId"), table, peering));
      route["VpcPeeringConnectionId"] = peering;
    }
    auto& routes = table["Routes"].array();
    for (auto& r : routes) {
      if (r.get("DestinationCidrBlock") != destination->text()) continue;
      if (!replace || r.get("GatewayId") == "local") {
        return fault("RouteAlreadyExists", "The route identified by " + text + " already exists.");
      }
      r = route;
      return save(writer, call, kRouteTable, table);
    }
    if (replace)
      return fault("InvalidRoute.NotFound", "no route with destination-cidr-block " + text +
                                                " in route table " + in.get("RouteTableId"));
    if (routes.size() >= kMaxRoutes)
      return fault("RouteLimitExceeded", "The maximum number of routes has been reached.");
    routes.push_back(route);
    return save(writer, call, kRouteTable, table);
  }));
  return json::object({{"Return", true}});
}

Result<json::Value> Ec2::create_route(aws::Call& call, const Json& in) { return put_route(call, in, false); }
Result<json::Value> Ec2::replace_route(aws::Call& call, const Json& in) { return put_route(call, in, true); }

Result<json::Value> Ec2::delete_route(aws::Call& call, const Json& in) {
  auto text = in.get("DestinationCidrBlock");
  auto destination = Cidr::parse(text);
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto table = TRY(load(writer, call, kRouteTable, in.get("RouteTableId")));
    bool local = false;
    auto gone = std::erase_if(table["Routes"].array(), [&](const Json& r) {
      bool same = destination && r.get("DestinationCidrBlock") == destination->text();
      local |= same && r.get("GatewayId") == "local";
      return same;
    });
    if (local)
      return fault("InvalidParameterValue",
                   "cannot remove local route " + text + " in route table " + in.get("RouteTableId"));
    if (gone == 0)
      return fault("InvalidRoute.NotFound", "no route with destination-cidr-block " + text +
                                                " in route table " + in.get("RouteTableId"));
    return save(writer, call, kRouteTable, table);
  }));
  return json::object();
}

}  // namespace bastide::services
