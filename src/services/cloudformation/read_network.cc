// What stands of EC2's, the load balancers' and ECS's resources.
#include <fmt/format.h>

#include "services/cloudformation/read.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Result<Value> ec2_one(const Context& c, const char* operation, const char* list, const char* ids,
                      const std::string& id) {
  return first_of(c.call("ec2", operation, json::object({{ids, json::array({id})}})), list, id);
}

Result<Value> read_vpc(const Context& c, const std::string& id, const Value& p) {
  const Value vpc = TRY(ec2_one(c, "DescribeVpcs", "Vpcs", "VpcIds", id));
  Value out = pick(vpc, {"CidrBlock", "InstanceTenancy"});
  out["Tags"] = plain_tags(vpc.find("Tags"));
  for (const auto& [property, attribute] : {std::pair{"EnableDnsSupport", "enableDnsSupport"},
                                            std::pair{"EnableDnsHostnames", "enableDnsHostnames"}}) {
    if (!p.has(property)) continue;
    const Value got =
        TRY(c.call("ec2", "DescribeVpcAttribute", json::object({{"VpcId", id}, {"Attribute", attribute}})));
    out[property] = member(got, property).get_bool("Value");
  }
  return out;
}

Result<Value> read_subnet(const Context& c, const std::string& id, const Value&) {
  const Value subnet = TRY(ec2_one(c, "DescribeSubnets", "Subnets", "SubnetIds", id));
  Value out = pick(subnet, {"VpcId", "AvailabilityZone", "CidrBlock", "MapPublicIpOnLaunch"});
  out["Tags"] = plain_tags(subnet.find("Tags"));
  return out;
}

Result<Value> read_table(const Context& c, const std::string& id, const Value&) {
  const Value table = TRY(ec2_one(c, "DescribeRouteTables", "RouteTables", "RouteTableIds", id));
  return json::object({{"VpcId", table.get("VpcId")}, {"Tags", plain_tags(table.find("Tags"))}});
}

Result<Value> read_route(const Context& c, const std::string& id, const Value& p) {
  const Value table =
      TRY(ec2_one(c, "DescribeRouteTables", "RouteTables", "RouteTableIds", p.get("RouteTableId")));
  for (const auto& route : table.get_array("Routes")) {
    if (route.get("DestinationCidrBlock") != p.get("DestinationCidrBlock")) continue;
    Value out = pick(route, {"DestinationCidrBlock", "GatewayId", "NatGatewayId", "NetworkInterfaceId",
                             "VpcPeeringConnectionId", "InstanceId"});
    out["RouteTableId"] = p.get("RouteTableId");
    return out;
  }
  return fault("NotFound", "the route " + id + " does not exist");
}

Result<Value> read_association(const Context& c, const std::string& id, const Value&) {
  const Value out = TRY(c.call(
      "ec2", "DescribeRouteTables",
      json::object({{"Filters", json::array({json::object({{"Name", "association.route-table-association-id"},
                                                           {"Values", json::array({id})}})})}})));
  for (const auto& table : out.get_array("RouteTables")) {
    for (const auto& a : table.get_array("Associations")) {
      if (a.get("RouteTableAssociationId") == id) return pick(a, {"RouteTableId", "SubnetId"});
    }
  }
  return fault("NotFound", "the association " + id + " does not exist");
}

Result<Value> read_gateway(const Context& c, const std::string& id, const Value&) {
  const Value g = TRY(ec2_one(c, "DescribeInternetGateways", "InternetGateways", "InternetGatewayIds", id));
  return json::object({{"Tags", plain_tags(g.find("Tags"))}});
}

Result<Value> read_attachment(const Context& c, const std::string&, const Value& p) {
  const std::string id = p.get("InternetGatewayId");
  const Value g = TRY(ec2_one(c, "DescribeInternetGateways", "InternetGateways", "InternetGatewayIds", id));
  for (const auto& a : g.get_array("Attachments")) {
    if (a.get("VpcId") == p.get("VpcId"))
      return json::object({{"InternetGatewayId", id}, {"VpcId", p.get("VpcId")}});
  }
  return fault("NotFound", "the gateway is not attached");
}

// One rule a source, as a template writes them.
Value rules(const Value& permissions, bool ingress) {
  Value out = json::array();
  for (const auto& p : permissions.array()) {
    const Value front = pick(p, {"IpProtocol", "FromPort", "ToPort"});
    auto add = [&](const char* list, const char* from, const char* to) {
      for (const auto& one : p.get_array(list)) {
        Value rule = front;
        rule[to] = one.get(from);
        if (one.has("Description")) rule["Description"] = one.get("Description");
        out.push(std::move(rule));
      }
    };
    add("IpRanges", "CidrIp", "CidrIp");
    add("Ipv6Ranges", "CidrIpv6", "CidrIpv6");
    add("UserIdGroupPairs", "GroupId", ingress ? "SourceSecurityGroupId" : "DestinationSecurityGroupId");
    add("PrefixListIds", "PrefixListId", ingress ? "SourcePrefixListId" : "DestinationPrefixListId");
  }
  return out;
}

