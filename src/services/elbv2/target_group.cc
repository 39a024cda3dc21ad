#include <arpa/inet.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "internal/edge.h"
#include "services/elbv2/attributes.h"
#include "services/elbv2/common.h"
#include "services/elbv2/elbv2.h"

namespace bastide::services {
using namespace elbv2;

namespace {

constexpr size_t kMaxGroups = 3'000;

// The health check of a request over what is there already.
Result<void> apply_health_check(const json::Value& in, json::Value& group) {
  auto protocol = in.get("HealthCheckProtocol", group.get("HealthCheckProtocol", "HTTP"));
  if (protocol != "HTTP")
    return fault("InvalidConfigurationRequest", "Only the health check protocol HTTP is supported");
  group["HealthCheckProtocol"] = protocol;
  auto port = in.get("HealthCheckPort", group.get("HealthCheckPort", "traffic-port"));
  if (port != "traffic-port") {
    auto number = parse_int(port);
    if (!number || *number < 1 || *number > 65535)
      return validation("Health check port must be 'traffic-port' or from 1 to 65535");
  }
  group["HealthCheckPort"] = port;
  auto path = in.get("HealthCheckPath", group.get("HealthCheckPath", "/"));
  bool clean = !path.empty() && path[0] == '/' && path.size() <= 1024 &&
               std::all_of(path.begin(), path.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!clean)
    return validation("Health check path '" + path +
                      "' must begin with a '/' character, and have at most 1024 characters");
  group["HealthCheckPath"] = path;
  const struct {
    const char* member;
    int64_t fallback, least, most;
  } numbers[] = {{"HealthCheckIntervalSeconds", 30, 5, 300},
                 {"HealthCheckTimeoutSeconds", 5, 2, 120},
                 {"HealthyThresholdCount", 5, 2, 10},
                 {"UnhealthyThresholdCount", 2, 2, 10}};
  for (const auto& n : numbers) {
    auto value = in.get_int(n.member, group.get_int(n.member, n.fallback));
    if (value < n.least || value > n.most) {
      return validation(std::string(n.member) + " must be from " + std::to_string(n.least) + " to " +
                        std::to_string(n.most));
    }
    group[n.member] = value;
  }
  if (group.get_int("HealthCheckTimeoutSeconds") >= group.get_int("HealthCheckIntervalSeconds")) {
    return validation("Health check timeout '" + std::to_string(group.get_int("HealthCheckTimeoutSeconds")) +
                      "' must be smaller than the interval '" +
                      std::to_string(group.get_int("HealthCheckIntervalSeconds")) + "'");
  }
  const auto* matcher = in.find("Matcher");
  if (matcher != nullptr && matcher->has("GrpcCode"))
    return fault("InvalidConfigurationRequest", "gRPC codes are not supported");
  if (matcher != nullptr && matcher->has("HttpCode")) {
    if (!internal::parse_matcher(matcher->get("HttpCode")))
      return validation("Health check matcher HTTP code '" + matcher->get("HttpCode") +
                        "' must be within '200-499'");
    group["Matcher"] = json::object({{"HttpCode", matcher->get("HttpCode")}});
  } else if (!group.has("Matcher")) {
    group["Matcher"] = json::object({{"HttpCode", "200"}});
  }
  if (in.has("HealthCheckEnabled") && !in.get_bool("HealthCheckEnabled")) {
    return fault("InvalidConfigurationRequest",
                 "Health checks must be enabled for target groups with target type 'ip'");
  }
  group["HealthCheckEnabled"] = true;
  return {};
}

// Addresses that ELB takes for targets of the type ip, and this host's own loopback for the tiers without
// namespaces.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html#target-type
bool target_address(const std::string& text) {
  in_addr raw{};
  if (inet_pton(AF_INET, text.c_str(), &raw) != 1) return false;
  auto a = ntohl(raw.s_addr);
  return a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == (100u << 2 | 1) ||
         a >> 24 == 127;
}

std::string target_id(const json::Value& t) { return t.get("Id") + ":" + std::to_string(t.get_int("Port")); }

}  // namespace

Result<json::Value> Elbv2::with_balancers(store::Reader& reader, aws::Call& call, Json group) {
  std::set<std::string> arns;
  for (const auto& user : TRY(users_of(reader, call, group.get("TargetGroupArn"))))
    arns.insert(user.get("LoadBalancerArn"));
  json::Array list;
  for (const auto& arn : arns) list.emplace_back(arn);
  group["LoadBalancerArns"] = std::move(list);
  return group;
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
Result<json::Value> Elbv2::create_target_group(aws::Call& call, const Json& in) {
  auto name = in.get("Name");
  TRY(check_name(name, "Target group"));
  auto type = in.get("TargetType", "instance");
  if (type != "ip")
    return fault("InvalidConfigurationRequest",
                 "The target type '" + type + "' is not supported; supported is 'ip'");
  if (!in.has("Protocol")) return validation("A protocol must be specified");
  if (in.get("Protocol") != "HTTP")
    return fault("InvalidConfigurationRequest",
                 "The protocol '" + in.get("Protocol") + "' is not supported; supported is HTTP");
  if (in.get("ProtocolVersion", "HTTP1") != "HTTP1")
    return fault("InvalidConfigurationRequest", "The protocol version '" + in.get("ProtocolVersion") +
                                                    "' is not supported; supported is HTTP1");
  if (in.get("IpAddressType", "ipv4") != "ipv4")
    return fault("InvalidConfigurationRequest", "Only the IP address type 'ipv4' is supported");
  if (!in.has("Port")) return validation("A port must be specified");
  auto vpc = in.get("VpcId");
  if (vpc.empty()) return validation("A VPC ID must be specified");
  auto known =
      client_.call(aws::Principal::service("elasticloadbalancing.amazonaws.com"), call.account, call.region,
                   "ec2", "DescribeVpcs", json::object({{"VpcIds", json::array({vpc})}}));
  if (!known) {
    if (known.error().fault) return validation("The VPC ID '" + vpc + "' is not found");
    return std::move(known).error();
  }
  auto group = json::object({{"TargetGroupName", name},
                             {"Protocol", "HTTP"},
                             {"Port", in.get_int("Port")},
                             {"VpcId", vpc},
                             {"TargetType", type},
                             {"ProtocolVersion", "HTTP1"},
                             {"IpAddressType", "ipv4"}});
  TRY(apply_health_check(in, group));
  auto settings = group;
  group["Tags"] = TRY(tags_of(in));
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto others = TRY(all(writer, call, kTargetGroup));
    for (auto& other : others) {
      if (other.get("TargetGroupName") != name) continue;
      bool same = std::all_of(settings.object().begin(), settings.object().end(), [&](const json::Member& m) {
        return other.find(m.first) != nullptr && *other.find(m.first) == m.second;
      });
      if (!same)
        return fault("DuplicateTargetGroupName",
                     "A target group with the same name '" + name + "' exists, but with different settings");
      group = std::move(other);
      return {};
    }
    if (others.size() >= kMaxGroups)
      return fault("TooManyTargetGroups", "You've reached the limit on the number of target groups");
    group["TargetGroupArn"] = arn_of(call, kTargetGroup, name + "/" + new_suffix());
    group["Targets"] = json::array();
    group["Attributes"] = json::object();
    return save(writer, call, kTargetGroup, group);
  }));
  group["LoadBalancerArns"] = json::array();
  return json::object({{"TargetGroups", json::array({group})}});
}

