// Security groups. Their rules are kept one by one (EC2's security group rules); IpPermissions are made of
// them.
#include <arpa/inet.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/ec2/cidr.h"
#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

namespace {

constexpr size_t kMaxGroups = 2'500;
constexpr size_t kMaxRules = 60;

// What makes two rules the same rule.
std::string identity(const json::Value& r) {
  const auto* group = r.find("ReferencedGroupInfo");
  return r.get("IpProtocol") + '|' + std::to_string(r.get_int("FromPort", -1)) + '|' +
         std::to_string(r.get_int("ToPort", -1)) + '|' + r.get("CidrIpv4") + '|' + r.get("CidrIpv6") + '|' +
         (group == nullptr ? "" : group->get("GroupId")) + '|' + (r.get_bool("IsEgress") ? "out" : "in");
}

std::string words(const json::Value& r) {
  const auto* group = r.find("ReferencedGroupInfo");
  auto peer = group != nullptr ? group->get("GroupId") : r.get("CidrIpv4", r.get("CidrIpv6"));
  auto protocol = r.get("IpProtocol");
  if (protocol == "-1") return "peer: " + peer + ", ALL, ALLOW";
  std::string upper = protocol;
  for (auto& c : upper) c = static_cast<char>(toupper(c));
  return "peer: " + peer + ", " + upper + ", from port: " + std::to_string(r.get_int("FromPort", -1)) +
         ", to port: " + std::to_string(r.get_int("ToPort", -1)) + ", ALLOW";
}

Result<std::string> protocol_of(const std::string& text) {
  auto name = lower(text);
  if (name == "6") name = "tcp";
  if (name == "17") name = "udp";
  if (name == "1") name = "icmp";
  if (name == "58") name = "icmpv6";
  if (name == "all") name = "-1";
  if (name == "tcp" || name == "udp" || name == "icmp" || name == "icmpv6" || name == "-1") return name;
  auto number = parse_int(name);
  if (!number || *number < 0 || *number > 255) {
    return fault("InvalidParameterValue", "Invalid value '" + text + "' for IP protocol. Unknown protocol.");
  }
  return name;
}

Result<std::string> ipv6_range(const std::string& text) {
  auto slash = text.find('/');
  in6_addr raw{};
  auto length = slash == std::string::npos ? Result<int64_t>(error("")) : parse_int(text.substr(slash + 1));
  if (!length || *length < 0 || *length > 128 ||
      inet_pton(AF_INET6, text.substr(0, slash).c_str(), &raw) != 1) {
    return fault("InvalidParameterValue", "CIDR block " + text + " is malformed");
  }
  return text;
}

// The rules that a request's IpPermissions, or its older single members, stand for.
Result<json::Array> rules_of(store::Reader& reader, const aws::Call& call, const json::Value& group,
                             const json::Value& in, bool egress) {
  auto permissions = in.get_array("IpPermissions");
  if (in.has("IpProtocol") || in.has("CidrIp") || in.has("SourceSecurityGroupName")) {
    if (!permissions.empty())
      return fault("InvalidParameterCombination",
                   "The parameter ipPermissions may not be used in combination with ipProtocol");
    auto p = json::object({{"IpProtocol", in.get("IpProtocol", "-1")}});
    for (auto* member : {"FromPort", "ToPort"}) {
      if (in.has(member)) p[member] = *in.find(member);
    }
    if (in.has("CidrIp")) p["IpRanges"] = json::array({json::object({{"CidrIp", in.get("CidrIp")}})});
    if (in.has("SourceSecurityGroupName")) {
      p["UserIdGroupPairs"] = json::array({json::object({{"GroupName", in.get("SourceSecurityGroupName")}})});
    }
    permissions.push_back(p);
  }
  if (permissions.empty())
    return fault("MissingParameter", "The request must contain the parameter ipPermissions");
  json::Array out;
  for (const auto& p : permissions) {
    auto protocol = TRY(protocol_of(p.get("IpProtocol")));
    auto rule = json::object({{"GroupId", group.get("GroupId")},
                              {"GroupOwnerId", call.account},
                              {"IsEgress", egress},
                              {"IpProtocol", protocol}});
    bool ports = protocol == "tcp" || protocol == "udp";
    bool icmp = protocol == "icmp" || protocol == "icmpv6";
    auto from = p.get_int("FromPort", -1), to = p.get_int("ToPort", -1);
    if (ports && (!p.has("FromPort") || !p.has("ToPort"))) {
      return fault("InvalidParameterValue",
                   "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.");
    }
    if (ports && (from < 0 || to > 65535 || from > to)) {
      return fault("InvalidParameterValue",
                   "Invalid TCP/UDP port range (" + std::to_string(from) + ":" + std::to_string(to) + ")");
    }
    if (icmp && (from < -1 || from > 255 || to < -1 || to > 255))
      return fault("InvalidParameterValue", "ICMP code or type is out of range");
    rule["FromPort"] = ports || icmp ? from : int64_t{-1};
    rule["ToPort"] = ports || icmp ? to : int64_t{-1};
    auto add = [&](const json::Value& source, std::string_view member, json::Value value) {
      auto one = rule;
      one[member] = std::move(value);
      if (source.has("Description")) one["Description"] = source.get("Description");
      out.push_back(std::move(one));
    };
    size_t before = out.size();
    for (const auto& range : p.get_array("IpRanges")) {
      auto cidr = Cidr::parse(range.get("CidrIp"));
      if (!cidr) return fault("InvalidParameterValue", "CIDR block " + range.get("CidrIp") + " is malformed");
      add(range, "CidrIpv4", cidr->text());
    }
    for (const auto& range : p.get_array("Ipv6Ranges"))
      add(range, "CidrIpv6", TRY(ipv6_range(range.get("CidrIpv6"))));
    for (const auto& pair : p.get_array("UserIdGroupPairs")) {
      auto id = pair.get("GroupId");
      if (pair.has("UserId") && pair.get("UserId") != call.account) {
        return fault("InvalidGroup.NotFound", "The security group '" + id + "' does not exist");
      }
      if (id.empty()) {
        for (const auto& g : TRY(all(reader, call, kGroup, group.get("VpcId")))) {
          if (g.get("GroupName") == pair.get("GroupName")) id = g.get("GroupId");
        }
        if (id.empty())
          return fault("InvalidGroup.NotFound",
                       "The security group '" + pair.get("GroupName") + "' does not exist");
      }
      TRY(load(reader, call, kGroup, id));
      add(pair, "ReferencedGroupInfo", json::object({{"GroupId", id}, {"UserId", call.account}}));
    }
    if (!p.get_array("PrefixListIds").empty())
      return fault("UnsupportedOperation", "Prefix lists are not supported in security groups.");
    if (out.size() == before)
      return fault("InvalidParameterValue", "A rule needs an IP range or a security group as its peer.");
  }
  return out;
}

json::Value finished(json::Value rule, const aws::Call& call) {
  auto id = new_id("sgr");
  rule["SecurityGroupRuleId"] = id;
  rule["SecurityGroupRuleArn"] =
      "arn:aws:ec2:" + call.region + ":" + call.account + ":security-group-rule/" + id;
  return rule;
}

// Rules of one direction, put together by protocol and ports as EC2 shows them.
json::Array permissions_of(const json::Value& group, bool egress) {
  json::Array out;
  for (const auto& r : group.get_array("Rules")) {
    if (r.get_bool("IsEgress") != egress) continue;
    json::Value* at = nullptr;
    for (auto& p : out) {
      bool same = p.get("IpProtocol") == r.get("IpProtocol") &&
                  p.get_int("FromPort", -1) == r.get_int("FromPort", -1) &&
                  p.get_int("ToPort", -1) == r.get_int("ToPort", -1);
      if (same) at = &p;
    }
    if (at == nullptr) {
      auto p = json::object({{"IpProtocol", r.get("IpProtocol")},
                             {"IpRanges", json::array()},
                             {"Ipv6Ranges", json::array()},
                             {"UserIdGroupPairs", json::array()},
                             {"PrefixListIds", json::array()}});
      if (r.get("IpProtocol") != "-1") {
        p["FromPort"] = r.get_int("FromPort");
        p["ToPort"] = r.get_int("ToPort");
      }
      out.push_back(std::move(p));
      at = &out.back();
    }
    auto source = json::object();
    if (r.has("Description")) source["Description"] = r.get("Description");
    if (r.has("CidrIpv4")) {
      source["CidrIp"] = r.get("CidrIpv4");
      (*at)["IpRanges"].push(source);
    } else if (r.has("CidrIpv6")) {
      source["CidrIpv6"] = r.get("CidrIpv6");
      (*at)["Ipv6Ranges"].push(source);
    } else {
      source["GroupId"] = r.find("ReferencedGroupInfo")->get("GroupId");
      source["UserId"] = r.get("GroupOwnerId");
      (*at)["UserIdGroupPairs"].push(source);
    }
  }
  return out;
}

Result<json::Value> group_of(store::Reader& reader, const aws::Call& call, const json::Value& in) {
  if (in.has("GroupId")) {
    auto found = load(reader, call, kGroup, in.get("GroupId"));
    if (!found && found.error().code == kGroup.not_found) {
      return fault(kGroup.not_found, "The security group '" + in.get("GroupId") + "' does not exist");
    }
    return found;
  }
  if (in.has("GroupName")) {
    return fault("InvalidParameterValue",
                 "Group names serve in the default VPC alone, and there is none; name the group by groupId.");
  }
  return fault("MissingParameter", "The request must contain the parameter groupName or groupId");
}

const FilterPaths& group_paths() {
  static const FilterPaths paths{
      {"group-id", "GroupId"},
      {"group-name", "GroupName"},
      {"vpc-id", "VpcId"},
      {"owner-id", "OwnerId"},
      {"description", "Description"},
      {"ip-permission.protocol", "IpPermissions.IpProtocol"},
      {"ip-permission.from-port", "IpPermissions.FromPort"},
      {"ip-permission.to-port", "IpPermissions.ToPort"},
      {"ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"},
      {"ip-permission.group-id", "IpPermissions.UserIdGroupPairs.GroupId"},
      {"egress.ip-permission.protocol", "IpPermissionsEgress.IpProtocol"},
      {"egress.ip-permission.cidr", "IpPermissionsEgress.IpRanges.CidrIp"},
      {"egress.ip-permission.group-id", "IpPermissionsEgress.UserIdGroupPairs.GroupId"}};
  return paths;
}

}  // namespace

