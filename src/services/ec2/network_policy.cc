#include "services/ec2/network_policy.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "services/ec2/cidr.h"

namespace bastide::services {
namespace {

using json::Value;

// Where the edge stands in each VPC (internal/runner.h): the fourth address.
constexpr uint32_t kEdge = 3;

struct Vpc {
  std::string account, region, id, cidr;
  std::map<std::string, std::set<std::string>> groups_of;  // address -> groups
  std::map<std::string, std::vector<std::string>> names;
};

class Planner {
 public:
  explicit Planner(store::Reader& reader) : reader_(reader) {}

  Result<NetworkPlan> plan() {
    for (const auto& row : TRY(reader_.list("*", "*", "organizations.account")))
      account_names_[row.key.id] = lower(row.body.get("name"));
    for (const auto& row : TRY(reader_.list("*", "*", "ec2.vpc"))) {
      order_.push_back(row.key.id);
      vpcs_[row.key.id] = {row.key.account, row.key.region, row.key.id, row.body.get("CidrBlock"), {}, {}};
    }
    TRY(read_groups());
    TRY(read_addresses());
    TRY(read_balancers());
    TRY(read_databases());
    NetworkPlan out;
    TRY(read_paths(out.paths));
    for (const auto& id : order_) {
      const auto& vpc = vpcs_[id];
      out.networks.push_back({vpc.account, vpc.id, vpc.cidr});
      out.policies.push_back(policy(vpc));
    }
    return out;
  }

 private:
  std::string domain(const Vpc& vpc) const {
    const auto name = account_names_.find(vpc.account);
    return name == account_names_.end() || name->second.empty() ? "" : name->second + ".internal";
  }

  Result<void> read_groups() {
    for (auto& row : TRY(reader_.list("*", "*", "ec2.security_group"))) {
      if (row.body.get("GroupName") == "default") default_groups_[row.body.get("VpcId")] = row.key.id;
      groups_[row.key.id] = std::move(row.body);
    }
    return {};
  }

  void name(Vpc& vpc, const std::string& what, const std::string& address) {
    if (what.empty() || address.empty()) return;
    auto& all = vpc.names[lower(what)];
    if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  }

  // Tasks of ECS and network interfaces.
  Result<void> read_addresses() {
    for (const auto& row : TRY(reader_.list("*", "*", "ecs.address"))) {
      const size_t slash = row.key.id.find('/');
      const auto vpc = vpcs_.find(row.key.id.substr(0, slash));
      if (vpc == vpcs_.end() || slash == std::string::npos || row.body.has("interface")) continue;
      const std::string address = row.key.id.substr(slash + 1);
      auto& groups = vpc->second.groups_of[address];
      for (const auto& group : row.body.get_array("groups")) {
        if (group.is_string()) groups.insert(group.string());
      }
      if (groups.empty()) groups.insert(default_groups_[vpc->first]);
      const std::string zone = domain(vpc->second);
      if (!row.body.get("service").empty() && !zone.empty())
        name(vpc->second, row.body.get("service") + "." + zone, address);
    }
    for (const auto& row : TRY(reader_.list("*", "*", "ec2.network_interface"))) {
      const auto vpc = vpcs_.find(row.body.get("VpcId"));
      if (vpc == vpcs_.end()) continue;
      auto& groups = vpc->second.groups_of[row.body.get("PrivateIpAddress")];
      for (const auto& group : row.body.get_array("Groups")) groups.insert(group.get("GroupId"));
    }
    return {};
  }

  // A load balancer speaks to its targets from the edge's address, which is in the groups of every balancer.
  Result<void> read_balancers() {
    for (const auto& row : TRY(reader_.list("*", "*", "elbv2.load_balancer"))) {
      const auto vpc = vpcs_.find(row.body.get("VpcId"));
      if (vpc == vpcs_.end()) continue;
      auto range = Cidr::parse(vpc->second.cidr);
      if (!range) continue;
      Cidr edge = *range;
      edge.address += kEdge;
      edge.length = 32;
      for (const auto& group : row.body.get_array("SecurityGroups")) {
        if (group.is_string()) members_[group.string()].insert(edge.text());
      }
    }
    return {};
  }

  Result<void> read_databases() {
    for (const auto& row : TRY(reader_.list("*", "*", "rds.instance"))) {
      const auto vpc = vpcs_.find(row.body.get("_vpc"));
      if (vpc == vpcs_.end()) continue;
      const auto* endpoint = row.body.find("Endpoint");
      const std::string address = row.body.get("_address"), zone = domain(vpc->second);
      if (endpoint != nullptr) name(vpc->second, endpoint->get("Address"), address);
      if (!zone.empty()) name(vpc->second, row.key.id + "." + zone, address);
    }
    return {};
  }

  // Of a subnet: where its routes to a peering connection lead.
  std::vector<Cidr> routes(const std::vector<Value>& tables, const std::string& subnet, const std::string& peering) {
    const Value* own = nullptr;
    for (const auto& table : tables) {
      for (const auto& a : table.get_array("Associations")) {
        if (a.get("SubnetId") == subnet) own = &table;
        if (a.get_bool("Main") && own == nullptr) own = &table;
      }
    }
    std::vector<Cidr> out;
    if (own == nullptr) return out;
    for (const auto& r : own->get_array("Routes")) {
      if (r.get("VpcPeeringConnectionId") != peering || r.get("State") != "active") continue;
      if (auto to = Cidr::parse(r.get("DestinationCidrBlock"))) out.push_back(*to);
    }
    return out;
  }

