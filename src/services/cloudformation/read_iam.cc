// What stands of IAM's, KMS's, the parameter store's, logs' and ECR's resources.
#include "services/cloudformation/read.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

struct Noun {
  const char* word;  // "Role"
  std::string key() const { return std::string(word) + "Name"; }
  Result<Value> call(const Context& c, const char* before, const char* after, Value in) const {
    return c.call("iam", (std::string(before) + word + after).c_str(), std::move(in));
  }
};
constexpr Noun kRole{"Role"}, kUser{"User"}, kGroup{"Group"};

Result<void> read_policies(const Context& c, const Noun& noun, const std::string& name, const Value& p,
                           Value& out) {
  const Value named = json::object({{noun.key(), name}});
  if (p.has("ManagedPolicyArns")) {
    Value arns = json::array();
    const Value listed = TRY(noun.call(c, "ListAttached", "Policies", named));
    for (const auto& a : listed.get_array("AttachedPolicies")) arns.push(a.get("PolicyArn"));
    out["ManagedPolicyArns"] = std::move(arns);
  }
  if (!p.has("Policies")) return {};
  Value policies = json::array();
  const Value listed = TRY(noun.call(c, "List", "Policies", named));
  for (const auto& policy : listed.get_array("PolicyNames")) {
    Value in = named;
    in["PolicyName"] = policy;
    const Value got = TRY(noun.call(c, "Get", "Policy", std::move(in)));
    policies.push(
        json::object({{"PolicyName", policy}, {"PolicyDocument", policy_object(got.get("PolicyDocument"))}}));
  }
  out["Policies"] = std::move(policies);
  return {};
}

Result<Value> read_role(const Context& c, const std::string& name, const Value& p) {
  const Value answer = TRY(c.call("iam", "GetRole", json::object({{"RoleName", name}})));
  const Value role = member(answer, "Role");
  Value out = pick(role, {"RoleName", "Path", "Description", "MaxSessionDuration"});
  out["AssumeRolePolicyDocument"] = policy_object(role.get("AssumeRolePolicyDocument"));
  if (const Value* boundary = role.find("PermissionsBoundary"))
    out["PermissionsBoundary"] = boundary->get("PermissionsBoundaryArn");
  out["Tags"] = plain_tags(role.find("Tags"));
  TRY(read_policies(c, kRole, name, p, out));
  return out;
}

Result<Value> read_user(const Context& c, const std::string& name, const Value& p) {
  const Value answer = TRY(c.call("iam", "GetUser", json::object({{"UserName", name}})));
  const Value user = member(answer, "User");
  Value out = pick(user, {"UserName", "Path"});
  if (const Value* boundary = user.find("PermissionsBoundary"))
    out["PermissionsBoundary"] = boundary->get("PermissionsBoundaryArn");
  out["Tags"] = plain_tags(user.find("Tags"));
  if (p.has("Groups")) {
    Value groups = json::array();
    const Value listed = TRY(c.call("iam", "ListGroupsForUser", json::object({{"UserName", name}})));
    for (const auto& g : listed.get_array("Groups")) groups.push(g.get("GroupName"));
    out["Groups"] = std::move(groups);
  }
  TRY(read_policies(c, kUser, name, p, out));
  return out;
}

Result<Value> read_group(const Context& c, const std::string& name, const Value& p) {
  const Value answer = TRY(c.call("iam", "GetGroup", json::object({{"GroupName", name}})));
  Value out = pick(member(answer, "Group"), {"GroupName", "Path"});
  TRY(read_policies(c, kGroup, name, p, out));
  return out;
}