Result<json::Value> Elbv2::describe_target_groups(aws::Call& call, const Json& in) {
  std::vector<Json> found;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    const auto& arns = in.get_array("TargetGroupArns");
    const auto& names = in.get_array("Names");
    if (!arns.empty()) {
      for (const auto& arn : arns) found.push_back(TRY(load(reader, call, kTargetGroup, arn.string())));
    } else {
      found = TRY(all(reader, call, kTargetGroup));
      if (!names.empty()) {
        std::erase_if(found, [&](const Json& g) {
          return std::find(names.begin(), names.end(), Json(g.get("TargetGroupName"))) == names.end();
        });
        if (found.size() < names.size())
          return fault(kTargetGroup.not_found, "One or more target groups not found");
      }
    }
    for (auto& g : found) g = TRY(with_balancers(reader, call, std::move(g)));
    if (in.has("LoadBalancerArn")) {
      TRY(load(reader, call, kBalancer, in.get("LoadBalancerArn")));
      std::erase_if(found, [&](const Json& g) {
        const auto& arns_of_group = g.get_array("LoadBalancerArns");
        return std::find(arns_of_group.begin(), arns_of_group.end(), Json(in.get("LoadBalancerArn"))) ==
               arns_of_group.end();
      });
    }
    return {};
  }));
  auto answer = json::object();
  answer["TargetGroups"] = TRY(page(std::move(found), kTargetGroup, in, answer));
  return answer;
}

