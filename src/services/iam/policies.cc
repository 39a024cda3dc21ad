#include <fmt/format.h>

#include "services/iam/iam_templates.h"
#include "services/iam/managed.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

namespace {

constexpr size_t kMaxPolicySize = 6144;
constexpr size_t kMaxVersions = 5;

Result<void> check_managed(const std::string& text) {
  TRY(aws::check_identity_policy(text));
  if (aws::policy_size(text) > kMaxPolicySize) {
    return fault("LimitExceeded", fmt::format("Cannot exceed quota for PolicySize: {}", kMaxPolicySize));
  }
  return {};
}

bool is_aws(const std::string& arn) { return arn.starts_with("arn:aws:iam::aws:policy/"); }

Error not_found(const std::string& arn) {
  return fault("NoSuchEntity", fmt::format("Policy {} was not found.", arn));
}

Error no_version(const std::string& arn, const std::string& version) {
  return fault("NoSuchEntity",
               fmt::format("Policy {} version {} does not exist or is not attachable.", arn, version));
}

Result<void> refuse_aws(const std::string& arn) {
  if (is_aws(arn))
    return fault("AccessDenied", "Policy " + arn + " is an AWS managed policy and cannot be changed.", 403);
  return {};
}

m::PolicyVersion version_shape(const json::Value& policy, const json::Value& v, bool with_document) {
  m::PolicyVersion out;
  if (with_document) out.document = percent_encode(v.get("document"));
  out.version_id = v.get("id");
  out.is_default_version = v.get("id") == policy.get("default");
  out.create_date = v.get_int("created");
  return out;
}

}  // namespace

Result<int32_t> Iam::uses(store::Reader& r, const std::string& account, const std::string& index,
                          const std::string& arn) {
  size_t count = 0;
  for (const char* kind : {"iam.user", "iam.role", "iam.group"}) {
    const auto rows = TRY(r.find(kind, index, account + " " + arn));
    count += rows.size();
  }
  return static_cast<int32_t>(count);
}

Result<m::Policy> Iam::counted(store::Reader& r, const std::string& account, const json::Value& body) {
  m::Policy p = policy_shape(body);
  p.attachment_count = TRY(uses(r, account, "policy", body.get("arn")));
  p.permissions_boundary_usage_count = TRY(uses(r, account, "boundary", body.get("arn")));
  return p;
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
Result<op::CreatePolicy::Response> Iam::create_policy(Call& call, const op::CreatePolicy::Request& q) {
  TRY(check_managed(q.policy_document));
  op::CreatePolicy::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto old = TRY(w.get(key_of(call.account, Kind::policy, q.policy_name)));
    if (old) {
      return fault(
          "EntityAlreadyExists",
          fmt::format("A policy called {} already exists. Duplicate names are not allowed.", q.policy_name));
    }
    const std::string path = q.path.value_or("/");
    json::Value body = json::object({{"name", q.policy_name},
                                     {"path", path},
                                     {"arn", arn_of(call.account, Kind::policy, path, q.policy_name)},
                                     {"id", unique_id("ANPA")},
                                     {"created", call.now},
                                     {"updated", call.now},
                                     {"default", "v1"},
                                     {"next", int64_t{2}}});
    if (q.description) body["description"] = *q.description;
    if (q.tags) TRY(merge_tags(body, *q.tags, "TagsPerPolicy"));
    body["versions"].push(
        json::object({{"id", "v1"}, {"document", q.policy_document}, {"created", call.now}}));
    TRY(save(w, call.account, Kind::policy, body));
    out.policy = TRY(counted(w, call.account, body));
    return {};
  }));
  return out;
}

Result<op::GetPolicy::Response> Iam::get_policy(Call& call, const op::GetPolicy::Request& q) {
  op::GetPolicy::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    if (is_aws(q.policy_arn)) {
      const auto* managed = managed_policy(q.policy_arn);
      if (!managed) return not_found(q.policy_arn);
      out.policy = TRY(counted(r, call.account, managed->body));
      return {};
    }
    const auto body = TRY(need_policy(r, call.account, q.policy_arn));
    out.policy = TRY(counted(r, call.account, body));
    return {};
  }));
  return out;
}

