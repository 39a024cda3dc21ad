#include <fmt/format.h>

#include "services/iam/iam_templates.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

namespace {

constexpr size_t kMaxTrust = 2048;

Result<void> check_trust(const std::string& text) {
  TRY(aws::check_trust_policy(text));
  if (aws::policy_size(text) > kMaxTrust) {
    return fault("LimitExceeded", fmt::format("Cannot exceed quota for ACLSizePerRole: {}", kMaxTrust));
  }
  return {};
}

Error exists(const std::string& name) {
  return fault("EntityAlreadyExists", fmt::format("Role with name {} already exists.", name));
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
Error unmodifiable(const std::string& name) {
  return fault(
      "UnmodifiableEntity",
      fmt::format(
          "Cannot perform the operation on the protected role '{}' - this role is only modifiable by AWS",
          name));
}

bool service_linked(const json::Value& body) { return body.get("path").starts_with("/aws-service-role/"); }

struct Linked {
  const char* service;
  const char* name;
  const char* policy;
};
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
constexpr Linked kLinked[] = {
    {"ecs.amazonaws.com", "AWSServiceRoleForECS", "AmazonECSServiceRolePolicy"},
    {"elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing",
     "AWSElasticLoadBalancingServiceRolePolicy"},
    {"rds.amazonaws.com", "AWSServiceRoleForRDS", "AmazonRDSServiceRolePolicy"},
};

}  // namespace

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
Result<op::CreateRole::Response> Iam::create_role(Call& call, const op::CreateRole::Request& q) {
  TRY(check_trust(q.assume_role_policy_document));
  const std::string path = q.path.value_or("/");
  if (path.starts_with("/aws-service-role/")) {
    return fault("InvalidInput", "Path /aws-service-role/ is reserved for service-linked roles.");
  }
  op::CreateRole::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    if (TRY(w.get(key_of(call.account, Kind::role, q.role_name)))) return exists(q.role_name);
    json::Value body = json::object({{"name", q.role_name},
                                     {"path", path},
                                     {"id", unique_id("AROA")},
                                     {"created", call.now},
                                     {"trust", q.assume_role_policy_document},
                                     {"max_session", int64_t{q.max_session_duration.value_or(3600)}}});
    if (q.description) body["description"] = *q.description;
    if (q.tags) TRY(merge_tags(body, *q.tags, "TagsPerRole"));
    if (q.permissions_boundary) {
      TRY(check_attachable(w, call.account, *q.permissions_boundary));
      body["boundary"] = *q.permissions_boundary;
    }
    TRY(save(w, call.account, Kind::role, body));
    out.role = role_shape(call.account, body);
    return {};
  }));
  return out;
}

Result<void> Iam::make_role(store::Writer& w, const std::string& account, const aws::NewRole& role) {
  if (TRY(w.get(key_of(account, Kind::role, role.name)))) return exists(role.name);
  json::Value body = json::object({{"name", role.name},
                                   {"path", "/"},
                                   {"id", unique_id("AROA")},
                                   {"created", clock_.wall()},
                                   {"trust", role.trust},
                                   {"max_session", int64_t{3600}}});
  if (!role.description.empty()) body["description"] = role.description;
  for (const auto& arn : role.policies) {
    TRY(check_attachable(w, account, arn));
    body["attached"].push(arn);
  }
  return save(w, account, Kind::role, body);
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html
Result<op::CreateServiceLinkedRole::Response> Iam::create_service_linked_role(
    Call& call, const op::CreateServiceLinkedRole::Request& q) {
  const Linked* linked = nullptr;
  for (const auto& l : kLinked) {
    if (q.aws_service_name == l.service) linked = &l;
  }
  if (!linked) {
    return fault("InvalidInput",
                 fmt::format("Service-linked roles are not available for {}.", q.aws_service_name));
  }
  if (q.custom_suffix) return fault("InvalidInput", "Custom suffix is not allowed for " + q.aws_service_name);
  op::CreateServiceLinkedRole::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    if (TRY(w.get(key_of(call.account, Kind::role, linked->name)))) {
      return fault("InvalidInput",
                   fmt::format("Service role name {} has been taken in this account, please try a "
                               "different suffix.",
                               linked->name));
    }
    const json::Value trust = json::object(
        {{"Version", "2012-10-17"},
         {"Statement", json::array({json::object({{"Effect", "Allow"},
                                                  {"Principal", json::object({{"Service", linked->service}})},
                                                  {"Action", "sts:AssumeRole"}})})}});
    json::Value body = json::object({{"name", linked->name},
                                     {"path", fmt::format("/aws-service-role/{}/", linked->service)},
                                     {"id", unique_id("AROA")},
                                     {"created", call.now},
                                     {"trust", json::print(trust)},
                                     {"max_session", int64_t{3600}}});
    if (q.description) body["description"] = *q.description;
    body["attached"].push(fmt::format("arn:aws:iam::aws:policy/aws-service-role/{}", linked->policy));
    TRY(save(w, call.account, Kind::role, body));
    out.role = role_shape(call.account, body);
    return {};
  }));
  return out;
}