Value list_of(const Value& v, const char* key) {
  const Value* found = v.find(key);
  return found != nullptr && found->is_array() ? *found : json::array();
}

// Port -1, or none, is every port.
Value without_all_ports(Value list) {
  for (auto& rule : list.array()) {
    for (const char* port : {"FromPort", "ToPort"}) {
      if (rule.get_int(port, 0) == -1) rule.remove(port);
    }
  }
  return list;
}

Result<Value> read_group(const Context& c, const std::string& id, const Value&) {
  const Value g = TRY(ec2_one(c, "DescribeSecurityGroups", "SecurityGroups", "GroupIds", id));
  Value out = pick(g, {"GroupName", "VpcId"});
  out["GroupDescription"] = g.get("Description");
  out["SecurityGroupIngress"] = without_all_ports(rules(list_of(g, "IpPermissions"), true));
  out["SecurityGroupEgress"] = without_all_ports(rules(list_of(g, "IpPermissionsEgress"), false));
  out["Tags"] = plain_tags(g.find("Tags"));
  return out;
}

template <bool ingress>
Result<Value> read_rule(const Context& c, const std::string& id, const Value& p) {
  const Value g = TRY(ec2_one(c, "DescribeSecurityGroups", "SecurityGroups", "GroupIds", p.get("GroupId")));
  const Value all = rules(list_of(g, ingress ? "IpPermissions" : "IpPermissionsEgress"), ingress);
  for (const auto& rule : all.array()) {
    bool same = true;
    for (const char* key : {"IpProtocol", "FromPort", "ToPort", "CidrIp", "CidrIpv6", "SourceSecurityGroupId",
                            "DestinationSecurityGroupId", "SourcePrefixListId", "DestinationPrefixListId"}) {
      same = same && (!p.has(key) || (rule.has(key) && *p.find(key) == *rule.find(key)));
    }
    if (!same) continue;
    Value out = rule;
    out["GroupId"] = p.get("GroupId");
    if (p.has("SourceSecurityGroupOwnerId"))
      out["SourceSecurityGroupOwnerId"] = p.get("SourceSecurityGroupOwnerId");
    return out;
  }
  return fault("NotFound", "the rule " + id + " does not exist");
}

// ---- load balancers

Result<void> read_attributes(const Context& c, const char* operation, const char* key, const std::string& arn,
                             const Value& p, const char* property, Value& out) {
  if (!p.has(property)) return {};
  const Value got = TRY(c.call("elbv2", operation, json::object({{key, arn}})));
  // Only those that the template sets: a balancer has many more of its own.
  Value set = json::array();
  for (const auto& wanted : p.get_array(property)) {
    for (const auto& a : got.get_array("Attributes")) {
      if (a.get("Key") == wanted.get("Key")) set.push(a);
    }
  }
  out[property] = std::move(set);
  return {};
}

Result<void> read_tags(const Context& c, const std::string& arn, const Value& p, Value& out) {
  if (!p.has("Tags")) return {};
  const Value got =
      TRY(c.call("elbv2", "DescribeTags", json::object({{"ResourceArns", json::array({arn})}})));
  const auto& all = got.get_array("TagDescriptions");
  out["Tags"] = plain_tags(all.empty() ? nullptr : all[0].find("Tags"));
  return {};
}

Result<Value> read_balancer(const Context& c, const std::string& arn, const Value& p) {
  const Value b = TRY(first_of(
      c.call("elbv2", "DescribeLoadBalancers", json::object({{"LoadBalancerArns", json::array({arn})}})),
      "LoadBalancers", arn));
  Value out = pick(b, {"Scheme", "Type", "IpAddressType", "SecurityGroups"});
  out["Name"] = b.get("LoadBalancerName");
  Value subnets = json::array();
  for (const auto& zone : b.get_array("AvailabilityZones")) subnets.push(zone.get("SubnetId"));
  if (p.has("Subnets")) out["Subnets"] = std::move(subnets);
  if (p.has("SubnetMappings")) out["SubnetMappings"] = *p.find("SubnetMappings");
  TRY(read_attributes(c, "DescribeLoadBalancerAttributes", "LoadBalancerArn", arn, p,
                      "LoadBalancerAttributes", out));
  TRY(read_tags(c, arn, p, out));
  return out;
}

Result<Value> read_target_group(const Context& c, const std::string& arn, const Value& p) {
  const Value g = TRY(first_of(
      c.call("elbv2", "DescribeTargetGroups", json::object({{"TargetGroupArns", json::array({arn})}})),
      "TargetGroups", arn));
  Value out = g;
  out["Name"] = g.get("TargetGroupName");
  if (p.has("Targets")) out["Targets"] = *p.find("Targets");  // come and go with what runs
  TRY(read_attributes(c, "DescribeTargetGroupAttributes", "TargetGroupArn", arn, p, "TargetGroupAttributes",
                      out));
  TRY(read_tags(c, arn, p, out));
  return out;
}