Result<op::ListPolicies::Response> Iam::list_policies(Call& call, const op::ListPolicies::Request& q) {
  std::vector<std::pair<std::string, m::Policy>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto add = [&](const json::Value& body) -> Result<void> {
      if (q.path_prefix && !body.get("path").starts_with(*q.path_prefix)) return {};
      auto shape = TRY(counted(r, call.account, body));
      const bool boundary = q.policy_usage_filter == "PermissionsBoundary";
      if (q.only_attached.value_or(false)) {
        if ((boundary ? *shape.permissions_boundary_usage_count : *shape.attachment_count) == 0) return {};
      }
      shape.tags.reset();
      shape.description.reset();
      items.emplace_back(body.get("arn"), std::move(shape));
      return {};
    };
    if (q.scope != "Local") {
      for (const auto& p : managed_policies()) TRY(add(p.body));
    }
    if (q.scope != "AWS") {
      const auto rows = TRY(r.list(call.account, "", "iam.policy"));
      for (const auto& row : rows) TRY(add(row.body));
    }
    return {};
  }));
  return page<op::ListPolicies::Response>(
      std::move(items), q.marker, q.max_items, "iam.policy " + call.account,
      [](op::ListPolicies::Response& r, auto told) { r.policies = std::move(told); });
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
Result<op::DeletePolicy::Response> Iam::delete_policy(Call& call, const op::DeletePolicy::Request& q) {
  TRY(refuse_aws(q.policy_arn));
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto body = TRY(need_policy(w, call.account, q.policy_arn));
    const int32_t attached = TRY(uses(w, call.account, "policy", q.policy_arn));
    const int32_t boundaries = TRY(uses(w, call.account, "boundary", q.policy_arn));
    if (attached + boundaries > 0)
      return fault("DeleteConflict", "Cannot delete a policy attached to entities.");
    if (body.get_array("versions").size() > 1) {
      return fault(
          "DeleteConflict",
          "This policy has more than one version. Before you delete a policy, you must delete the policy's "
          "versions. The default version is deleted with the policy.");
    }
    TRY(w.remove(key_of(call.account, Kind::policy, body.get("name"))));
    return {};
  }));
  return op::DeletePolicy::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html
Result<op::CreatePolicyVersion::Response> Iam::create_policy_version(
    Call& call, const op::CreatePolicyVersion::Request& q) {
  TRY(refuse_aws(q.policy_arn));
  TRY(check_managed(q.policy_document));
  op::CreatePolicyVersion::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(need_policy(w, call.account, q.policy_arn));
    if (body.get_array("versions").size() >= kMaxVersions) {
      return fault(
          "LimitExceeded",
          fmt::format(
              "A managed policy can have up to {} versions. Before you create a new version, you must "
              "delete an existing version.",
              kMaxVersions));
    }
    const int64_t next = body.get_int("next", 2);
    const std::string id = "v" + std::to_string(next);
    body["next"] = next + 1;
    const json::Value version =
        json::object({{"id", id}, {"document", q.policy_document}, {"created", call.now}});
    body["versions"].push(version);
    body["updated"] = call.now;
    if (q.set_as_default.value_or(false)) body["default"] = id;
    out.policy_version = version_shape(body, version, false);
    return save(w, call.account, Kind::policy, body);
  }));
  return out;
}

Result<op::GetPolicyVersion::Response> Iam::get_policy_version(Call& call,
                                                               const op::GetPolicyVersion::Request& q) {
  op::GetPolicyVersion::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    json::Value body;
    if (const auto* managed = managed_policy(q.policy_arn)) {
      body = managed->body;
    } else {
      body = TRY(need_policy(r, call.account, q.policy_arn));
    }
    for (const auto& v : body.get_array("versions")) {
      if (v.get("id") == q.version_id) {
        out.policy_version = version_shape(body, v, true);
        return {};
      }
    }
    return no_version(q.policy_arn, q.version_id);
  }));
  return out;
}

Result<op::ListPolicyVersions::Response> Iam::list_policy_versions(Call& call,
                                                                   const op::ListPolicyVersions::Request& q) {
  std::vector<std::pair<std::string, m::PolicyVersion>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    json::Value body;
    if (const auto* managed = managed_policy(q.policy_arn)) {
      body = managed->body;
    } else {
      body = TRY(need_policy(r, call.account, q.policy_arn));
    }
    for (const auto& v : body.get_array("versions")) {
      const int64_t number = parse_int(v.get("id").substr(1)).value_or(0);
      items.emplace_back(fmt::format("{:012}", 999'999'999'999 - number),
                         version_shape(body, v, false));  // newest first
    }
    return {};
  }));
  return page<op::ListPolicyVersions::Response>(
      std::move(items), q.marker, q.max_items, "versions " + q.policy_arn,
      [](op::ListPolicyVersions::Response& r, auto told) { r.versions = std::move(told); });
}

