// The ways between the network of those who run the house and the environments': each environment is peered with
// shared-services, and with nobody else.
#include "architecture/templates.h"

namespace bastide::architecture {
namespace {

json::Value parameter(const char* what) {
  return json::object({{"Type", "String"}, {"Description", what}});
}

json::Value route(const std::string& to, json::Value peering) {
  return resource("AWS::EC2::Route", json::object({{"RouteTableId", import_of("route-table")},
                                                   {"DestinationCidrBlock", to},
                                                   {"VpcPeeringConnectionId", std::move(peering)}}));
}

}  // namespace

json::Value peering_role(const Architecture& a, const Accounts& accounts) {
  json::Value trusted = json::array();
  for (const auto& e : a.environments) trusted.push("arn:aws:iam::" + accounts.at(e.name) + ":root");
  return resource(
      "AWS::IAM::Role",
      json::object({{"RoleName", "bastide-peering"},
                    {"AssumeRolePolicyDocument",
                     policy({json::object({{"Effect", "Allow"},
                                           {"Principal", json::object({{"AWS", std::move(trusted)}})},
                                           {"Action", "sts:AssumeRole"}})})},
                    {"Policies", json::array({named_policy(
                                     "accept", {allow({"ec2:AcceptVpcPeeringConnection"}, "*")})})}}));
}

json::Value peering_template(const Accounts& accounts, const std::string& environment) {
  json::Value r = json::object(
      {{"Peering", resource("AWS::EC2::VPCPeeringConnection",
                            json::object({{"VpcId", import_of("vpc")},
                                          {"PeerVpcId", ref("PeerVpcId")},
                                          {"PeerOwnerId", accounts.at("shared-services")},
                                          {"PeerRoleArn", ref("PeerRoleArn")}}))},
       {"Route", route(kSharedCidr, ref("Peering"))}});
  return document(environment + " and shared-services meet", std::move(r),
                  json::object({{"PeeringId", output(ref("Peering"))}}),
                  json::object({{"PeerVpcId", parameter("The VPC of shared-services")},
                                {"PeerRoleArn", parameter("The role that accepts there")}}));
}

json::Value peering_routes_template(const Architecture& a) {
  json::Value r = json::object(), parameters = json::object();
  for (const auto& e : a.environments) {
    const std::string name = "Peering" + logical(e.name);
    parameters[name] = parameter(("The connection to " + e.name).c_str());
    r["Route" + logical(e.name)] = route(e.cidr, ref(name.c_str()));
  }
  return document("The ways from shared-services to the environments", std::move(r), json::object(),
                  std::move(parameters));
}

}  // namespace bastide::architecture
