// AWS::Organizations::Account, OrganizationalUnit, Policy: from the management account only.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_Organizations.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Result<Value> org(const Context& c, const char* operation, Value input) {
  return c.call("organizations", operation, std::move(input));
}

Result<void> retag(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty()) {
    TRY(done(org(c, "TagResource", json::object({{"ResourceId", id}, {"Tags", change.set}}))));
  }
  if (!change.remove.array().empty()) {
    TRY(done(org(c, "UntagResource", json::object({{"ResourceId", id}, {"TagKeys", change.remove}}))));
  }
  return {};
}

void with_tags(const Context& c, const Value& p, Value& in) {
  Value tags = c.tags(p);
  if (!tags.array().empty()) in["Tags"] = std::move(tags);
}

// ---- Account

Result<Made> make_account(const Context& c, const Value& p) {
  Value in = pick(p, {"AccountName", "Email", "RoleName"});
  with_tags(c, p, in);
  const Value out = TRY(org(c, "CreateAccount", std::move(in)));
  const Value* status = out.find("CreateAccountStatus");
  const std::string request = status == nullptr ? "" : status->get("Id");
  std::string account;
  TRY(c.wait_until(30 * kMinute, 250, [&]() -> Result<bool> {
    const Value answer =
        TRY(org(c, "DescribeCreateAccountStatus", json::object({{"CreateAccountRequestId", request}})));
    const Value* now = answer.find("CreateAccountStatus");
    if (now == nullptr || now->get("State") == "IN_PROGRESS") return false;
    if (now->get("State") == "FAILED")
      return fault("GeneralServiceException", "Account creation failed: " + now->get("FailureReason"));
    account = now->get("AccountId");
    return true;
  }));
  return Made{account, nullptr};
}

Result<void> apply_account(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (!old.is_null()) {
    for (const char* fixed : {"AccountName", "Email"}) {
      if (differs(old, next, fixed)) return not_updatable(c, fixed);
    }
  }
  const auto parents = strings(next, "ParentIds");
  if (parents.size() > 1) return fault("InvalidRequest", "ParentIds may name one parent only.");
  if (!parents.empty() && differs(old, next, "ParentIds")) {
    const Value now = TRY(org(c, "ListParents", json::object({{"ChildId", id}})));
    const std::string source = now.get_array("Parents").empty() ? "" : now.get_array("Parents")[0].get("Id");
    if (source != parents[0]) {
      TRY(done(
          org(c, "MoveAccount",
              json::object(
                  {{"AccountId", id}, {"SourceParentId", source}, {"DestinationParentId", parents[0]}}))));
    }
  }
  return retag(c, id, old, next);
}

Result<void> remove_account(const Context& c, const std::string& id, const Value&) {
  auto out = org(c, "CloseAccount", json::object({{"AccountId", id}}));
  if (!out && out.error().code == "AccountAlreadyClosedException") return {};
  return unless_missing(std::move(out));
}

Result<Value> account_attributes(const Context& c, const std::string& id, const Value&) {
  const Value out = TRY(org(c, "DescribeAccount", json::object({{"AccountId", id}})));
  const Value* a = out.find("Account");
  Value attributes =
      a == nullptr ? json::object() : pick(*a, {"Arn", "Status", "State", "JoinedMethod", "Email"});
  attributes["AccountId"] = id;
  if (a != nullptr) attributes["AccountName"] = a->get("Name");
  return attributes;
}

Result<std::string> find_account(const Context& c, const Value& p) {
  Value in = json::object();
  for (int page = 0; page < 100; ++page) {
    const Value out = TRY(org(c, "ListAccounts", in));
    for (const auto& a : out.get_array("Accounts")) {
      if (a.get("Email") == p.get("Email") && only_in({a.get("Id")}, c.known).size() == 1) return a.get("Id");
    }
    if (!out.has("NextToken")) break;
    in["NextToken"] = out.get("NextToken");
  }
  return std::string();
}

// ---- OrganizationalUnit

Value unit_of(const Value& out) {
  const Value* unit = out.find("OrganizationalUnit");
  return unit == nullptr ? json::object() : pick(*unit, {"Arn", "Id", "Path"});
}

Result<Made> make_unit(const Context& c, const Value& p) {
  Value in = pick(p, {"Name", "ParentId"});
  with_tags(c, p, in);
  const Value out = TRY(org(c, "CreateOrganizationalUnit", std::move(in)));
  Value attributes = unit_of(out);
  const std::string id = attributes.get("Id");
  return Made{id, std::move(attributes)};
}