Result<op::SetDefaultPolicyVersion::Response> Iam::set_default_policy_version(
    Call& call, const op::SetDefaultPolicyVersion::Request& q) {
  TRY(refuse_aws(q.policy_arn));
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(need_policy(w, call.account, q.policy_arn));
    bool found = false;
    for (const auto& v : body.get_array("versions")) found = found || v.get("id") == q.version_id;
    if (!found) return no_version(q.policy_arn, q.version_id);
    body["default"] = q.version_id;
    body["updated"] = call.now;
    return save(w, call.account, Kind::policy, body);
  }));
  return op::SetDefaultPolicyVersion::Response{};
}

Result<op::DeletePolicyVersion::Response> Iam::delete_policy_version(
    Call& call, const op::DeletePolicyVersion::Request& q) {
  TRY(refuse_aws(q.policy_arn));
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(need_policy(w, call.account, q.policy_arn));
    if (body.get("default") == q.version_id) {
      return fault("DeleteConflict", "Cannot delete the default version of a policy.");
    }
    json::Value left = json::array();
    for (const auto& v : body.get_array("versions")) {
      if (v.get("id") != q.version_id) left.push(v);
    }
    if (left.array().size() == body.get_array("versions").size())
      return no_version(q.policy_arn, q.version_id);
    body["versions"] = std::move(left);
    body["updated"] = call.now;
    return save(w, call.account, Kind::policy, body);
  }));
  return op::DeletePolicyVersion::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html
Result<op::ListEntitiesForPolicy::Response> Iam::list_entities_for_policy(
    Call& call, const op::ListEntitiesForPolicy::Request& q) {
  struct Entity {
    Kind kind;
    json::Value body;
  };
  std::vector<std::pair<std::string, Entity>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    if (!managed_policy(q.policy_arn)) TRY(need_policy(r, call.account, q.policy_arn));
    const std::pair<Kind, const char*> kinds[] = {
        {Kind::group, "Group"}, {Kind::user, "User"}, {Kind::role, "Role"}};
    for (const auto& [kind, filter] : kinds) {
      if (q.entity_filter && *q.entity_filter != filter) continue;
      for (const char* index : {"policy", "boundary"}) {
        if (q.policy_usage_filter == "PermissionsPolicy" && std::string_view(index) == "boundary") continue;
        if (q.policy_usage_filter == "PermissionsBoundary" && std::string_view(index) == "policy") continue;
        const auto rows = TRY(r.find(noun(kind).kind, index, call.account + " " + q.policy_arn));
        for (const auto& row : rows) {
          if (q.path_prefix && !row.body.get("path").starts_with(*q.path_prefix)) continue;
          items.push_back({fmt::format("{}/{}/{}", filter, row.key.id, index), Entity{kind, row.body}});
        }
      }
    }
    return {};
  }));
  using Response = op::ListEntitiesForPolicy::Response;
  return page<Response>(std::move(items), q.marker, q.max_items, "entities " + q.policy_arn,
                        [](Response& r, auto told) {
                          r.policy_groups.emplace();
                          r.policy_users.emplace();
                          r.policy_roles.emplace();
                          for (const auto& e : told) {
                            const std::string name = e.body.get("name"), id = e.body.get("id");
                            if (e.kind == Kind::group) r.policy_groups->push_back({name, id});
                            if (e.kind == Kind::user) r.policy_users->push_back({name, id});
                            if (e.kind == Kind::role) r.policy_roles->push_back({name, id});
                          }
                        });
}

Result<op::TagPolicy::Response> Iam::tag_policy(Call& call, const op::TagPolicy::Request& q) {
  TRY(refuse_aws(q.policy_arn));
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(need_policy(w, call.account, q.policy_arn));
    TRY(merge_tags(body, q.tags, "TagsPerPolicy"));
    return save(w, call.account, Kind::policy, body);
  }));
  return op::TagPolicy::Response{};
}

Result<op::UntagPolicy::Response> Iam::untag_policy(Call& call, const op::UntagPolicy::Request& q) {
  TRY(refuse_aws(q.policy_arn));
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(need_policy(w, call.account, q.policy_arn));
    if (auto* tags = body.find("tags")) {
      for (const auto& k : q.tag_keys) tags->remove(k);
    }
    return save(w, call.account, Kind::policy, body);
  }));
  return op::UntagPolicy::Response{};
}

Result<op::ListPolicyTags::Response> Iam::list_policy_tags(Call& call, const op::ListPolicyTags::Request& q) {
  TRY(reading([&](store::Reader& r) -> Result<void> {
    TRY(need_policy(r, call.account, q.policy_arn));
    return {};
  }));
  return list_tags<op::ListPolicyTags::Response>(call, Kind::policy, name_in_arn(q.policy_arn), q);
}

}  // namespace bastide::services
