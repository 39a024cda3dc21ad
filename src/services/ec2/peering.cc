// VPC peering connections. The row is the requester's; the accepter finds it by its own account.
// https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html
#include "base/bytes.h"
#include "services/ec2/cidr.h"
#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

namespace {

constexpr size_t kMaxPeerings = 125;  // of a VPC
constexpr Millis kPendingFor = 7 * 24 * kHour;

json::Value status(const char* code, const std::string& message) {
  return json::object({{"Code", code}, {"Message", message}});
}

json::Value side(const json::Value& vpc, const std::string& account, const std::string& region) {
  return json::object(
      {{"CidrBlock", vpc.get("CidrBlock")},
       {"CidrBlockSet", json::array({json::object({{"CidrBlock", vpc.get("CidrBlock")}})})},
       {"OwnerId", account},
       {"VpcId", vpc.get("VpcId")},
       {"Region", region},
       {"PeeringOptions", json::object({{"AllowDnsResolutionFromRemoteVpc", false},
                                        {"AllowEgressFromLocalClassicLinkToRemoteVpc", false},
                                        {"AllowEgressFromLocalVpcToRemoteClassicLink", false}})}});
}

std::string owner(const json::Value& peering, const char* which) {
  const auto* info = peering.find(which);
  return info == nullptr ? "" : info->get("OwnerId");
}
std::string vpc_of(const json::Value& peering, const char* which) {
  const auto* info = peering.find(which);
  return info == nullptr ? "" : info->get("VpcId");
}
std::string code(const json::Value& peering) {
  const auto* s = peering.find("Status");
  return s == nullptr ? "" : s->get("Code");
}

Result<void> keep(store::Writer& writer, const store::Key& key, const json::Value& peering) {
  TRY(writer.put(key, peering,
                 {{"accepter", owner(peering, "AccepterVpcInfo") + "/" + key.region}}));
  return writer.emit(kEc2NetworkTopic, key.account + "/" + key.region + "/" + key.id);
}

bool alike(const json::Value& peering, const std::string& one, const std::string& other) {
  const auto from = vpc_of(peering, "RequesterVpcInfo"), to = vpc_of(peering, "AccepterVpcInfo");
  return (from == one && to == other) || (from == other && to == one);
}

}  // namespace

namespace ec2 {

// Of this account's side or the other's.
Result<store::Resource> load_peering(store::Reader& reader, const aws::Call& call, const std::string& id) {
  auto own = load(reader, call, kPeering, id);
  if (own) return store::Resource{key_of(call, kPeering, id), 0, std::move(*own)};
  if (own.error().code != kPeering.not_found) return std::move(own).error();
  for (auto& row : TRY(reader.find(kPeering.kind, "accepter", call.account + "/" + call.region))) {
    if (row.key.id == id) return std::move(row);
  }
  return not_found(kPeering, id);
}

}  // namespace ec2

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcPeeringConnection.html
Result<json::Value> Ec2::create_vpc_peering_connection(aws::Call& call, const Json& in) {
  if (in.has("PeerRegion") && in.get("PeerRegion") != call.region)
    return fault("UnsupportedOperation", "Peering between regions is not supported on one machine.");
  if (in.get("PeerVpcId").empty())
    return fault("MissingParameter", "The request must contain the parameter peerVpcId");
  const std::string peer_owner = in.get("PeerOwnerId", call.account);
  auto tags = TRY(tags_of(in, kPeering));
  Json peering;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto vpc = TRY(load(writer, call, kVpc, in.get("VpcId")));
    aws::Call there = call;
    there.account = peer_owner;
    const auto peer = load(writer, there, kVpc, in.get("PeerVpcId"));
    const auto id = new_id("pcx");
    if (in.get("VpcId") == in.get("PeerVpcId"))
      return fault("InvalidParameterValue", "A VPC cannot be peered with itself");
    size_t count = 0;
    for (const auto& row : TRY(writer.list("*", call.region, kPeering.kind))) {
      const bool alive = code(row.body) == "active" || code(row.body) == "pending-acceptance";
      if (alive && alike(row.body, in.get("VpcId"), in.get("PeerVpcId"))) {
        // As AWS: asking again gives the same connection.
        if (row.key.account != call.account) continue;
        peering = row.body;
        return {};
      }
      count += alive && (vpc_of(row.body, "RequesterVpcInfo") == in.get("VpcId") ||
                         vpc_of(row.body, "AccepterVpcInfo") == in.get("VpcId"));
    }
    if (count >= kMaxPeerings)
      return fault("VpcPeeringConnectionLimitExceeded", "The VPC has too many peering connections.");
    peering = json::object({{"VpcPeeringConnectionId", id},
                            {"RequesterVpcInfo", side(vpc, call.account, call.region)},
                            {"Tags", tags}});
    if (!peer) {
      // AWS tells this by a connection that has failed, so that nobody learns which VPCs others have.
      peering["AccepterVpcInfo"] = json::object({{"OwnerId", peer_owner}, {"VpcId", in.get("PeerVpcId")}, {"Region", call.region}});
      peering["Status"] = status("failed", "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range");
    } else {
      peering["AccepterVpcInfo"] = side(*peer, peer_owner, call.region);
      peering["Status"] = status("pending-acceptance", "Pending Acceptance by " + peer_owner);
      peering["ExpirationTime"] = static_cast<double>(call.now + kPendingFor) / 1000;
      peering["_until"] = call.now + kPendingFor;
    }
    return keep(writer, key_of(call, kPeering, id), peering);
  }));
  return json::object({{"VpcPeeringConnection", peering}});
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AcceptVpcPeeringConnection.html
Result<json::Value> Ec2::accept_vpc_peering_connection(aws::Call& call, const Json& in) {
  return settle_peering(call, in.get("VpcPeeringConnectionId"), true);
}

