#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/crypto.h"
#include "services/elbv2/attributes.h"
#include "services/elbv2/common.h"
#include "services/elbv2/elbv2.h"

namespace bastide::services {
using namespace elbv2;

namespace {
constexpr size_t kMaxBalancers = 50;

aws::Principal elb() { return aws::Principal::service("elasticloadbalancing.amazonaws.com"); }
}  // namespace

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
Result<json::Value> Elbv2::create_load_balancer(aws::Call& call, const Json& in) {
  auto name = in.get("Name");
  TRY(check_name(name, "Load balancer"));
  if (lower(name.substr(0, 9)) == "internal-")
    return validation("Load balancer name cannot begin with 'internal-'");
  if (in.get("Type", "application") != "application")
    return fault("InvalidConfigurationRequest",
                 "Only load balancers of the type 'application' are supported");
  auto scheme = in.get("Scheme", "internet-facing");
  if (scheme != "internet-facing")
    return fault("InvalidScheme",
                 "The scheme '" + scheme + "' is not supported; supported is internet-facing");
  if (in.get("IpAddressType", "ipv4") != "ipv4")
    return fault("InvalidConfigurationRequest", "Only the IP address type 'ipv4' is supported");
  auto subnets = in.get_array("Subnets");
  for (const auto& m : in.get_array("SubnetMappings")) {
    if (m.has("AllocationId") || m.has("PrivateIPv4Address") || m.has("IPv6Address")) {
      return fault("InvalidConfigurationRequest", "Addresses of load balancer nodes cannot be chosen");
    }
    subnets.push_back(m.get("SubnetId"));
  }
  if (subnets.empty()) return validation("At least one subnet must be specified");
  auto tags = TRY(tags_of(in));

  auto answer = client_.call(elb(), call.account, call.region, "ec2", "DescribeSubnets",
                             json::object({{"SubnetIds", subnets}}));
  if (!answer) {
    if (answer.error().fault) return fault("SubnetNotFound", answer.error().message);
    return std::move(answer).error();
  }
  std::set<std::string> zones, vpcs;
  json::Array placed;
  for (const auto& s : answer->get_array("Subnets")) {
    if (!zones.insert(s.get("AvailabilityZone")).second) {
      return fault("InvalidConfigurationRequest",
                   "A load balancer cannot be attached to multiple subnets in the same Availability Zone");
    }
    vpcs.insert(s.get("VpcId"));
    placed.push_back(json::object({{"ZoneName", s.get("AvailabilityZone")},
                                   {"SubnetId", s.get("SubnetId")},
                                   {"LoadBalancerAddresses", json::array()}}));
  }
  if (vpcs.size() != 1) return fault("InvalidSubnet", "All subnets must belong to the same VPC");
  if (zones.size() < 2)
    return validation("At least two subnets in two different Availability Zones must be specified");
  auto groups = in.get_array("SecurityGroups");
  if (!groups.empty()) {
    auto found = client_.call(elb(), call.account, call.region, "ec2", "DescribeSecurityGroups",
                              json::object({{"GroupIds", groups}}));
    if (!found) {
      if (found.error().fault) return fault("InvalidSecurityGroup", found.error().message);
      return std::move(found).error();
    }
    for (const auto& g : found->get_array("SecurityGroups")) {
      if (g.get("VpcId") != *vpcs.begin())
        return fault("InvalidConfigurationRequest", "The security group '" + g.get("GroupId") +
                                                        "' does not belong to VPC '" + *vpcs.begin() + "'");
    }
  }

  Json balancer;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto others = TRY(all(writer, call, kBalancer));
    for (auto& other : others) {
      if (other.get("LoadBalancerName") != name) continue;
      // The same request again is answered with what it made.
      if (other.find("AvailabilityZones") != nullptr && *other.find("AvailabilityZones") == Json(placed) &&
          Json(other.get_array("SecurityGroups")) == Json(groups)) {
        balancer = std::move(other);
        return {};
      }
      return fault("DuplicateLoadBalancerName",
                   "A load balancer with the same name '" + name + "' exists, but with different settings");
    }
    if (others.size() >= kMaxBalancers)
      return fault("TooManyLoadBalancers", "You've reached the limit on the number of load balancers");
    balancer = json::object({{"LoadBalancerArn", arn_of(call, kBalancer, "app/" + name + "/" + new_suffix())},
                             {"LoadBalancerName", name},
                             {"Scheme", scheme},
                             {"Type", "application"},
                             {"IpAddressType", "ipv4"},
                             {"VpcId", *vpcs.begin()},
                             {"State", json::object({{"Code", "active"}})},
                             {"CreatedTime", static_cast<double>(call.now) / 1000},
                             {"AvailabilityZones", placed},
                             {"SecurityGroups", groups},
                             {"CanonicalHostedZoneId", "Z35SXDOTRQ7X7K"},
                             {"Tags", tags},
                             {"Attributes", json::object()}});
    balancer["DNSName"] =
        lower(name) + "-" + random_text(10, "0123456789") + "." + call.region + ".elb.localhost";
    return save(writer, call, kBalancer, balancer);
  }));
  return json::object({{"LoadBalancers", json::array({balancer})}});
}

