#include <algorithm>

#include "services/organizations/page.h"
#include "services/organizations/rows.h"

namespace bastide::services {

using namespace organization_rows;
namespace op = model::organizations::op;

Result<op::ListRoots::Response> Organizations::list_roots(Call& call, const op::ListRoots::Request& q) {
  std::vector<m::Root> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    items.push_back(root_shape(org));
    return {};
  }));
  return page(std::move(items), q, &op::ListRoots::Response::roots);
}

// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganizationalUnit.html
Result<op::CreateOrganizationalUnit::Response> Organizations::create_organizational_unit(
    Call& call, const op::CreateOrganizationalUnit::Request& q) {
  op::CreateOrganizationalUnit::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    auto parent = TRY(need_parent(w, org, q.parent_id));
    size_t depth = 1;
    constexpr size_t kMaxDepth = 5;
    while (parent.type == "ORGANIZATIONAL_UNIT") {
      if (++depth > kMaxDepth)
        return fault("ConstraintViolationException", "You have exceeded the OU nesting limit.", 400);
      parent = TRY(need_parent(w, org, parent.body.get("parent")));
    }
    const auto list = TRY(rows(w, org, "ou"));
    for (const auto& row : list) {
      if (row.body.get("parent") == q.parent_id && row.body.get("name") == q.name) {
        return fault("DuplicateOrganizationalUnitException", "An OU with the same name already exists.", 400);
      }
    }
    json::Value body = json::object({{"id", random_id("ou-" + org.get("root").substr(2) + "-", 8)},
                                     {"name", q.name},
                                     {"parent", q.parent_id},
                                     {"policies", json::array({kFullAccess})}});
    if (q.tags) {
      for (const auto& t : *q.tags) body["tags"][t.key] = t.value;
    }
    out.organizational_unit = unit_shape(org, body);
    return w.put(key_of(org, "ou", body.get("id")), body);
  }));
  return out;
}

Result<op::DescribeOrganizationalUnit::Response> Organizations::describe_organizational_unit(
    Call& call, const op::DescribeOrganizationalUnit::Request& q) {
  op::DescribeOrganizationalUnit::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto body = TRY(need_unit(r, org, q.organizational_unit_id));
    out.organizational_unit = unit_shape(org, body);
    return {};
  }));
  return out;
}

Result<op::UpdateOrganizationalUnit::Response> Organizations::update_organizational_unit(
    Call& call, const op::UpdateOrganizationalUnit::Request& q) {
  op::UpdateOrganizationalUnit::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    auto body = TRY(need_unit(w, org, q.organizational_unit_id));
    if (q.name) {
      const auto list = TRY(rows(w, org, "ou"));
      for (const auto& row : list) {
        if (row.key.id != q.organizational_unit_id && row.body.get("parent") == body.get("parent") &&
            row.body.get("name") == *q.name) {
          return fault("DuplicateOrganizationalUnitException", "An OU with the same name already exists.",
                       400);
        }
      }
      body["name"] = *q.name;
    }
    out.organizational_unit = unit_shape(org, body);
    return w.put(key_of(org, "ou", q.organizational_unit_id), body);
  }));
  return out;
}

Result<op::DeleteOrganizationalUnit::Response> Organizations::delete_organizational_unit(
    Call& call, const op::DeleteOrganizationalUnit::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    TRY(need_unit(w, org, q.organizational_unit_id));
    for (const char* noun : {"ou", "account"}) {
      const auto list = TRY(rows(w, org, noun));
      for (const auto& row : list) {
        if (row.body.get("parent") == q.organizational_unit_id) {
          return fault(
              "OrganizationalUnitNotEmptyException",
              "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all "
              "child OUs, and try the operation again.",
              400);
        }
      }
    }
    TRY(w.remove(key_of(org, "ou", q.organizational_unit_id)));
    return {};
  }));
  return op::DeleteOrganizationalUnit::Response{};
}

Result<op::ListOrganizationalUnitsForParent::Response> Organizations::list_organizational_units_for_parent(
    Call& call, const op::ListOrganizationalUnitsForParent::Request& q) {
  std::vector<m::OrganizationalUnit> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    TRY(need_parent(r, org, q.parent_id));
    const auto list = TRY(rows(r, org, "ou"));
    for (const auto& row : list) {
      if (row.body.get("parent") == q.parent_id) items.push_back(unit_shape(org, row.body));
    }
    return {};
  }));
  return page(std::move(items), q, &op::ListOrganizationalUnitsForParent::Response::organizational_units);
}