namespace ec2 {
Result<std::string> make_group(store::Writer& writer, const aws::Call& call, const std::string& vpc,
                               const std::string& name, const std::string& description, json::Array tags) {
  auto id = new_id("sg");
  auto group = json::object(
      {{"GroupId", id},
       {"GroupName", name},
       {"Description", description},
       {"VpcId", vpc},
       {"OwnerId", call.account},
       {"Tags", std::move(tags)},
       {"SecurityGroupArn", "arn:aws:ec2:" + call.region + ":" + call.account + ":security-group/" + id}});
  auto base = json::object({{"GroupId", id},
                            {"GroupOwnerId", call.account},
                            {"IpProtocol", "-1"},
                            {"FromPort", -1},
                            {"ToPort", -1}});
  auto out = base;
  out["IsEgress"] = true;
  out["CidrIpv4"] = "0.0.0.0/0";
  group["Rules"] = json::array({finished(out, call)});
  if (name == "default") {
    auto in = base;
    in["IsEgress"] = false;
    in["ReferencedGroupInfo"] = json::object({{"GroupId", id}, {"UserId", call.account}});
    group["Rules"].push(finished(in, call));
  }
  TRY(save(writer, call, kGroup, group));
  return id;
}
}  // namespace ec2

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
Result<json::Value> Ec2::create_security_group(aws::Call& call, const Json& in) {
  auto name = in.get("GroupName"), description = in.get("Description"), vpc = in.get("VpcId");
  if (vpc.empty()) return fault("VPCIdNotSpecified", "No default VPC for this user");
  if (name.empty() || name.size() > 255)
    return fault("InvalidParameterValue", "Invalid security group name: it has 1 to 255 characters.");
  if (name.substr(0, 3) == "sg-")
    return fault("InvalidParameterValue", "Invalid group name. The name cannot start with 'sg-'.");
  if (description.empty() || description.size() > 255)
    return fault("InvalidParameterValue", "Invalid security group description: it has 1 to 255 characters.");
  if (name == "default")
    return fault("InvalidParameterValue", "Cannot use reserved security group name: default");
  auto tags = TRY(tags_of(in, kGroup));
  std::string id;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    TRY(load(writer, call, kVpc, vpc));
    size_t count = 0;
    for (const auto& g : TRY(all(writer, call, kGroup))) {
      ++count;
      if (g.get("VpcId") == vpc && g.get("GroupName") == name) {
        return fault("InvalidGroup.Duplicate",
                     "The security group '" + name + "' already exists for VPC '" + vpc + "'");
      }
    }
    if (count >= kMaxGroups)
      return fault("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.");
    id = TRY(make_group(writer, call, vpc, name, description, tags));
    return {};
  }));
  return json::object(
      {{"GroupId", id},
       {"Tags", tags},
       {"SecurityGroupArn", "arn:aws:ec2:" + call.region + ":" + call.account + ":security-group/" + id}});
}