Result<json::Value> Elbv2::describe_load_balancers(aws::Call& call, const Json& in) {
  std::vector<Json> found;
  const auto& arns = in.get_array("LoadBalancerArns");
  const auto& names = in.get_array("Names");
  if (!arns.empty() && !names.empty())
    return validation("Load balancer ARNs and names cannot be specified together");
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    if (!arns.empty()) {
      for (const auto& arn : arns) found.push_back(TRY(load(reader, call, kBalancer, arn.string())));
      return {};
    }
    found = TRY(all(reader, call, kBalancer));
    if (names.empty()) return {};
    std::erase_if(found, [&](const Json& b) {
      return std::find(names.begin(), names.end(), Json(b.get("LoadBalancerName"))) == names.end();
    });
    if (found.size() < names.size())
      return fault(kBalancer.not_found, "Load balancers '" + names[0].string() + "' not found");
    return {};
  }));
  auto answer = json::object();
  answer["LoadBalancers"] = TRY(page(std::move(found), kBalancer, in, answer));
  return answer;
}

Result<json::Value> Elbv2::delete_load_balancer(aws::Call& call, const Json& in) {
  auto arn = in.get("LoadBalancerArn");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto id = TRY(id_of(call, kBalancer, arn));
    auto kept = TRY(writer.get({call.account, call.region, kBalancer.kind, id}));
    if (!kept) return {};  // as ELB: deleting what is gone succeeds
    if (attribute(AttributesOf::balancer, kept->body["Attributes"], "deletion_protection.enabled") ==
        "true") {
      return fault("OperationNotPermitted",
                   "Load balancer '" + arn + "' cannot be deleted because deletion protection is enabled");
    }
    for (const auto* kind : {&kListener, &kRule}) {
      for (const auto& body : TRY(all(writer, call, *kind, id + "/")))
        TRY(elbv2::remove(writer, call, *kind, body.get(kind->arn_member)));
    }
    return elbv2::remove(writer, call, kBalancer, arn);
  }));
  return json::object();
}

Result<json::Value> Elbv2::modify_load_balancer_attributes(aws::Call& call, const Json& in) {
  json::Array list;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto balancer = TRY(load(writer, call, kBalancer, in.get("LoadBalancerArn")));
    TRY(apply_attributes(AttributesOf::balancer, json::Value(in.get_array("Attributes")),
                         balancer["Attributes"]));
    list = attribute_list(AttributesOf::balancer, balancer["Attributes"]);
    return save(writer, call, kBalancer, balancer);
  }));
  return json::object({{"Attributes", list}});
}

Result<json::Value> Elbv2::describe_load_balancer_attributes(aws::Call& call, const Json& in) {
  json::Array list;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    auto balancer = TRY(load(reader, call, kBalancer, in.get("LoadBalancerArn")));
    list = attribute_list(AttributesOf::balancer, balancer["Attributes"]);
    return {};
  }));
  return json::object({{"Attributes", list}});
}

}  // namespace bastide::services