  // A connection passes where the subnet that begins it has a route to the other, and that one a route back.
  // https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-routing.html
  Result<void> read_paths(std::vector<internal::NetworkPath>& out) {
    std::map<std::string, std::vector<Value>> tables, subnets;
    for (auto& row : TRY(reader_.list("*", "*", "ec2.route_table")))
      tables[row.body.get("VpcId")].push_back(std::move(row.body));
    for (auto& row : TRY(reader_.list("*", "*", "ec2.subnet"))) subnets[row.body.get("VpcId")].push_back(std::move(row.body));
    for (const auto& row : TRY(reader_.list("*", "*", "ec2.vpc_peering_connection"))) {
      const Value *status = row.body.find("Status"), *from = row.body.find("RequesterVpcInfo"),
                  *to = row.body.find("AccepterVpcInfo");
      if (status == nullptr || status->get("Code") != "active" || from == nullptr || to == nullptr) continue;
      const auto a = vpcs_.find(from->get("VpcId")), b = vpcs_.find(to->get("VpcId"));
      if (a == vpcs_.end() || b == vpcs_.end() || a->second.account != from->get("OwnerId") ||
          b->second.account != to->get("OwnerId"))
        continue;
      peers_[a->first].insert(b->first);
      peers_[b->first].insert(a->first);
      for (const auto& here : subnets[a->first]) {
        const auto forth = routes(tables[a->first], here.get("SubnetId"), row.key.id);
        for (const auto& there : subnets[b->first]) {
          const auto back = routes(tables[b->first], there.get("SubnetId"), row.key.id);
          join(a->second, here, forth, b->second, there, back, out);
        }
      }
    }
    return {};
  }

  static void join(const Vpc& a, const Value& here, const std::vector<Cidr>& forth, const Vpc& b, const Value& there,
                   const std::vector<Cidr>& back, std::vector<internal::NetworkPath>& out) {
    const auto narrow = [](const Cidr& one, const std::vector<Cidr>& others) {
      std::vector<Cidr> both;
      for (const auto& other : others) {
        if (other.contains(one)) return std::vector<Cidr>{one};
        if (one.contains(other)) both.push_back(other);
      }
      return both;
    };
    const auto s = Cidr::parse(here.get("CidrBlock")), t = Cidr::parse(there.get("CidrBlock"));
    if (!s || !t) return;
    for (const auto& source : narrow(*s, back)) {
      for (const auto& destination : narrow(*t, forth)) {
        out.push_back({a.account, a.id, source.text(), b.account, b.id, destination.text()});
        out.push_back({b.account, b.id, destination.text(), a.account, a.id, source.text()});
      }
    }
  }

  std::vector<std::string> members(const std::string& group) const {
    std::set<std::string> out;
    for (const auto& [id, vpc] : vpcs_) {
      for (const auto& [address, groups] : vpc.groups_of) {
        if (groups.contains(group)) out.insert(address + "/32");
      }
    }
    if (const auto more = members_.find(group); more != members_.end()) out.insert(more->second.begin(), more->second.end());
    return {out.begin(), out.end()};
  }

  internal::NetworkPolicy policy(const Vpc& vpc) const {
    internal::NetworkPolicy out{vpc.account, vpc.id, domain(vpc), {}, vpc.names};
    if (const auto peers = peers_.find(vpc.id); peers != peers_.end()) {
      for (const auto& peer : peers->second) {
        const auto& names = vpcs_.at(peer).names;
        out.names.insert(names.begin(), names.end());
      }
    }
    for (const auto& [address, groups] : vpc.groups_of) {
      internal::NetworkEndpoint endpoint{address, {}};
      for (const auto& id : groups) {
        const auto group = groups_.find(id);
        if (group == groups_.end()) continue;
        for (const auto& r : group->second.get_array("Rules")) {
          internal::NetworkRule rule{r.get_bool("IsEgress"), r.get("IpProtocol"),
                                     static_cast<int>(r.get_int("FromPort", -1)),
                                     static_cast<int>(r.get_int("ToPort", -1)), {}};
          if (const auto* other = r.find("ReferencedGroupInfo"))
            rule.ranges = members(other->get("GroupId"));
          else if (!r.get("CidrIpv4").empty())
            rule.ranges = {r.get("CidrIpv4")};
          if (!rule.ranges.empty()) endpoint.rules.push_back(std::move(rule));
        }
      }
      out.endpoints.push_back(std::move(endpoint));
    }
    return out;
  }

  store::Reader& reader_;
  std::vector<std::string> order_;
  std::map<std::string, std::string> account_names_;
  std::map<std::string, Vpc> vpcs_;
  std::map<std::string, Value> groups_;
  std::map<std::string, std::string> default_groups_;        // by VPC
  std::map<std::string, std::set<std::string>> members_;     // beside addresses of VPCs
  std::map<std::string, std::set<std::string>> peers_;
};

}  // namespace

Result<NetworkPlan> plan_networks(store::Reader& reader) { return Planner(reader).plan(); }

}  // namespace bastide::services