Result<json::Value> Elbv2::modify_target_group(aws::Call& call, const Json& in) {
  Json group;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    group = TRY(load(writer, call, kTargetGroup, in.get("TargetGroupArn")));
    TRY(apply_health_check(in, group));
    TRY(save(writer, call, kTargetGroup, group));
    group = TRY(with_balancers(writer, call, std::move(group)));
    return {};
  }));
  return json::object({{"TargetGroups", json::array({group})}});
}

Result<json::Value> Elbv2::delete_target_group(aws::Call& call, const Json& in) {
  auto arn = in.get("TargetGroupArn");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto id = TRY(id_of(call, kTargetGroup, arn));
    if (!TRY(writer.get({call.account, call.region, kTargetGroup.kind, id}))) return {};
    if (!TRY(users_of(writer, call, arn)).empty()) {
      return fault("ResourceInUse", "Target group '" + arn + "' is currently in use by a listener or a rule");
    }
    return elbv2::remove(writer, call, kTargetGroup, arn);
  }));
  return json::object();
}

Result<json::Value> Elbv2::modify_target_group_attributes(aws::Call& call, const Json& in) {
  json::Array list;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto group = TRY(load(writer, call, kTargetGroup, in.get("TargetGroupArn")));
    TRY(apply_attributes(AttributesOf::target_group, json::Value(in.get_array("Attributes")),
                         group["Attributes"]));
    list = attribute_list(AttributesOf::target_group, group["Attributes"]);
    return save(writer, call, kTargetGroup, group);
  }));
  return json::object({{"Attributes", list}});
}

Result<json::Value> Elbv2::describe_target_group_attributes(aws::Call& call, const Json& in) {
  json::Array list;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    auto group = TRY(load(reader, call, kTargetGroup, in.get("TargetGroupArn")));
    list = attribute_list(AttributesOf::target_group, group["Attributes"]);
    return {};
  }));
  return json::object({{"Attributes", list}});
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RegisterTargets.html
Result<json::Value> Elbv2::register_targets(aws::Call& call, const Json& in) {
  constexpr size_t kMaxTargets = 1'000;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto group = TRY(load(writer, call, kTargetGroup, in.get("TargetGroupArn")));
    auto& targets = group["Targets"].array();
    for (const auto& t : in.get_array("Targets")) {
      if (!target_address(t.get("Id")))
        return fault("InvalidTarget",
                     "The IP address '" + t.get("Id") +
                         "' is not a valid target: it is not an IPv4 address of a private range");
      auto port = t.get_int("Port", group.get_int("Port"));
      if (port < 1 || port > 65535) return validation("The port of a target is from 1 to 65535");
      auto target = json::object({{"Id", t.get("Id")}, {"Port", port}, {"RegisteredAt", call.now}});
      if (t.has("AvailabilityZone")) target["AvailabilityZone"] = t.get("AvailabilityZone");
      auto at = std::find_if(targets.begin(), targets.end(),
                             [&](const Json& k) { return target_id(k) == target_id(target); });
      if (at == targets.end())
        targets.push_back(target);
      else if (at->has("DrainUntil"))
        *at = target;
    }
    if (targets.size() > kMaxTargets)
      return fault("TooManyTargets", "You've reached the limit on the number of targets");
    return save(writer, call, kTargetGroup, group);
  }));
  return json::object();
}