// The role goes at once: nothing of its service is looked for, as no service here keeps resources that need
// it.
Result<op::DeleteServiceLinkedRole::Response> Iam::delete_service_linked_role(
    Call& call, const op::DeleteServiceLinkedRole::Request& q) {
  std::string task;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto body = TRY(need(w, call.account, Kind::role, q.role_name));
    if (!service_linked(body)) return no_such(Kind::role, q.role_name);
    const std::string path = body.get("path");
    task = fmt::format("task{}{}/{}", path, body.get("name"), body.get("id"));
    TRY(w.remove(key_of(call.account, Kind::role, q.role_name)));
    return w.put({call.account, "", "iam.deletion", task}, json::object({{"status", "SUCCEEDED"}}));
  }));
  return op::DeleteServiceLinkedRole::Response{task};
}

Result<op::GetServiceLinkedRoleDeletionStatus::Response> Iam::get_service_linked_role_deletion_status(
    Call& call, const op::GetServiceLinkedRoleDeletionStatus::Request& q) {
  auto row = TRY(db_.get({call.account, "", "iam.deletion", q.deletion_task_id}));
  if (!row)
    return fault("NoSuchEntity", fmt::format("The deletion task {} cannot be found.", q.deletion_task_id));
  op::GetServiceLinkedRoleDeletionStatus::Response out;
  out.status = row->body.get("status");
  return out;
}

Result<op::GetRole::Response> Iam::get_role(Call& call, const op::GetRole::Request& q) {
  return op::GetRole::Response {
    role_shape(call.account, TRY(entity(call.account, Kind::role, q.role_name)))
  };
}

Result<op::ListRoles::Response> Iam::list_roles(Call& call, const op::ListRoles::Request& q) {
  return list_entities<op::ListRoles::Response>(call, Kind::role, q, &op::ListRoles::Response::roles,
                                                [](const std::string& account, const json::Value& body) {
                                                  auto r = role_shape(account, body);
                                                  r.tags.reset();
                                                  r.permissions_boundary.reset();
                                                  return r;
                                                });
}

Result<op::UpdateRole::Response> Iam::update_role(Call& call, const op::UpdateRole::Request& q) {
  TRY(change(call.account, Kind::role, q.role_name, [&](store::Writer&, json::Value& body) -> Result<void> {
    if (q.max_session_duration && service_linked(body)) return unmodifiable(q.role_name);
    if (q.max_session_duration) body["max_session"] = int64_t{*q.max_session_duration};
    if (q.description) body["description"] = *q.description;
    return {};
  }));
  return op::UpdateRole::Response{};
}

Result<op::UpdateRoleDescription::Response> Iam::update_role_description(
    Call& call, const op::UpdateRoleDescription::Request& q) {
  op::UpdateRoleDescription::Response out;
  TRY(change(call.account, Kind::role, q.role_name, [&](store::Writer&, json::Value& body) -> Result<void> {
    body["description"] = q.description;
    out.role = role_shape(call.account, body);
    return {};
  }));
  return out;
}

Result<op::UpdateAssumeRolePolicy::Response> Iam::update_assume_role_policy(
    Call& call, const op::UpdateAssumeRolePolicy::Request& q) {
  TRY(check_trust(q.policy_document));
  TRY(change(call.account, Kind::role, q.role_name, [&](store::Writer&, json::Value& body) -> Result<void> {
    if (service_linked(body)) return unmodifiable(q.role_name);
    body["trust"] = q.policy_document;
    return {};
  }));
  return op::UpdateAssumeRolePolicy::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
Result<op::DeleteRole::Response> Iam::delete_role(Call& call, const op::DeleteRole::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto body = TRY(need(w, call.account, Kind::role, q.role_name));
    if (service_linked(body)) return unmodifiable(q.role_name);
    const auto conflict = [](const char* what) {
      return fault("DeleteConflict", fmt::format("Cannot delete entity, must {} first.", what));
    };
    if (!body.get_object("inline").empty()) return conflict("delete policies");
    if (!body.get_array("attached").empty()) return conflict("detach all policies");
    if (!TRY(w.find("iam.profile", "role", call.account + " " + lower(q.role_name))).empty()) {
      return conflict("remove roles from instance profile");
    }
    TRY(w.remove(key_of(call.account, Kind::role, q.role_name)));
    return {};
  }));
  return op::DeleteRole::Response{};
}

// --- instance profiles ---

