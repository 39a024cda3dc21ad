// What all environments share: images, the pipeline, and the network for those who run it.
#include "architecture/templates.h"

namespace bastide::architecture {
namespace {

json::Value quarter(int which) {
  return json::object(
      {{"Fn::Select",
        json::array({which, json::object({{"Fn::Cidr", json::array({att("Vpc", "CidrBlock"), 4, 14})}})})}});
}

}  // namespace

json::Value network_template(const std::string& what, const std::string& cidr, bool balancer, json::Value peering_role) {
  const int bits = 32 - std::stoi(cidr.substr(cidr.find('/') + 1)) - 2;
  json::Value r = json::object(
      {{"Vpc",
        resource("AWS::EC2::VPC",
                 json::object({{"CidrBlock", cidr},
                               {"EnableDnsSupport", true},
                               {"EnableDnsHostnames", true},
                               {"Tags", json::array({json::object({{"Key", "Name"}, {"Value", what}})})}}))},
       {"Gateway", resource("AWS::EC2::InternetGateway", json::object())},
       {"GatewayAttachment",
        resource("AWS::EC2::VPCGatewayAttachment",
                 json::object({{"VpcId", ref("Vpc")}, {"InternetGatewayId", ref("Gateway")}}))},
       {"RouteTable", resource("AWS::EC2::RouteTable", json::object({{"VpcId", ref("Vpc")}}))}});
  r["DefaultRoute"] = resource("AWS::EC2::Route", json::object({{"RouteTableId", ref("RouteTable")},
                                                                {"DestinationCidrBlock", "0.0.0.0/0"},
                                                                {"GatewayId", ref("Gateway")}}));
  r["DefaultRoute"]["DependsOn"] = "GatewayAttachment";
  for (int i = 0; i < 2; ++i) {
    const std::string name = i == 0 ? "SubnetA" : "SubnetB";
    json::Value block = quarter(i);
    block.object()[0].second.array()[1].object()[0].second.array()[2] = bits;
    r[name] = resource(
        "AWS::EC2::Subnet",
        json::object({{"VpcId", ref("Vpc")},
                      {"AvailabilityZone",
                       json::object({{"Fn::Select", json::array({i, json::object({{"Fn::GetAZs", ""}})})}})},
                      {"CidrBlock", std::move(block)}}));
    r[name + "Routes"] =
        resource("AWS::EC2::SubnetRouteTableAssociation",
                 json::object({{"SubnetId", ref(name.c_str())}, {"RouteTableId", ref("RouteTable")}}));
  }
  json::Value outputs = json::object({{"VpcId", output(ref("Vpc"), "vpc")},
                                      {"SubnetA", output(ref("SubnetA"), "subnet-a")},
                                      {"SubnetB", output(ref("SubnetB"), "subnet-b")},
                                      {"RouteTableId", output(ref("RouteTable"), "route-table")}});
  if (!peering_role.is_null()) {
    r["PeerRole"] = std::move(peering_role);
    outputs["PeerRoleArn"] = output(att("PeerRole", "Arn"));
  }
  if (balancer) {
    r["BalancerGroup"] = resource(
        "AWS::EC2::SecurityGroup",
        json::object({{"GroupDescription", "The load balancer: the public reaches it by HTTP and HTTPS"},
                      {"VpcId", ref("Vpc")},
                      {"SecurityGroupIngress", json::array({json::object({{"IpProtocol", "tcp"},
                                                                          {"FromPort", 80},
                                                                          {"ToPort", 80},
                                                                          {"CidrIp", "0.0.0.0/0"}}),
                                                            json::object({{"IpProtocol", "tcp"},
                                                                          {"FromPort", 443},
                                                                          {"ToPort", 443},
                                                                          {"CidrIp", "0.0.0.0/0"}})})}}));
    r["AppGroup"] = resource(
        "AWS::EC2::SecurityGroup",
        json::object(
            {{"GroupDescription", "The apps: the load balancer reaches them, and who came in by the VPN or the bastion"},
             {"VpcId", ref("Vpc")},
             {"SecurityGroupIngress",
              json::array({json::object({{"IpProtocol", "tcp"},
                                         {"FromPort", 1},
                                         {"ToPort", 65535},
                                         {"SourceSecurityGroupId", att("BalancerGroup", "GroupId")}}),
                           json::object({{"IpProtocol", "tcp"},
                                         {"FromPort", 1},
                                         {"ToPort", 65535},
                                         {"CidrIp", kSharedCidr}})})}}));
    outputs["BalancerGroup"] = output(att("BalancerGroup", "GroupId"), "balancer-group");
    outputs["AppGroup"] = output(att("AppGroup", "GroupId"), "app-group");
  }
  return document("The network of " + what, std::move(r), std::move(outputs));
}

json::Value shared_template(const Architecture& a, const Accounts& accounts) {
  json::Value r = json::object();
  json::Value outputs = json::object();
  json::Value pullers = json::array();
  json::Value deploy_roles = json::array();
  for (const auto& e : a.environments) {
    pullers.push("arn:aws:iam::" + accounts.at(e.name) + ":root");
    deploy_roles.push("arn:aws:iam::" + accounts.at(e.name) + ":role/bastide-deploy");
    for (const auto& app : a.apps) {
      if (!app.static_folder.empty())
        deploy_roles.push("arn:aws:iam::" + accounts.at(e.name) + ":role/bastide-publish-" + app.name);
    }
  }
  json::Value repositories = json::array();
  for (const auto& app : a.apps) {
    const std::string id = "Repository" + logical(app.name);
    json::Value pull = json::object({{"Effect", "Allow"},
                                     {"Principal", json::object({{"AWS", pullers}})},
                                     {"Action", list({"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
                                                      "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"})}});
    r[id] = retained(resource("AWS::ECR::Repository",
                              json::object({{"RepositoryName", app.name},
                                            {"ImageTagMutability", "IMMUTABLE"},
                                            {"RepositoryPolicyText", policy({std::move(pull)})}})));
    repositories.push(att(id.c_str(), "Arn"));
    outputs[id + "Uri"] = output(att(id.c_str(), "RepositoryUri"));
  }
  json::Value push =
      allow({"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload",
             "ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer",
             "ecr:InitiateLayerUpload", "ecr:ListImages", "ecr:PutImage", "ecr:UploadLayerPart"},
            sub("arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/*"));
  json::Value logs = allow({"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents",
                            "logs:GetLogEvents", "logs:FilterLogEvents", "logs:DescribeLogStreams"},
                           sub("arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:/bastide/*"));
  r["PipelineRole"] = resource(
      "AWS::IAM::Role",
      json::object({{"RoleName", "bastide-pipeline"},
                    {"AssumeRolePolicyDocument", trust_service("bastide.amazonaws.com")},
                    {"Policies", json::array({named_policy(
                                     "deliver", {allow({"ecr:GetAuthorizationToken"}, "*"), std::move(push),
                                                 std::move(logs),
                                                 allow({"sts:AssumeRole"}, std::move(deploy_roles))})})}}));
  r["PipelineLogs"] = resource(
      "AWS::Logs::LogGroup", json::object({{"LogGroupName", "/bastide/pipeline"}, {"RetentionInDays", 90}}));
  outputs["PipelineRoleArn"] = output(att("PipelineRole", "Arn"));
  return document("Images and the pipeline of " + a.name, std::move(r), std::move(outputs));
}

}  // namespace bastide::architecture