Result<json::Value> Elbv2::deregister_targets(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto group = TRY(load(writer, call, kTargetGroup, in.get("TargetGroupArn")));
    auto delay = parse_int(
        attribute(AttributesOf::target_group, group["Attributes"], "deregistration_delay.timeout_seconds"));
    bool used = !TRY(users_of(writer, call, in.get("TargetGroupArn")))
    .empty();
    auto& targets = group["Targets"].array();
    for (const auto& t : in.get_array("Targets")) {
      // Without a port every port of the address goes.
      for (auto at = targets.begin(); at != targets.end();) {
        bool same =
            at->get("Id") == t.get("Id") && (!t.has("Port") || at->get_int("Port") == t.get_int("Port"));
        if (same && (!used || *delay == 0)) {
          at = targets.erase(at);
          continue;
        }
        if (same && !at->has("DrainUntil")) (*at)["DrainUntil"] = call.now + *delay * kSecond;
        ++at;
      }
    }
    return save(writer, call, kTargetGroup, group);
  }));
  return json::object();
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
Result<json::Value> Elbv2::describe_target_health(aws::Call& call, const Json& in) {
  Json group;
  bool used = false;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    group = TRY(load(reader, call, kTargetGroup, in.get("TargetGroupArn")));
    used = !TRY(users_of(reader, call, in.get("TargetGroupArn")))
    .empty();
    return {};
  }));
  json::Array out;
  auto add = [&](const Json& target, const std::string& state, const std::string& reason,
                 const std::string& description) {
    auto health = json::object({{"State", state}});
    if (!reason.empty()) health["Reason"] = reason;
    if (!description.empty()) health["Description"] = description;
    auto port = group.get("HealthCheckPort");
    out.push_back(json::object(
        {{"Target", target},
         {"TargetHealth", health},
         {"HealthCheckPort", port == "traffic-port" ? std::to_string(target.get_int("Port")) : port}}));
  };
  auto show = [&](const Json& t) {
    auto target = json::object({{"Id", t.get("Id")}, {"Port", t.get_int("Port")}});
    if (t.has("AvailabilityZone")) target["AvailabilityZone"] = t.get("AvailabilityZone");
    const auto* known = board_.find(group.get("TargetGroupArn"), target_id(t));
    if (t.has("DrainUntil"))
      add(target, "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress");
    else if (!used)
      add(target, "unused", "Target.NotInUse",
          "Target group is not configured to receive traffic from the load balancer");
    else if (known == nullptr || known->at < t.get_int("RegisteredAt"))
      add(target, "initial", "Elb.RegistrationInProgress", "Target registration is in progress");
    else
      add(target, known->state, known->reason, known->description);
  };
  const auto& targets = group.get_array("Targets");
  const auto& wanted = in.get_array("Targets");
  for (const auto& t : targets) {
    if (wanted.empty()) show(t);
  }
  for (const auto& w : wanted) {
    bool there = false;
    for (const auto& t : targets) {
      if (t.get("Id") != w.get("Id") || (w.has("Port") && t.get_int("Port") != w.get_int("Port"))) continue;
      there = true;
      show(t);
    }
    if (!there) {
      add(json::object({{"Id", w.get("Id")}, {"Port", w.get_int("Port", group.get_int("Port"))}}), "unused",
          "Target.NotRegistered", "Target is not registered to the target group");
    }
  }
  return json::object({{"TargetHealthDescriptions", out}});
}

}  // namespace bastide::services
