#include <algorithm>

#include "aws/policy.h"
#include "services/organizations/page.h"
#include "services/organizations/rows.h"

namespace bastide::services {

using namespace organization_rows;
namespace op = model::organizations::op;

namespace {

constexpr size_t kMaxPolicyBytes = 5120;
constexpr size_t kMaxAttached = 5;

Result<void> check_type(const std::string& type) {
  if (type == kScp) return {};
  return fault("PolicyTypeNotAvailableForOrganizationException",
               fmt::format("The policy type {} is not available: only {} is.", type, kScp), 400);
}

Result<void> check_content(const std::string& content) {
  if (content.size() > kMaxPolicyBytes) {
    return fault("ConstraintViolationException", "You have exceeded the maximum policy size of 5120 bytes.",
                 400);
  }
  auto checked = aws::check_scp(content);
  if (!checked) {
    return fault(
        "MalformedPolicyDocumentException",
        "The provided policy document does not meet the requirements of the specified policy type: " +
            checked.error().message,
        400);
  }
  return {};
}

json::Value without(const json::Array& list, const std::string& id) {
  json::Value out = json::array();
  for (const auto& v : list) {
    if (v.string() != id) out.push(v);
  }
  return out;
}

bool contains(const json::Array& list, const std::string& id) {
  return std::any_of(list.begin(), list.end(), [&](const json::Value& v) { return v.string() == id; });
}

Result<void> check_name(store::Reader& r, const json::Value& org, const std::string& name,
                        const std::string& self) {
  const auto list = TRY(rows(r, org, "policy"));
  for (const auto& row : list) {
    if (row.body.get("name") == name && row.key.id != self) {
      return fault("DuplicatePolicyException", "A policy with the same name already exists.", 400);
    }
  }
  return {};
}

}  // namespace

Result<op::EnablePolicyType::Response> Organizations::enable_policy_type(
    Call& call, const op::EnablePolicyType::Request& q) {
  TRY(check_type(q.policy_type));
  op::EnablePolicyType::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    if (q.root_id != org.get("root"))
      return fault("RootNotFoundException", "You specified a root that doesn't exist.", 400);
    if (org.get_bool("scp")) {
      return fault("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.", 400);
    }
    org["scp"] = true;
    out.root = root_shape(org);
    return save_org(w, org);
  }));
  return out;
}

Result<op::DisablePolicyType::Response> Organizations::disable_policy_type(
    Call& call, const op::DisablePolicyType::Request& q) {
  TRY(check_type(q.policy_type));
  op::DisablePolicyType::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    if (q.root_id != org.get("root"))
      return fault("RootNotFoundException", "You specified a root that doesn't exist.", 400);
    if (!org.get_bool("scp")) {
      return fault("PolicyTypeNotEnabledException",
                   "The specified policy type isn't currently enabled in this root.", 400);
    }
    // As AWS: every attachment is lost, and FullAWSAccess is attached anew.
    org["scp"] = false;
    org["root_policies"] = json::array({kFullAccess});
    for (const char* noun : {"ou", "account"}) {
      auto list = TRY(rows(w, org, noun));
      for (auto& row : list) {
        row.body["policies"] = json::array({kFullAccess});
        TRY(w.put(row.key, row.body));
      }
    }
    out.root = root_shape(org);
    return save_org(w, org);
  }));
  return out;
}

// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreatePolicy.html
Result<op::CreatePolicy::Response> Organizations::create_policy(Call& call,
                                                                const op::CreatePolicy::Request& q) {
  TRY(check_type(q.type));
  TRY(check_content(q.content));
  op::CreatePolicy::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    TRY(check_name(w, org, q.name, ""));
    json::Value body = json::object({{"id", random_id("p-", 8)},
                                     {"name", q.name},
                                     {"description", q.description},
                                     {"content", q.content}});
    if (q.tags) {
      for (const auto& t : *q.tags) body["tags"][t.key] = t.value;
    }
    out.policy = m::Policy{policy_shape(org, body), q.content};
    return w.put(key_of(org, "policy", body.get("id")), body);
  }));
  return out;
}

Result<op::DescribePolicy::Response> Organizations::describe_policy(Call& call,
                                                                    const op::DescribePolicy::Request& q) {
  op::DescribePolicy::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto body = TRY(need_policy(r, org, q.policy_id));
    out.policy = m::Policy{policy_shape(org, body), body.get("content")};
    return {};
  }));
  return out;
}

Result<op::UpdatePolicy::Response> Organizations::update_policy(Call& call,
                                                                const op::UpdatePolicy::Request& q) {
  if (q.content) TRY(check_content(*q.content));
  op::UpdatePolicy::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    auto body = TRY(need_policy(w, org, q.policy_id));
    if (body.get_bool("aws"))
      return fault("AccessDeniedException", "AWS managed policies cannot be changed.", 400);
    if (q.name) {
      TRY(check_name(w, org, *q.name, q.policy_id));
      body["name"] = *q.name;
    }
    if (q.description) body["description"] = *q.description;
    if (q.content) body["content"] = *q.content;
    out.policy = m::Policy{policy_shape(org, body), body.get("content")};
    return w.put(key_of(org, "policy", q.policy_id), body);
  }));
  return out;
}