Result<Value> read_managed(const Context& c, const std::string& arn, const Value& p) {
  const Value answer = TRY(c.call("iam", "GetPolicy", json::object({{"PolicyArn", arn}})));
  const Value policy = member(answer, "Policy");
  Value out = pick(policy, {"Path", "Description"});
  out["ManagedPolicyName"] = policy.get("PolicyName");
  const Value version =
      TRY(c.call("iam", "GetPolicyVersion",
                 json::object({{"PolicyArn", arn}, {"VersionId", policy.get("DefaultVersionId")}})));
  out["PolicyDocument"] = policy_object(member(version, "PolicyVersion").get("Document"));
  if (!p.has("Users") && !p.has("Groups") && !p.has("Roles")) return out;
  const Value on = TRY(c.call("iam", "ListEntitiesForPolicy", json::object({{"PolicyArn", arn}})));
  for (const char* word : {"User", "Group", "Role"}) {
    Value names = json::array();
    for (const auto& one : on.get_array(std::string("Policy") + word + "s"))
      names.push(one.get(std::string(word) + "Name"));
    out[std::string(word) + "s"] = std::move(names);
  }
  return out;
}

// The policy stands as long as one identity that the template names bears it.
Result<Value> read_inline(const Context& c, const std::string&, const Value& p) {
  Value out = json::object({{"PolicyName", p.get("PolicyName")}});
  for (const Noun& noun : {kUser, kGroup, kRole}) {
    const std::string list = std::string(noun.word) + "s";
    if (!p.has(list)) continue;
    Value names = json::array();
    for (const auto& name : strings(p, list.c_str())) {
      auto got = noun.call(c, "Get", "Policy",
                           json::object({{noun.key(), name}, {"PolicyName", p.get("PolicyName")}}));
      if (!got && is_missing(got.error())) continue;
      if (!got) return std::move(got).error();
      names.push(name);
      out["PolicyDocument"] = policy_object(got->get("PolicyDocument"));
    }
    out[list] = std::move(names);
  }
  if (!out.has("PolicyDocument")) return fault("NotFound", "nobody bears the policy any more");
  return out;
}

Result<Value> read_profile(const Context& c, const std::string& name, const Value&) {
  const Value answer =
      TRY(c.call("iam", "GetInstanceProfile", json::object({{"InstanceProfileName", name}})));
  const Value profile = member(answer, "InstanceProfile");
  Value out = pick(profile, {"InstanceProfileName", "Path"});
  Value roles = json::array();
  for (const auto& r : profile.get_array("Roles")) roles.push(r.get("RoleName"));
  out["Roles"] = std::move(roles);
  return out;
}

// ---- KMS

Result<Value> read_key(const Context& c, const std::string& id, const Value& p) {
  const Value named = json::object({{"KeyId", id}});
  const Value answer = TRY(c.call("kms", "DescribeKey", named));
  const Value key = member(answer, "KeyMetadata");
  if (key.get("KeyState") == "PendingDeletion") return fault("NotFound", id + " is to be deleted");
  Value out = pick(key, {"Description", "KeySpec", "KeyUsage", "MultiRegion", "Origin", "Enabled"});
  if (p.has("KeyPolicy")) {
    const Value policy =
        TRY(c.call("kms", "GetKeyPolicy", json::object({{"KeyId", id}, {"PolicyName", "default"}})));
    out["KeyPolicy"] = policy_object(policy.get("Policy"));
  }
  if (p.has("EnableKeyRotation")) {
    const Value rotation = TRY(c.call("kms", "GetKeyRotationStatus", named));
    out["EnableKeyRotation"] = rotation.get_bool("KeyRotationEnabled");
    if (const Value* days = rotation.find("RotationPeriodInDays")) out["RotationPeriodInDays"] = *days;
  }
  if (p.has("Tags")) {
    const Value tags = TRY(c.call("kms", "ListResourceTags", named));
    out["Tags"] = plain_tags(tags.find("Tags"), "TagKey", "TagValue");
  }
  return out;
}

Result<Value> read_alias(const Context& c, const std::string& name, const Value& p) {
  const Value answer = TRY(c.call("kms", "DescribeKey", json::object({{"KeyId", name}})));
  const Value key = member(answer, "KeyMetadata");
  const bool by_arn = p.get("TargetKeyId").starts_with("arn:");
  return json::object({{"AliasName", name}, {"TargetKeyId", key.get(by_arn ? "Arn" : "KeyId")}});
}

// ---- logs, ECR, parameters, secrets