Result<json::Value> Ec2::delete_security_group(aws::Call& call, const Json& in) {
  std::string id;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto group = TRY(group_of(writer, call, in));
    id = group.get("GroupId");
    if (group.get("GroupName") == "default")
      return fault("CannotDelete",
                   "the specified group: \"" + id + "\" name: \"default\" cannot be deleted by a user");
    bool used = false;
    for (const auto& g : TRY(all(writer, call, kGroup))) {
      for (const auto& r : g.get_array("Rules")) {
        const auto* other = r.find("ReferencedGroupInfo");
        used |= g.get("GroupId") != id && other != nullptr && other->get("GroupId") == id;
      }
    }
    for (const auto& i : TRY(all(writer, call, kInterface))) {
      for (const auto& g : i.get_array("Groups")) used |= g.get("GroupId") == id;
    }
    if (used) return fault("DependencyViolation", "resource " + id + " has a dependent object");
    return ec2::remove(writer, call, kGroup, id);
  }));
  return json::object({{"Return", true}, {"GroupId", id}});
}

Result<json::Value> Ec2::describe_security_groups(aws::Call& call, const Json& in) {
  std::vector<Json> groups;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    const auto& ids = in.get_array("GroupIds");
    const auto& names = in.get_array("GroupNames");
    for (const auto& id : ids) {
      groups.push_back(TRY(group_of(reader, call, json::object({{"GroupId", id}}))));
    }
    if (!ids.empty()) return {};
    groups = TRY(all(reader, call, kGroup));
    if (names.empty()) return {};
    std::erase_if(groups, [&](const Json& g) {
      return std::none_of(names.begin(), names.end(),
                          [&](const Json& n) { return n == Json(g.get("GroupName")); });
    });
    return {};
  }));
  for (auto& g : groups) {
    g["IpPermissions"] = permissions_of(g, false);
    g["IpPermissionsEgress"] = permissions_of(g, true);
  }
  const auto* filters = in.find("Filters");
  if (filters != nullptr) TRY(apply_filters(*filters, group_paths(), groups));
  auto answer = json::object();
  auto found = TRY(page(std::move(groups), "GroupId", in, answer));
  answer["SecurityGroups"] = std::move(found);
  return answer;
}

