// Who there is (security account), and what roles each account offers to them.
#include "architecture/templates.h"

namespace bastide::architecture {
namespace {

// What everyone may do for oneself: password, MFA, access keys.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_aws_my-sec-creds-self-manage.html
json::Value self_management() {
  const json::Value me = sub("arn:aws:iam::${AWS::AccountId}:user/${!aws:username}");
  return policy({allow({"iam:GetAccountPasswordPolicy", "iam:ListVirtualMFADevices", "iam:ListUsers"}, "*"),
                 allow({"iam:GetUser", "iam:ChangePassword", "iam:CreateAccessKey", "iam:DeleteAccessKey",
                        "iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:GetAccessKeyLastUsed",
                        "iam:GetLoginProfile", "iam:ListMFADevices", "iam:EnableMFADevice",
                        "iam:ResyncMFADevice", "iam:DeactivateMFADevice", "iam:ListGroupsForUser"},
                       me),
                 allow({"iam:CreateVirtualMFADevice", "iam:DeleteVirtualMFADevice"},
                       sub("arn:aws:iam::${AWS::AccountId}:mfa/${!aws:username}")),
                 // What `bastide auth` asks of the sign-in service; somebody else decides over each request.
                 allow({"bastide:ListAssumableRoles", "bastide:CreateAccessRequest", "bastide:ListAccessRequests"}, "*")});
}

json::Value role(const std::string& name, const std::string& trusted, const std::string& policy_name,
                 json::Array statements) {
  return resource(
      "AWS::IAM::Role",
      json::object({{"RoleName", name},
                    {"AssumeRolePolicyDocument", trust_account(trusted)},
                    {"Policies", json::array({named_policy(policy_name, std::move(statements))})}}));
}

const std::vector<std::string> kLook = {"cloudformation:Describe*",
                                        "cloudformation:Get*",
                                        "cloudformation:List*",
                                        "ec2:Describe*",
                                        "ecr:BatchGet*",
                                        "ecr:Describe*",
                                        "ecr:Get*",
                                        "ecr:List*",
                                        "ecs:Describe*",
                                        "ecs:List*",
                                        "elasticloadbalancing:Describe*",
                                        "logs:Describe*",
                                        "logs:FilterLogEvents",
                                        "logs:Get*",
                                        "logs:List*",
                                        "kms:DescribeKey",
                                        "kms:GetKeyPolicy",
                                        "kms:List*",
                                        "iam:Get*",
                                        "iam:List*",
                                        "bastide:Describe*",
                                        "bastide:Get*",
                                        "bastide:List*"};

}  // namespace

json::Value access_template(const Architecture& a, const Accounts& accounts, const std::string& account) {
  const std::string& security = accounts.at("security");
  std::vector<std::string> develop = kLook;
  // A developer changes what runs through the pipeline, and writes secrets that only the running app reads.
  for (const char* action :
       {"kms:Encrypt", "kms:GenerateDataKey", "ecs:UpdateService", "ecs:StopTask", "ecs:ExecuteCommand",
        "bastide:PromoteRelease", "bastide:RollbackEnvironment", "bastide:Push"}) {
    develop.emplace_back(action);
  }
  json::Value resources =
      json::object({{"AdminRole", role("bastide-admin", security, "everything", {allow({"*"}, "*")})},
                    {"DeveloperRole", role("bastide-developer", security, "develop", {allow(develop, "*")})},
                    {"ReadonlyRole", role("bastide-readonly", security, "look", {allow(kLook, "*")})}});
  json::Value outputs = json::object({{"AdminRoleArn", output(att("AdminRole", "Arn"))},
                                      {"DeveloperRoleArn", output(att("DeveloperRole", "Arn"))},
                                      {"ReadonlyRoleArn", output(att("ReadonlyRole", "Arn"))}});
  return document("Roles that people of " + a.name + " assume in " + account, std::move(resources),
                  std::move(outputs));
}

json::Value people_template(const Architecture& a, const Accounts& accounts) {
  json::Value resources = json::object(
      {{"SelfManagement",
        resource("AWS::IAM::ManagedPolicy", json::object({{"ManagedPolicyName", "bastide-self-management"},
                                                          {"PolicyDocument", self_management()}}))}});
  json::Value outputs = json::object();
  for (const auto& g : a.groups) {
    json::Value roles = json::array();
    for (const auto& [account, names] : g.roles) {
      for (const auto& name : names)
        roles.push("arn:aws:iam::" + accounts.at(account) + ":role/bastide-" + name);
    }
    json::Value properties =
        json::object({{"GroupName", g.name}, {"ManagedPolicyArns", json::array({ref("SelfManagement")})}});
    if (!roles.array().empty()) {
      properties["Policies"] =
          json::array({named_policy("assume-roles", {allow({"sts:AssumeRole"}, std::move(roles))})});
    }
    resources["Group" + logical(g.name)] = resource("AWS::IAM::Group", std::move(properties));
  }
  for (size_t i = 0; i < a.people.size(); ++i) {
    const auto& p = a.people[i];
    json::Value groups = json::array();
    for (const auto& g : p.groups) groups.push(ref(("Group" + logical(g)).c_str()));
    json::Value properties = json::object({{"UserName", p.name}});
    if (!groups.array().empty()) properties["Groups"] = std::move(groups);
    std::string id = "User" + logical(p.name);
    if (resources.has(id)) id += std::to_string(i);  // "a.b" and "a-b" look alike without their marks
    resources[id] = resource("AWS::IAM::User", std::move(properties));
    outputs[id + "Arn"] = output(att(id.c_str(), "Arn"));
  }
  return document("People of " + a.name + ": users and groups that may assume roles, and nothing else",
                  std::move(resources), std::move(outputs));
}

}  // namespace bastide::architecture