Result<op::ListChildren::Response> Organizations::list_children(Call& call,
                                                                const op::ListChildren::Request& q) {
  std::vector<m::Child> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    TRY(need_parent(r, org, q.parent_id));
    const auto list = TRY(rows(r, org, q.child_type == "ACCOUNT" ? "account" : "ou"));
    for (const auto& row : list) {
      if (row.body.get("parent") == q.parent_id) items.push_back({row.key.id, q.child_type});
    }
    return {};
  }));
  return page(std::move(items), q, &op::ListChildren::Response::children);
}

Result<op::ListParents::Response> Organizations::list_parents(Call& call, const op::ListParents::Request& q) {
  std::vector<m::Parent> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto node = need_target(r, org, q.child_id);
    if (!node || node->type == "ROOT")
      return fault("ChildNotFoundException", "You specified a child that doesn't exist.", 400);
    const std::string parent = node->body.get("parent");
    items.push_back({parent, parent == org.get("root") ? "ROOT" : "ORGANIZATIONAL_UNIT"});
    return {};
  }));
  return page(std::move(items), q, &op::ListParents::Response::parents);
}

// --- trusted services ---

Result<op::EnableAWSServiceAccess::Response> Organizations::enable_aws_service_access(
    Call& call, const op::EnableAWSServiceAccess::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    if (!org["services"].has(q.service_principal)) org["services"][q.service_principal] = call.now;
    return save_org(w, org);
  }));
  return op::EnableAWSServiceAccess::Response{};
}

Result<op::DisableAWSServiceAccess::Response> Organizations::disable_aws_service_access(
    Call& call, const op::DisableAWSServiceAccess::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    if (auto* services = org.find("services")) services->remove(q.service_principal);
    return save_org(w, org);
  }));
  return op::DisableAWSServiceAccess::Response{};
}

Result<op::ListAWSServiceAccessForOrganization::Response>
Organizations::list_aws_service_access_for_organization(
    Call& call, const op::ListAWSServiceAccessForOrganization::Request& q) {
  std::vector<m::EnabledServicePrincipal> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    for (const auto& [name, at] : org.get_object("services")) items.push_back({name, at.integer()});
    return {};
  }));
  return page(std::move(items), q,
              &op::ListAWSServiceAccessForOrganization::Response::enabled_service_principals);
}

// --- tags of roots, OUs, accounts and policies ---

namespace {

// A policy is tagged as the others are.
Result<void> with_tags(store::Writer& w, json::Value& org, const std::string& id,
                       const std::function<void(json::Value&)>& f) {
  if (id.starts_with("p-")) {
    auto policy = TRY(need_policy(w, org, id));
    if (policy.get_bool("aws"))
      return fault("AccessDeniedException", "AWS managed policies cannot be tagged.", 400);
    f(policy);
    return w.put(key_of(org, "policy", id), policy);
  }
  auto node = TRY(need_target(w, org, id));
  f(node.body);
  return save_target(w, org, node, id);
}

}  // namespace

Result<op::TagResource::Response> Organizations::tag_resource(Call& call, const op::TagResource::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    return with_tags(w, org, q.resource_id, [&](json::Value& body) {
      if (!body.has("tags")) body["tags"] = json::object();
      for (const auto& t : q.tags) body["tags"][t.key] = t.value;
    });
  }));
  return op::TagResource::Response{};
}

Result<op::UntagResource::Response> Organizations::untag_resource(Call& call,
                                                                  const op::UntagResource::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto org = TRY(need_management(w, call));
    return with_tags(w, org, q.resource_id, [&](json::Value& body) {
      if (auto* tags = body.find("tags")) {
        for (const auto& k : q.tag_keys) tags->remove(k);
      }
    });
  }));
  return op::UntagResource::Response{};
}

Result<op::ListTagsForResource::Response> Organizations::list_tags_for_resource(
    Call& call, const op::ListTagsForResource::Request& q) {
  std::vector<m::Tag> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    json::Value body;
    if (q.resource_id.starts_with("p-")) {
      body = TRY(need_policy(r, org, q.resource_id));
    } else {
      auto node = TRY(need_target(r, org, q.resource_id));
      body = std::move(node.body);
    }
    for (const auto& [key, value] : body.get_object("tags")) items.push_back({key, value.string()});
    return {};
  }));
  return page(std::move(items), q, &op::ListTagsForResource::Response::tags);
}

}  // namespace bastide::services