Result<json::Value> Ec2::describe_security_group_rules(aws::Call& call, const Json& in) {
  std::vector<Json> rules;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto& g : TRY(all(reader, call, kGroup))) {
      for (const auto& r : g.get_array("Rules")) rules.push_back(r);
    }
    return {};
  }));
  const auto& ids = in.get_array("SecurityGroupRuleIds");
  for (const auto& id : ids) {
    bool there = std::any_of(rules.begin(), rules.end(),
                             [&](const Json& r) { return Json(r.get("SecurityGroupRuleId")) == id; });
    if (!there)
      return fault("InvalidSecurityGroupRuleId.NotFound",
                   "The security group rule ID '" + id.string() + "' does not exist");
  }
  if (!ids.empty()) {
    std::erase_if(rules, [&](const Json& r) {
      return std::find(ids.begin(), ids.end(), Json(r.get("SecurityGroupRuleId"))) == ids.end();
    });
  }
  static const FilterPaths paths{{"group-id", "GroupId"}, {"security-group-rule-id", "SecurityGroupRuleId"}};
  const auto* filters = in.find("Filters");
  if (filters != nullptr) TRY(apply_filters(*filters, paths, rules));
  auto answer = json::object();
  auto found = TRY(page(std::move(rules), "SecurityGroupRuleId", in, answer));
  answer["SecurityGroupRules"] = std::move(found);
  return answer;
}