Result<Value> read_log_group(const Context& c, const std::string& name, const Value& p) {
  const Value out = TRY(c.call("logs", "DescribeLogGroups", json::object({{"logGroupNamePrefix", name}})));
  for (const auto& group : out.get_array("logGroups")) {
    if (group.get("logGroupName") != name) continue;
    Value read =
        json::object({{"LogGroupName", name}, {"LogGroupClass", group.get("logGroupClass", "STANDARD")}});
    if (const Value* days = group.find("retentionInDays")) read["RetentionInDays"] = *days;
    if (group.has("kmsKeyId")) read["KmsKeyId"] = group.get("kmsKeyId");
    read["DeletionProtectionEnabled"] = group.get_bool("deletionProtectionEnabled");
    if (p.has("Tags")) {
      const Value tags = TRY(c.call("logs", "ListTagsForResource",
                                    json::object({{"resourceArn", "arn:aws:logs:" + c.region + ":" +
                                                                      c.account + ":log-group:" + name}})));
      read["Tags"] = plain_tags(tags.find("tags"));
    }
    return read;
  }
  return fault("ResourceNotFoundException", "The log group " + name + " does not exist");
}

Result<Value> read_repository(const Context& c, const std::string& name, const Value& p) {
  const Value named = json::object({{"repositoryName", name}});
  const Value r = TRY(first_of(
      c.call("ecr", "DescribeRepositories", json::object({{"repositoryNames", json::array({name})}})),
      "repositories", name));
  Value out = json::object({{"RepositoryName", name}, {"ImageTagMutability", r.get("imageTagMutability")}});
  out["ImageScanningConfiguration"] = pascal_keys(member(r, "imageScanningConfiguration"));
  out["EncryptionConfiguration"] = pascal_keys(member(r, "encryptionConfiguration"));
  if (p.has("RepositoryPolicyText")) {
    auto policy = c.call("ecr", "GetRepositoryPolicy", named);
    if (policy) out["RepositoryPolicyText"] = policy_object(policy->get("policyText"));
    if (!policy && !is_missing(policy.error())) return std::move(policy).error();
  }
  if (p.has("LifecyclePolicy")) {
    auto policy = c.call("ecr", "GetLifecyclePolicy", named);
    if (policy) {
      out["LifecyclePolicy"] =
          json::object({{"LifecyclePolicyText", policy_object(policy->get("lifecyclePolicyText"))}});
    } else if (!is_missing(policy.error())) {
      return std::move(policy).error();
    }
  }
  if (p.has("Tags")) {
    const Value tags =
        TRY(c.call("ecr", "ListTagsForResource", json::object({{"resourceArn", r.get("repositoryArn")}})));
    out["Tags"] = plain_tags(tags.find("tags"));
  }
  return out;
}

Result<Value> read_parameter(const Context& c, const std::string& name, const Value&) {
  const Value answer = TRY(c.call("ssm", "GetParameter", json::object({{"Name", name}})));
  return pick(member(answer, "Parameter"), {"Name", "Type", "Value", "DataType"});
}

Result<Value> read_secret(const Context& c, const std::string& arn, const Value&) {
  const Value s = TRY(c.call("secretsmanager", "DescribeSecret", json::object({{"SecretId", arn}})));
  if (s.has("DeletedDate")) return fault("ResourceNotFoundException", "the secret is to be deleted");
  Value out = pick(s, {"Name", "Description", "KmsKeyId"});
  out["Tags"] = plain_tags(s.find("Tags"));
  return out;
}

}  // namespace

void read_iam(Handlers& h) {
  h["AWS::IAM::Role"].read = read_role;
  h["AWS::IAM::User"].read = read_user;
  h["AWS::IAM::Group"].read = read_group;
  h["AWS::IAM::ManagedPolicy"].read = read_managed;
  h["AWS::IAM::Policy"].read = read_inline;
  h["AWS::IAM::InstanceProfile"].read = read_profile;
  h["AWS::KMS::Key"].read = read_key;
  h["AWS::KMS::Alias"].read = read_alias;
  h["AWS::Logs::LogGroup"].read = read_log_group;
  h["AWS::ECR::Repository"].read = read_repository;
  h["AWS::SSM::Parameter"].read = read_parameter;
  h["AWS::SecretsManager::Secret"].read = read_secret;
}

}  // namespace bastide::services::cfn