Result<Value> read_listener(const Context& c, const std::string& arn, const Value&) {
  return first_of(c.call("elbv2", "DescribeListeners", json::object({{"ListenerArns", json::array({arn})}})),
                  "Listeners", arn);
}

// A condition's values stand twice in an answer; a template writes them either way.
Result<Value> read_rule_of_listener(const Context& c, const std::string& arn, const Value& p) {
  Value r = TRY(first_of(c.call("elbv2", "DescribeRules", json::object({{"RuleArns", json::array({arn})}})),
                         "Rules", arn));
  r["ListenerArn"] = p.get("ListenerArn");
  return r;
}

// ---- ECS

Result<Value> read_cluster(const Context& c, const std::string& name, const Value& p) {
  Value include = json::array({"TAGS", "SETTINGS", "CONFIGURATIONS"});
  const Value cluster =
      TRY(first_of(c.call("ecs", "DescribeClusters",
                          json::object({{"clusters", json::array({name})}, {"include", std::move(include)}})),
                   "clusters", name));
  if (cluster.get("status") == "INACTIVE") return fault("NotFound", "the cluster " + name + " is deleted");
  Value out = pascal_keys(cluster);
  out["ClusterSettings"] = pascal_keys(member(cluster, "settings"));
  out["Tags"] = plain_tags(cluster.find("tags"), "key", "value");
  if (p.has("Configuration") && !out.has("Configuration")) out["Configuration"] = json::object();
  return out;
}

Result<Value> read_task_definition(const Context& c, const std::string& arn, const Value& p) {
  const Value answer =
      TRY(c.call("ecs", "DescribeTaskDefinition",
                 json::object({{"taskDefinition", arn}, {"include", json::array({"TAGS"})}})));
  const Value definition = member(answer, "taskDefinition");
  if (definition.get("status") == "INACTIVE") return fault("NotFound", arn + " is not active");
  Value out = pascal_keys(definition);
  // Maps of names that are not keys keep them.
  Value containers = json::array();
  for (const auto& one : definition.get_array("containerDefinitions")) {
    Value container = pascal_keys(one);
    if (const Value* log = one.find("logConfiguration"); log != nullptr && log->has("options"))
      container["LogConfiguration"]["Options"] = *log->find("options");
    if (const Value* labels = one.find("dockerLabels")) container["DockerLabels"] = *labels;
    containers.push(std::move(container));
  }
  out["ContainerDefinitions"] = std::move(containers);
  out["Tags"] = plain_tags(answer.find("tags"), "key", "value");
  if (p.has("RuntimePlatform") && !out.has("RuntimePlatform")) out["RuntimePlatform"] = json::object();
  return out;
}

Result<Value> read_service(const Context& c, const std::string& arn, const Value& p) {
  const Value s = TRY(first_of(c.call("ecs", "DescribeServices",
                                      json::object({{"cluster", p.get("Cluster", "default")},
                                                    {"services", json::array({arn})},
                                                    {"include", json::array({"TAGS"})}})),
                               "services", arn));
  if (s.get("status") == "INACTIVE") return fault("NotFound", arn + " is not active");
  Value out = pascal_keys(s);
  out["Tags"] = plain_tags(s.find("tags"), "key", "value");
  out["EnableECSManagedTags"] = s.get_bool("enableECSManagedTags");
  // A name stands for its ARN.
  for (const auto& [property, member_name] :
       {std::pair{"Cluster", "clusterArn"}, std::pair{"TaskDefinition", "taskDefinition"}}) {
    const std::string wanted = p.get(property), now = s.get(member_name);
    const bool same = now == wanted || now.ends_with("/" + wanted);
    out[property] = same ? wanted : now;
  }
  if (p.has("ForceNewDeployment")) out["ForceNewDeployment"] = *p.find("ForceNewDeployment");
  return out;
}

}  // namespace

void read_network(Handlers& h) {
  h["AWS::EC2::VPC"].read = read_vpc;
  h["AWS::EC2::Subnet"].read = read_subnet;
  h["AWS::EC2::RouteTable"].read = read_table;
  h["AWS::EC2::Route"].read = read_route;
  h["AWS::EC2::SubnetRouteTableAssociation"].read = read_association;
  h["AWS::EC2::InternetGateway"].read = read_gateway;
  h["AWS::EC2::VPCGatewayAttachment"].read = read_attachment;
  h["AWS::EC2::SecurityGroup"].read = read_group;
  h["AWS::EC2::SecurityGroupIngress"].read = read_rule<true>;
  h["AWS::EC2::SecurityGroupEgress"].read = read_rule<false>;
  const std::string elb = "AWS::ElasticLoadBalancingV2::";
  h[elb + "LoadBalancer"].read = read_balancer;
  h[elb + "TargetGroup"].read = read_target_group;
  h[elb + "Listener"].read = read_listener;
  h[elb + "ListenerRule"].read = read_rule_of_listener;
  h["AWS::ECS::Cluster"].read = read_cluster;
  h["AWS::ECS::TaskDefinition"].read = read_task_definition;
  h["AWS::ECS::Service"].read = read_service;
}

}  // namespace bastide::services::cfn