Result<void> apply_unit(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (!old.is_null() && differs(old, next, "Name")) {
    TRY(done(org(c, "UpdateOrganizationalUnit",
                 json::object({{"OrganizationalUnitId", id}, {"Name", next.get("Name")}}))));
  }
  return retag(c, id, old, next);
}

Result<void> remove_unit(const Context& c, const std::string& id, const Value&) {
  return unless_missing(org(c, "DeleteOrganizationalUnit", json::object({{"OrganizationalUnitId", id}})));
}

Result<Value> unit_attributes(const Context& c, const std::string& id, const Value&) {
  const Value out = TRY(org(c, "DescribeOrganizationalUnit", json::object({{"OrganizationalUnitId", id}})));
  return unit_of(out);
}

Result<std::string> find_unit(const Context& c, const Value& p) {
  const Value out = TRY(org(c, "ListOrganizationalUnitsForParent", pick(p, {"ParentId"})));
  for (const auto& unit : out.get_array("OrganizationalUnits")) {
    if (unit.get("Name") == p.get("Name") && only_in({unit.get("Id")}, c.known).size() == 1)
      return unit.get("Id");
  }
  return std::string();
}

// ---- Policy

Value policy_of(const Value& out) {
  const Value* policy = out.find("Policy");
  const Value* summary = policy == nullptr ? nullptr : policy->find("PolicySummary");
  return summary == nullptr ? json::object() : pick(*summary, {"Arn", "Id", "AwsManaged"});
}

Result<Made> make_policy(const Context& c, const Value& p) {
  Value in = pick(p, {"Name", "Type"});
  in["Description"] = p.get("Description");
  in["Content"] = document(*p.find("Content"));
  with_tags(c, p, in);
  const Value out = TRY(org(c, "CreatePolicy", std::move(in)));
  Value attributes = policy_of(out);
  const std::string id = attributes.get("Id");
  return Made{id, std::move(attributes)};
}

Result<void> apply_policy(const Context& c, const std::string& id, const Value& old, const Value& next) {
  if (!old.is_null() &&
      (differs(old, next, "Content") || differs(old, next, "Name") || differs(old, next, "Description"))) {
    TRY(done(org(c, "UpdatePolicy",
                 json::object({{"PolicyId", id},
                               {"Name", next.get("Name")},
                               {"Description", next.get("Description")},
                               {"Content", document(*next.find("Content"))}}))));
  }
  const auto before = strings(old, "TargetIds"), after = strings(next, "TargetIds");
  for (const auto& target : only_in(after, before)) {
    TRY(unless_existing(org(c, "AttachPolicy", json::object({{"PolicyId", id}, {"TargetId", target}}))));
  }
  for (const auto& target : only_in(before, after)) {
    TRY(unless_missing(org(c, "DetachPolicy", json::object({{"PolicyId", id}, {"TargetId", target}}))));
  }
  return retag(c, id, old, next);
}

Result<void> remove_policy(const Context& c, const std::string& id, const Value& p) {
  for (const auto& target : strings(p, "TargetIds")) {
    TRY(unless_missing(org(c, "DetachPolicy", json::object({{"PolicyId", id}, {"TargetId", target}}))));
  }
  return unless_missing(org(c, "DeletePolicy", json::object({{"PolicyId", id}})));
}

Result<Value> policy_attributes(const Context& c, const std::string& id, const Value&) {
  const Value out = TRY(org(c, "DescribePolicy", json::object({{"PolicyId", id}})));
  return policy_of(out);
}

Result<std::string> find_policy(const Context& c, const Value& p) {
  const Value out = TRY(org(c, "ListPolicies", json::object({{"Filter", p.get("Type")}})));
  for (const auto& policy : out.get_array("Policies")) {
    if (policy.get("Name") == p.get("Name") && only_in({policy.get("Id")}, c.known).size() == 1)
      return policy.get("Id");
  }
  return std::string();
}

}  // namespace

void add_organizations(Handlers& h) {
  h["AWS::Organizations::Account"] = {.waits = true,
                                      .make = make_account,
                                      .apply = apply_account,
                                      .remove = remove_account,
                                      .attributes = account_attributes,
                                      .find = find_account};
  h["AWS::Organizations::OrganizationalUnit"] = {.make = make_unit,
                                                 .apply = apply_unit,
                                                 .remove = remove_unit,
                                                 .attributes = unit_attributes,
                                                 .find = find_unit};
  h["AWS::Organizations::Policy"] = {.make = make_policy,
                                     .apply = apply_policy,
                                     .remove = remove_policy,
                                     .attributes = policy_attributes,
                                     .find = find_policy};
}

}  // namespace bastide::services::cfn
