// An environment: its key, roles, cluster and load balancer; and each app's place in it.
#include <fmt/format.h>

#include "architecture/templates.h"

namespace bastide::architecture {
namespace {

json::Value only_from_pipeline(const Accounts& accounts) {
  const std::string role = "arn:aws:iam::" + accounts.at("shared-services") + ":role/bastide-pipeline";
  return json::object({{"ArnEquals", json::object({{"aws:PrincipalArn", role}})}});
}

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
json::Value key_policy() {
  json::Value all =
      json::object({{"Sid", "AccountDecidesByIam"},
                    {"Effect", "Allow"},
                    {"Principal", json::object({{"AWS", sub("arn:aws:iam::${AWS::AccountId}:root")}})},
                    {"Action", "kms:*"},
                    {"Resource", "*"}});
  return policy({std::move(all)});
}

json::Value deploy_role(const Accounts& accounts) {
  json::Value pass = allow(
      {"iam:PassRole"}, sub("arn:aws:iam::${AWS::AccountId}:role/bastide-*"),
      json::object({{"StringEquals", json::object({{"iam:PassedToService", "ecs-tasks.amazonaws.com"}})}}));
  return resource(
      "AWS::IAM::Role",
      json::object(
          {{"RoleName", "bastide-deploy"},
           {"AssumeRolePolicyDocument",
            trust_account(accounts.at("shared-services"), only_from_pipeline(accounts))},
           {"Policies",
            json::array({named_policy(
                "deploy", {allow({"ecs:CreateService", "ecs:DeregisterTaskDefinition", "ecs:DescribeClusters",
                                  "ecs:DescribeServices", "ecs:DescribeTaskDefinition", "ecs:DescribeTasks",
                                  "ecs:ListServices", "ecs:ListTasks", "ecs:RegisterTaskDefinition",
                                  "ecs:StopTask", "ecs:TagResource", "ecs:UpdateService",
                                  "ecs:DescribeServiceDeployments", "ecs:ListServiceDeployments"},
                                 "*"),
                           allow({"elasticloadbalancing:CreateRule", "elasticloadbalancing:DescribeRules",
                                  "elasticloadbalancing:DescribeTargetGroups",
                                  "elasticloadbalancing:DescribeTargetHealth"},
                                 "*"),
                           allow({"logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"},
                                 sub("arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:/bastide/*")),
                           std::move(pass)})})}}));
}

json::Value execution_role(const Accounts& accounts) {
  return resource(
      "AWS::IAM::Role",
      json::object(
          {{"RoleName", "bastide-execution"},
           {"AssumeRolePolicyDocument", trust_service("ecs-tasks.amazonaws.com")},
           {"Policies",
            json::array({named_policy(
                "start-tasks",
                {allow({"ecr:GetAuthorizationToken"}, "*"),
                 allow({"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
                       sub("arn:aws:ecr:${AWS::Region}:" + accounts.at("shared-services") + ":repository/*")),
                 allow({"logs:CreateLogStream", "logs:PutLogEvents"},
                       sub("arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:/bastide/*"))})})}}));
}

std::string first_message(const Architecture& a, const std::string& environment) {
  const bool first = !a.environments.empty() && a.environments.front().name == environment;
  if (first)
    return fmt::format("Nothing is deployed to {} yet: push to the branch {}\n", environment, a.branch);
  if (!a.promote_tag.empty()) {
    return fmt::format(
        "Nothing is promoted to {} yet: git tag v1 && git push --tags, or bastide promote --env {}\n",
        environment, environment);
  }
  return fmt::format("Nothing is promoted to {} yet: bastide promote --env {}\n", environment, environment);
}

}  // namespace

json::Value platform_template(const Architecture& a, const Accounts& accounts,
                              const std::string& environment) {
  json::Value key = retained(
      resource("AWS::KMS::Key", json::object({{"Description", "Secrets of " + a.name + " in " + environment},
                                              {"EnableKeyRotation", true},
                                              {"KeyPolicy", key_policy()}})));
  json::Value certificates = json::object(
      {{"Fn::If", json::array({"HasCertificate",
                               json::array({json::object({{"CertificateArn", ref("CertificateArn")}})}),
                               ref("AWS::NoValue")})}});
  json::Value nothing =
      json::object({{"Type", "fixed-response"},
                    {"FixedResponseConfig", json::object({{"StatusCode", "503"},
                                                          {"ContentType", "text/plain"},
                                                          {"MessageBody", first_message(a, environment)}})}});
  json::Value r = json::object(
      {{"Key", std::move(key)},
       {"KeyAlias", resource("AWS::KMS::Alias", json::object({{"AliasName", "alias/bastide-" + environment},
                                                              {"TargetKeyId", ref("Key")}}))},
       {"DeployRole", deploy_role(accounts)},
       {"ExecutionRole", execution_role(accounts)},
       {"Cluster", resource("AWS::ECS::Cluster", json::object({{"ClusterName", a.name}}))},
       {"Balancer",
        resource("AWS::ElasticLoadBalancingV2::LoadBalancer",
                 json::object({{"Name", "bastide-" + environment.substr(0, 20)},
                               {"Scheme", "internet-facing"},
                               {"Type", "application"},
                               {"SecurityGroups", json::array({import_of("balancer-group")})},
                               {"Subnets", json::array({import_of("subnet-a"), import_of("subnet-b")})}}))},
       {"Listener", resource("AWS::ElasticLoadBalancingV2::Listener",
                             json::object({{"LoadBalancerArn", ref("Balancer")},
                                           {"Port", 443},
                                           {"Protocol", "HTTPS"},
                                           {"Certificates", std::move(certificates)},
                                           {"DefaultActions", json::array({std::move(nothing)})}}))}});
  json::Value outputs = json::object({{"KeyArn", output(att("Key", "Arn"), "key")},
                                      {"DeployRoleArn", output(att("DeployRole", "Arn"))},
                                      {"ExecutionRoleArn", output(att("ExecutionRole", "Arn"))},
                                      {"ClusterName", output(ref("Cluster"))},
                                      {"BalancerArn", output(ref("Balancer"))},
                                      {"BalancerDnsName", output(att("Balancer", "DNSName"))},
                                      {"BalancerName", output(att("Balancer", "LoadBalancerFullName"), "balancer-name")},
                                      {"ListenerArn", output(ref("Listener"), "listener")}});
  json::Value parameters = json::object(
      {{"CertificateArn",
        json::object({{"Type", "String"},
                      {"Default", ""},
                      {"Description", "Of ACM; empty where the house's own authority certifies"}})}});
  json::Value conditions = json::object(
      {{"HasCertificate",
        json::object({{"Fn::Not", json::array({json::object(
                                      {{"Fn::Equals", json::array({ref("CertificateArn"), ""})}})})}})}});
  return document("The platform of " + a.name + " in " + environment, std::move(r), std::move(outputs),
                  std::move(parameters), std::move(conditions));
}

json::Value app_template(const Architecture& a, const App& app, const std::string& environment,
                         int priority) {
  const std::string host = app.name + "." + environment + ".localhost";
  json::Value parameters =
      json::object({{"HostName", json::object({{"Type", "String"}, {"Default", host}})}});
  json::Value r = json::object(
      {{"TaskRole",
        resource("AWS::IAM::Role",
                 json::object({{"RoleName", "bastide-task-" + app.name},
                               {"AssumeRolePolicyDocument", trust_service("ecs-tasks.amazonaws.com")},
                               {"Policies",
                                json::array({named_policy("decrypt-own-secrets",
                                                          {allow({"kms:Decrypt"}, import_of("key"))})})}}))},
       {"Logs", retained(resource("AWS::Logs::LogGroup",
                                  json::object({{"LogGroupName", "/bastide/" + environment + "/" + app.name},
                                                {"RetentionInDays", 90}})))},
       {"Targets",
        resource("AWS::ElasticLoadBalancingV2::TargetGroup",
                 json::object({{"Name", "bastide-" + app.name},
                               {"VpcId", import_of("vpc")},
                               {"TargetType", "ip"},
                               {"Protocol", "HTTP"},
                               {"Port", app.port},
                               {"HealthCheckPath", app.health},
                               {"HealthCheckIntervalSeconds", 5},
                               {"HealthCheckTimeoutSeconds", 2},
                               {"HealthyThresholdCount", 2},
                               {"UnhealthyThresholdCount", 2},
                               {"TargetGroupAttributes",
                                json::array({json::object({{"Key", "deregistration_delay.timeout_seconds"},
                                                           {"Value", "10"}})})}}))},
       // The rule that forwards to the tasks comes with the first release, before this one.
       {"NotYet",
        resource(
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            json::object(
                {{"ListenerArn", import_of("listener")},
                 {"Priority", 1000 + priority},
                 {"Conditions",
                  json::array({json::object(
                      {{"Field", "host-header"},
                       {"HostHeaderConfig", json::object({{"Values", json::array({ref("HostName")})}})}})})},
                 {"Actions", json::array({json::object(
                                 {{"Type", "fixed-response"},
                                  {"FixedResponseConfig",
                                   json::object({{"StatusCode", "503"},
                                                 {"ContentType", "text/plain"},
                                                 {"MessageBody", first_message(a, environment)}})}})})}}))}});
  json::Value outputs = json::object({{"TaskRoleArn", output(att("TaskRole", "Arn"))},
                                      {"LogGroup", output(ref("Logs"))},
                                      {"TargetGroupArn", output(ref("Targets"))},
                                      {"TargetGroupName", output(att("Targets", "TargetGroupFullName"), "targets-" + app.name)},
                                      {"HostName", output(ref("HostName"))}});
  return document("The place of " + app.name + " (" + a.name + ") in " + environment, std::move(r),
                  std::move(outputs), std::move(parameters));
}

}  // namespace bastide::architecture