namespace {

// (id, node) of everything that a policy can be attached to.
Result<std::vector<std::pair<std::string, Node>>> targets(store::Reader& r, const json::Value& org) {
  std::vector<std::pair<std::string, Node>> out;
  out.emplace_back(org.get("root"), TRY(need_target(r, org, org.get("root"))));
  for (const char* noun : {"ou", "account"}) {
    const auto list = TRY(rows(r, org, noun));
    for (const auto& row : list) {
      out.push_back(
          {row.key.id, Node{std::string_view(noun) == "ou" ? "ORGANIZATIONAL_UNIT" : "ACCOUNT", row.body}});
    }
  }
  return out;
}

}  // namespace

Result<op::DeletePolicy::Response> Organizations::delete_policy(Call& call,
                                                                const op::DeletePolicy::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    const auto body = TRY(need_policy(w, org, q.policy_id));
    if (body.get_bool("aws"))
      return fault("AccessDeniedException", "AWS managed policies cannot be deleted.", 400);
    const auto all = TRY(targets(w, org));
    for (const auto& [id, node] : all) {
      if (contains(node.body.get_array("policies"), q.policy_id)) {
        return fault(
            "PolicyInUseException",
            "The policy is attached to one or more entities. You must detach it from all roots, OUs, and "
            "accounts before performing this operation.",
            400);
      }
    }
    TRY(w.remove(key_of(org, "policy", q.policy_id)));
    return {};
  }));
  return op::DeletePolicy::Response{};
}

// https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html
Result<op::AttachPolicy::Response> Organizations::attach_policy(Call& call,
                                                                const op::AttachPolicy::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    TRY(need_policy(w, org, q.policy_id));
    auto node = TRY(need_target(w, org, q.target_id));
    if (!org.get_bool("scp")) {
      return fault("PolicyTypeNotEnabledException",
                   "The specified policy type isn't currently enabled in this root.", 400);
    }
    if (contains(node.body.get_array("policies"), q.policy_id)) {
      return fault("DuplicatePolicyAttachmentException",
                   "The selected policy is already attached to the specified target.", 400);
    }
    if (node.body.get_array("policies").size() >= kMaxAttached) {
      return fault("ConstraintViolationException",
                   "You attempted to exceed the number of policies attached to an entity.", 400);
    }
    node.body["policies"].push(q.policy_id);
    return save_target(w, org, node, q.target_id);
  }));
  return op::AttachPolicy::Response{};
}

Result<op::DetachPolicy::Response> Organizations::detach_policy(Call& call,
                                                                const op::DetachPolicy::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    TRY(need_policy(w, org, q.policy_id));
    auto node = TRY(need_target(w, org, q.target_id));
    const auto& attached = node.body.get_array("policies");
    if (!contains(attached, q.policy_id)) {
      return fault("PolicyNotAttachedException",
                   "The policy isn't attached to the specified target in the specified root.", 400);
    }
    if (attached.size() == 1) {
      return fault("ConstraintViolationException",
                   "You must have at least one SCP attached to a root, OU or account.", 400);
    }
    node.body["policies"] = without(attached, q.policy_id);
    return save_target(w, org, node, q.target_id);
  }));
  return op::DetachPolicy::Response{};
}

Result<op::ListPolicies::Response> Organizations::list_policies(Call& call,
                                                                const op::ListPolicies::Request& q) {
  TRY(check_type(q.filter));
  std::vector<m::PolicySummary> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    items.push_back(policy_shape(org, full_access_policy()));
    const auto list = TRY(rows(r, org, "policy"));
    for (const auto& row : list) items.push_back(policy_shape(org, row.body));
    return {};
  }));
  return page(std::move(items), q, &op::ListPolicies::Response::policies);
}

Result<op::ListPoliciesForTarget::Response> Organizations::list_policies_for_target(
    Call& call, const op::ListPoliciesForTarget::Request& q) {
  TRY(check_type(q.filter));
  std::vector<m::PolicySummary> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto node = TRY(need_target(r, org, q.target_id));
    for (const auto& id : node.body.get_array("policies")) {
      const auto body = TRY(need_policy(r, org, id.string()));
      items.push_back(policy_shape(org, body));
    }
    return {};
  }));
  return page(std::move(items), q, &op::ListPoliciesForTarget::Response::policies);
}

Result<op::ListTargetsForPolicy::Response> Organizations::list_targets_for_policy(
    Call& call, const op::ListTargetsForPolicy::Request& q) {
  std::vector<m::PolicyTargetSummary> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    TRY(need_policy(r, org, q.policy_id));
    const auto all = TRY(targets(r, org));
    for (const auto& [id, node] : all) {
      if (!contains(node.body.get_array("policies"), q.policy_id)) continue;
      items.push_back({id, arn_of(org, id), node.body.get("name"), node.type});
    }
    return {};
  }));
  return page(std::move(items), q, &op::ListTargetsForPolicy::Response::targets);
}

}  // namespace bastide::services