Result<json::Value> Ec2::reject_vpc_peering_connection(aws::Call& call, const Json& in) {
  TRY(settle_peering(call, in.get("VpcPeeringConnectionId"), false));
  return json::object({{"Return", true}});
}

Result<json::Value> Ec2::settle_peering(aws::Call& call, const std::string& id, bool accept) {
  Json peering;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto row = TRY(load_peering(writer, call, id));
    peering = row.body;
    if (owner(peering, "AccepterVpcInfo") != call.account) {
      return fault("OperationNotPermitted", "User " + call.account + " cannot " +
                                                (accept ? "accept" : "reject") + " peering " + id);
    }
    if (accept && code(peering) == "active") return {};
    const bool expired = call.now > peering.get_int("_until");
    if (code(peering) != "pending-acceptance" || expired) {
      return fault("InvalidStateTransition", "Invalid state transition for " + id + ", attempted to transition from " +
                                                 (expired ? "expired" : code(peering)) + " to " +
                                                 (accept ? "active" : "rejected"));
    }
    peering["Status"] = accept ? status("active", "Active") : status("rejected", "Rejected by " + call.account);
    peering.remove("ExpirationTime");
    return keep(writer, row.key, peering);
  }));
  return json::object({{"VpcPeeringConnection", peering}});
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcPeeringConnection.html
Result<json::Value> Ec2::delete_vpc_peering_connection(aws::Call& call, const Json& in) {
  const std::string id = in.get("VpcPeeringConnectionId");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto row = TRY(load_peering(writer, call, id));
    for (const char* which : {"RequesterVpcInfo", "AccepterVpcInfo"}) {
      aws::Call there = call;
      there.account = owner(row.body, which);
      if (there.account.empty()) continue;
      for (auto& table : TRY(all(writer, there, kRouteTable, vpc_of(row.body, which)))) {
        bool changed = false;
        for (auto& r : table["Routes"].array()) {
          if (r.get("VpcPeeringConnectionId") != id) continue;
          r["State"] = "blackhole";
          changed = true;
        }
        if (changed) TRY(save(writer, there, kRouteTable, table));
      }
    }
    TRY(writer.remove(row.key));
    return writer.emit(kEc2NetworkTopic, row.key.account + "/" + row.key.region + "/" + id);
  }));
  return json::object({{"Return", true}});
}

Result<json::Value> Ec2::describe_vpc_peering_connections(aws::Call& call, const Json& in) {
  static const FilterPaths paths{{"vpc-peering-connection-id", "VpcPeeringConnectionId"},
                                 {"status-code", "Status.Code"},
                                 {"requester-vpc-info.vpc-id", "RequesterVpcInfo.VpcId"},
                                 {"requester-vpc-info.owner-id", "RequesterVpcInfo.OwnerId"},
                                 {"requester-vpc-info.cidr-block", "RequesterVpcInfo.CidrBlock"},
                                 {"accepter-vpc-info.vpc-id", "AccepterVpcInfo.VpcId"},
                                 {"accepter-vpc-info.owner-id", "AccepterVpcInfo.OwnerId"},
                                 {"accepter-vpc-info.cidr-block", "AccepterVpcInfo.CidrBlock"}};
  std::vector<Json> found;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    const auto& ids = in.get_array("VpcPeeringConnectionIds");
    for (const auto& id : ids) found.push_back(TRY(load_peering(reader, call, id.is_string() ? id.string() : "")).body);
    if (!ids.empty()) return {};
    found = TRY(all(reader, call, kPeering));
    for (auto& row : TRY(reader.find(kPeering.kind, "accepter", call.account + "/" + call.region))) {
      if (row.key.account != call.account) found.push_back(std::move(row.body));
    }
    return {};
  }));
  const auto* filters = in.find("Filters");
  if (filters != nullptr) TRY(apply_filters(*filters, paths, found));
  auto answer = json::object();
  auto page_of = TRY(page(std::move(found), "VpcPeeringConnectionId", in, answer));
  answer["VpcPeeringConnections"] = std::move(page_of);
  return answer;
}

}  // namespace bastide::services