Result<m::InstanceProfile> Iam::profile_shape(store::Reader& r, const std::string& account,
                                              const json::Value& body) {
  m::InstanceProfile p;
  p.path = body.get("path");
  p.instance_profile_name = body.get("name");
  p.instance_profile_id = body.get("id");
  p.arn = arn_of(account, Kind::profile, body);
  p.create_date = body.get_int("created");
  p.tags = optional_tags(body);
  for (const auto& name : body.get_array("roles")) {
    p.roles.push_back(role_shape(account, TRY(need(r, account, Kind::role, name.string()))));
  }
  return p;
}

Result<op::CreateInstanceProfile::Response> Iam::create_instance_profile(
    Call& call, const op::CreateInstanceProfile::Request& q) {
  op::CreateInstanceProfile::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    if (TRY(w.get(key_of(call.account, Kind::profile, q.instance_profile_name)))) {
      return fault("EntityAlreadyExists",
                   fmt::format("Instance Profile {} already exists.", q.instance_profile_name));
    }
    json::Value body = json::object({{"name", q.instance_profile_name},
                                     {"path", q.path.value_or("/")},
                                     {"id", unique_id("AIPA")},
                                     {"created", call.now}});
    if (q.tags) TRY(merge_tags(body, *q.tags, "TagsPerResource"));
    TRY(save(w, call.account, Kind::profile, body));
    out.instance_profile = TRY(profile_shape(w, call.account, body));
    return {};
  }));
  return out;
}

Result<op::GetInstanceProfile::Response> Iam::get_instance_profile(Call& call,
                                                                   const op::GetInstanceProfile::Request& q) {
  op::GetInstanceProfile::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto body = TRY(need(r, call.account, Kind::profile, q.instance_profile_name));
    out.instance_profile = TRY(profile_shape(r, call.account, body));
    return {};
  }));
  return out;
}

Result<op::DeleteInstanceProfile::Response> Iam::delete_instance_profile(
    Call& call, const op::DeleteInstanceProfile::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto body = TRY(need(w, call.account, Kind::profile, q.instance_profile_name));
    if (!body.get_array("roles").empty()) {
      return fault("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.");
    }
    TRY(w.remove(key_of(call.account, Kind::profile, q.instance_profile_name)));
    return {};
  }));
  return op::DeleteInstanceProfile::Response{};
}

Result<op::AddRoleToInstanceProfile::Response> Iam::add_role_to_instance_profile(
    Call& call, const op::AddRoleToInstanceProfile::Request& q) {
  TRY(change(call.account, Kind::profile, q.instance_profile_name,
             [&](store::Writer& w, json::Value& body) -> Result<void> {
               TRY(need(w, call.account, Kind::role, q.role_name));
               if (!body.get_array("roles").empty()) {
                 return fault("LimitExceeded",
                              "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1");
               }
               body["roles"].push(lower(q.role_name));
               return {};
             }));
  return op::AddRoleToInstanceProfile::Response{};
}

Result<op::RemoveRoleFromInstanceProfile::Response> Iam::remove_role_from_instance_profile(
    Call& call, const op::RemoveRoleFromInstanceProfile::Request& q) {
  TRY(change(call.account, Kind::profile, q.instance_profile_name,
             [&](store::Writer&, json::Value& body) -> Result<void> {
               const auto& roles = body.get_array("roles");
               if (roles.empty() || roles[0].string() != lower(q.role_name))
                 return no_such(Kind::role, q.role_name);
               body["roles"] = json::array();
               return {};
             }));
  return op::RemoveRoleFromInstanceProfile::Response{};
}

Result<op::ListInstanceProfiles::Response> Iam::list_instance_profiles(
    Call& call, const op::ListInstanceProfiles::Request& q) {
  std::vector<std::pair<std::string, m::InstanceProfile>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    for (const auto& row : TRY(r.list(call.account, "", "iam.profile"))) {
      if (q.path_prefix && !row.body.get("path").starts_with(*q.path_prefix)) continue;
      items.emplace_back(row.key.id, TRY(profile_shape(r, call.account, row.body)));
    }
    return {};
  }));
  return page<op::ListInstanceProfiles::Response>(
      std::move(items), q.marker, q.max_items, "iam.profile " + call.account,
      [](op::ListInstanceProfiles::Response& r, auto told) { r.instance_profiles = std::move(told); });
}

Result<op::ListInstanceProfilesForRole::Response> Iam::list_instance_profiles_for_role(
    Call& call, const op::ListInstanceProfilesForRole::Request& q) {
  std::vector<std::pair<std::string, m::InstanceProfile>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    TRY(need(r, call.account, Kind::role, q.role_name));
    for (const auto& row : TRY(r.find("iam.profile", "role", call.account + " " + lower(q.role_name)))) {
      items.emplace_back(row.key.id, TRY(profile_shape(r, call.account, row.body)));
    }
    return {};
  }));
  return page<op::ListInstanceProfilesForRole::Response>(
      std::move(items), q.marker, q.max_items, "profiles " + call.account,
      [](op::ListInstanceProfilesForRole::Response& r, auto told) { r.instance_profiles = std::move(told); });
}

}  // namespace bastide::services
