// AWS::IAM::Policy (inline, on several identities) and AWS::IAM::ManagedPolicy.
#include <algorithm>

#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

struct Kind {
  const char* list;  // property
  const char* word;
};
constexpr Kind kKinds[] = {{"Users", "User"}, {"Groups", "Group"}, {"Roles", "Role"}};

Result<Value> on_identity(const Context& c, const char* verb, const Kind& kind, const std::string& name,
                          Value input) {
  input[std::string(kind.word) + "Name"] = name;
  return c.call("iam", (std::string(verb) + kind.word + "Policy").c_str(), std::move(input));
}

// ---- Policy

Result<Made> make_policy(const Context& c, const Value&) {
  const std::string id = c.generated_name(128);
  return Made{id, json::object({{"Id", id}})};
}

Result<void> apply_policy(const Context& c, const std::string&, const Value& old, const Value& next) {
  const std::string name = next.get("PolicyName");
  bool any = false;
  for (const auto& kind : kKinds) {
    const auto after = strings(next, kind.list);
    any = any || !after.empty();
    for (const auto& identity : after) {
      TRY(done(on_identity(
          c, "Put", kind, identity,
          json::object({{"PolicyName", name}, {"PolicyDocument", document(*next.find("PolicyDocument"))}}))));
    }
    const bool renamed = differs(old, next, "PolicyName");
    const auto before = strings(old, kind.list);
    for (const auto& identity : renamed ? before : only_in(before, after)) {
      TRY(unless_missing(
          on_identity(c, "Delete", kind, identity, json::object({{"PolicyName", old.get("PolicyName")}}))));
    }
  }
  if (!any) return fault("InvalidRequest", "At least one of [Groups,Roles,Users] must be non-empty.");
  return {};
}

Result<void> remove_policy(const Context& c, const std::string&, const Value& p) {
  for (const auto& kind : kKinds) {
    for (const auto& identity : strings(p, kind.list)) {
      TRY(unless_missing(
          on_identity(c, "Delete", kind, identity, json::object({{"PolicyName", p.get("PolicyName")}}))));
    }
  }
  return {};
}

Result<Value> policy_attributes(const Context&, const std::string& physical, const Value&) {
  return json::object({{"Id", physical}});
}

Result<std::string> find_policy(const Context& c, const Value&) { return c.generated_name(128); }

// ---- ManagedPolicy

Result<Made> make_managed(const Context& c, const Value& p) {
  Value in = pick(p, {"Path", "Description"});
  in["PolicyName"] = c.name(p, "ManagedPolicyName", 128);
  in["PolicyDocument"] = document(*p.find("PolicyDocument"));
  const Value out = TRY(c.call("iam", "CreatePolicy", std::move(in)));
  const Value* policy = out.find("Policy");
  if (policy == nullptr) return error("CreatePolicy answered without a policy");
  return Made{policy->get("Arn"), nullptr};
}

// A sixth version needs the place of the oldest one that is not the default.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html
Result<void> new_version(const Context& c, const std::string& arn, const Value& next) {
  const Value listed = TRY(c.call("iam", "ListPolicyVersions", json::object({{"PolicyArn", arn}})));
  std::vector<Value> others;
  for (const auto& v : listed.get_array("Versions")) {
    if (!v.get_bool("IsDefaultVersion")) others.push_back(v);
  }
  if (others.size() >= 4) {
    auto number = [](const Value& v) { return std::atol(v.get("VersionId", "v0").c_str() + 1); };
    const auto oldest = std::min_element(
        others.begin(), others.end(), [&](const Value& a, const Value& b) { return number(a) < number(b); });
    TRY(unless_missing(c.call("iam", "DeletePolicyVersion",
                              json::object({{"PolicyArn", arn}, {"VersionId", oldest->get("VersionId")}}))));
  }
  return done(c.call("iam", "CreatePolicyVersion",
                     json::object({{"PolicyArn", arn},
                                   {"PolicyDocument", document(*next.find("PolicyDocument"))},
                                   {"SetAsDefault", true}})));
}

Result<void> sync_attachments(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  for (const auto& kind : kKinds) {
    const auto before = strings(old, kind.list), after = strings(next, kind.list);
    for (const auto& identity : only_in(after, before)) {
      TRY(done(on_identity(c, "Attach", kind, identity, json::object({{"PolicyArn", arn}}))));
    }
    for (const auto& identity : only_in(before, after)) {
      TRY(unless_missing(on_identity(c, "Detach", kind, identity, json::object({{"PolicyArn", arn}}))));
    }
  }
  return {};
}

Result<void> apply_managed(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (!old.is_null() && differs(old, next, "PolicyDocument")) TRY(new_version(c, arn, next));
  return sync_attachments(c, arn, old, next);
}

Result<void> remove_managed(const Context& c, const std::string& arn, const Value& p) {
  TRY(sync_attachments(c, arn, p, json::object()));
  auto listed = c.call("iam", "ListPolicyVersions", json::object({{"PolicyArn", arn}}));
  if (!listed) return unless_missing(std::move(listed));
  for (const auto& v : listed->get_array("Versions")) {
    if (v.get_bool("IsDefaultVersion")) continue;
    TRY(unless_missing(c.call("iam", "DeletePolicyVersion",
                              json::object({{"PolicyArn", arn}, {"VersionId", v.get("VersionId")}}))));
  }
  return unless_missing(c.call("iam", "DeletePolicy", json::object({{"PolicyArn", arn}})));
}

Result<Value> managed_attributes(const Context& c, const std::string& arn, const Value&) {
  const Value out = TRY(c.call("iam", "GetPolicy", json::object({{"PolicyArn", arn}})));
  const Value* policy = out.find("Policy");
  Value attributes = policy == nullptr ? json::object()
                                       : pick(*policy, {"AttachmentCount", "DefaultVersionId", "IsAttachable",
                                                        "PermissionsBoundaryUsageCount", "PolicyId"});
  attributes["PolicyArn"] = arn;
  return attributes;
}

Result<std::string> find_managed(const Context& c, const Value& p) {
  const std::string arn =
      "arn:aws:iam::" + c.account + ":policy" + p.get("Path", "/") + c.name(p, "ManagedPolicyName", 128);
  auto out = c.call("iam", "GetPolicy", json::object({{"PolicyArn", arn}}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  const Value* policy = out->find("Policy");
  const Value* made = policy == nullptr ? nullptr : policy->find("CreateDate");
  if (made != nullptr && made->is_number() && (made->number() + 1) * 1000 < static_cast<double>(c.started))
    return std::string();
  return arn;
}

}  // namespace

void add_iam_policies(Handlers& h) {
  h["AWS::IAM::Policy"] = {.make = make_policy,
                           .apply = apply_policy,
                           .remove = remove_policy,
                           .attributes = policy_attributes,
                           .find = find_policy};
  h["AWS::IAM::ManagedPolicy"] = {.name_property = "ManagedPolicyName",
                                  .make = make_managed,
                                  .apply = apply_managed,
                                  .remove = remove_managed,
                                  .attributes = managed_attributes,
                                  .find = find_managed};
}

}  // namespace bastide::services::cfn