Result<json::Value> Ec2::authorize(aws::Call& call, const Json& in, bool egress) {
  json::Array added;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    added.clear();
    auto group = TRY(group_of(writer, call, in));
    auto rules = TRY(rules_of(writer, call, group, in, egress));
    auto& kept = group["Rules"];
    size_t count = 0;
    for (auto& rule : rules) {
      for (const auto& k : kept.array()) {
        if (identity(k) == identity(rule)) {
          return fault("InvalidPermission.Duplicate",
                       "the specified rule \"" + words(rule) + "\" already exists");
        }
      }
      added.push_back(finished(std::move(rule), call));
      kept.push(added.back());
    }
    for (const auto& k : kept.array()) count += k.get_bool("IsEgress") == egress;
    if (count > kMaxRules)
      return fault("RulesPerSecurityGroupLimitExceeded",
                   "The maximum number of rules per security group has been reached.");
    return save(writer, call, kGroup, group);
  }));
  return json::object({{"Return", true}, {"SecurityGroupRules", added}});
}

Result<json::Value> Ec2::revoke(aws::Call& call, const Json& in, bool egress) {
  json::Array gone;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    gone.clear();
    auto group = TRY(group_of(writer, call, in));
    auto& kept = group["Rules"].array();
    auto take = [&](auto fits) {
      auto at = std::find_if(kept.begin(), kept.end(), fits);
      if (at == kept.end()) return false;
      gone.push_back(*at);
      kept.erase(at);
      return true;
    };
    const auto& ids = in.get_array("SecurityGroupRuleIds");
    for (const auto& id : ids) {
      if (!take([&](const Json& r) {
            return r.get_bool("IsEgress") == egress && Json(r.get("SecurityGroupRuleId")) == id;
          })) {
        return fault("InvalidSecurityGroupRuleId.NotFound",
                     "The security group rule ID '" + id.string() + "' does not exist");
      }
    }
    if (ids.empty()) {
      for (const auto& rule : TRY(rules_of(writer, call, group, in, egress))) {
        if (!take([&](const Json& r) { return identity(r) == identity(rule); })) {
          return fault("InvalidPermission.NotFound",
                       "The specified rule does not exist in this security group.");
        }
      }
    }
    return save(writer, call, kGroup, group);
  }));
  return json::object({{"Return", true}, {"RevokedSecurityGroupRules", gone}});
}

Result<json::Value> Ec2::authorize_ingress(aws::Call& call, const Json& in) {
  return authorize(call, in, false);
}
Result<json::Value> Ec2::authorize_egress(aws::Call& call, const Json& in) {
  return authorize(call, in, true);
}
Result<json::Value> Ec2::revoke_ingress(aws::Call& call, const Json& in) { return revoke(call, in, false); }
Result<json::Value> Ec2::revoke_egress(aws::Call& call, const Json& in) { return revoke(call, in, true); }

}  // namespace bastide::services
