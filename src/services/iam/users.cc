#include <fmt/format.h>

#include "services/iam/iam_templates.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html
Result<op::CreateUser::Response> Iam::create_user(Call& call, const op::CreateUser::Request& q) {
  op::CreateUser::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    if (TRY(w.get(key_of(call.account, Kind::user, q.user_name)))) {
      return fault("EntityAlreadyExists", fmt::format("User with name {} already exists.", q.user_name));
    }
    json::Value body = json::object({{"name", q.user_name},
                                     {"path", q.path.value_or("/")},
                                     {"id", unique_id("AIDA")},
                                     {"created", call.now}});
    if (q.tags) TRY(merge_tags(body, *q.tags, "TagsPerUser"));
    if (q.permissions_boundary) {
      TRY(check_attachable(w, call.account, *q.permissions_boundary));
      body["boundary"] = *q.permissions_boundary;
    }
    TRY(save(w, call.account, Kind::user, body));
    out.user = user_shape(call.account, body);
    return {};
  }));
  return out;
}

// Without a name: the caller. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html
Result<op::GetUser::Response> Iam::get_user(Call& call, const op::GetUser::Request& q) {
  if (!q.user_name && call.principal.kind == aws::Principal::Kind::root) {
    m::User root;
    root.path = "/";
    root.user_id = call.account;
    root.arn = call.principal.arn;
    return op::GetUser::Response{root};
  }
  const auto name = TRY(user_or_caller(call, q.user_name));
  return op::GetUser::Response { user_shape(call.account, TRY(entity(call.account, Kind::user, name))) };
}

Result<op::ListUsers::Response> Iam::list_users(Call& call, const op::ListUsers::Request& q) {
  return list_entities<op::ListUsers::Response>(call, Kind::user, q, &op::ListUsers::Response::users,
                                                [](const std::string& account, const json::Value& body) {
                                                  auto u = user_shape(account, body);
                                                  u.tags.reset();
                                                  u.permissions_boundary.reset();
                                                  return u;
                                                });
}

Result<op::UpdateUser::Response> Iam::update_user(Call& call, const op::UpdateUser::Request& q) {
  TRY(rename(call, Kind::user, q.user_name, q.new_user_name, q.new_path));
  return op::UpdateUser::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
Result<op::DeleteUser::Response> Iam::delete_user(Call& call, const op::DeleteUser::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto body = TRY(need(w, call.account, Kind::user, q.user_name));
    const auto conflict = [](const char* what) {
      return fault("DeleteConflict", fmt::format("Cannot delete entity, must {} first.", what));
    };
    const std::string owner = call.account + " " + lower(body.get("name"));
    if (!body.get_object("inline").empty()) return conflict("delete policies");
    if (!body.get_array("attached").empty()) return conflict("detach all policies");
    if (!body.get_array("groups").empty()) return conflict("remove users from group");
    if (!TRY(w.find("iam.access-key", "user", owner)).empty()) return conflict("delete access keys");
    if (!TRY(w.find("iam.mfa", "user", owner)).empty()) return conflict("delete MFA device");
    if (body.has("login")) return conflict("delete login profile");
    TRY(w.remove(key_of(call.account, Kind::user, q.user_name)));
    return {};
  }));
  return op::DeleteUser::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateGroup.html
Result<op::CreateGroup::Response> Iam::create_group(Call& call, const op::CreateGroup::Request& q) {
  op::CreateGroup::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    if (TRY(w.get(key_of(call.account, Kind::group, q.group_name)))) {
      return fault("EntityAlreadyExists", fmt::format("Group with name {} already exists.", q.group_name));
    }
    const json::Value body = json::object({{"name", q.group_name},
                                           {"path", q.path.value_or("/")},
                                           {"id", unique_id("AGPA")},
                                           {"created", call.now}});
    TRY(save(w, call.account, Kind::group, body));
    out.group = group_shape(call.account, body);
    return {};
  }));
  return out;
}

Result<op::GetGroup::Response> Iam::get_group(Call& call, const op::GetGroup::Request& q) {
  const auto body = TRY(entity(call.account, Kind::group, q.group_name));
  std::vector<std::pair<std::string, m::User>> items;
  for (const auto& row : TRY(db_.find("iam.user", "group", call.account + " " + lower(q.group_name)))) {
    items.emplace_back(row.key.id, user_shape(call.account, row.body));
  }
  return page<op::GetGroup::Response>(std::move(items), q.marker, q.max_items, "members " + call.account,
                                      [&](op::GetGroup::Response& r, auto told) {
                                        r.group = group_shape(call.account, body);
                                        r.users = std::move(told);
                                      });
}

Result<op::ListGroups::Response> Iam::list_groups(Call& call, const op::ListGroups::Request& q) {
  return list_entities<op::ListGroups::Response>(call, Kind::group, q, &op::ListGroups::Response::groups,
                                                 group_shape);
}

Result<op::UpdateGroup::Response> Iam::update_group(Call& call, const op::UpdateGroup::Request& q) {
  TRY(rename(call, Kind::group, q.group_name, q.new_group_name, q.new_path));
  return op::UpdateGroup::Response{};
}

Result<op::DeleteGroup::Response> Iam::delete_group(Call& call, const op::DeleteGroup::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto body = TRY(need(w, call.account, Kind::group, q.group_name));
    const auto conflict = [](const char* what) {
      return fault("DeleteConflict", fmt::format("Cannot delete entity, must {} first.", what));
    };
    if (!body.get_object("inline").empty()) return conflict("delete policies");
    if (!body.get_array("attached").empty()) return conflict("detach all policies");
    if (!TRY(w.find("iam.user", "group", call.account + " " + lower(q.group_name))).empty()) {
      return conflict("remove users from group");
    }
    TRY(w.remove(key_of(call.account, Kind::group, q.group_name)));
    return {};
  }));
  return op::DeleteGroup::Response{};
}

Result<op::AddUserToGroup::Response> Iam::add_user_to_group(Call& call,
                                                            const op::AddUserToGroup::Request& q) {
  TRY(change(call.account, Kind::user, q.user_name, [&](store::Writer& w, json::Value& body) -> Result<void> {
    TRY(need(w, call.account, Kind::group, q.group_name));
    constexpr size_t kMaxGroups = 10;
    for (const auto& g : body.get_array("groups")) {
      if (g.string() == lower(q.group_name)) return {};
    }
    if (body.get_array("groups").size() >= kMaxGroups) {
      return fault("LimitExceeded", fmt::format("Cannot exceed quota for GroupsPerUser: {}", kMaxGroups));
    }
    body["groups"].push(lower(q.group_name));
    return {};
  }));
  return op::AddUserToGroup::Response{};
}

Result<op::RemoveUserFromGroup::Response> Iam::remove_user_from_group(
    Call& call, const op::RemoveUserFromGroup::Request& q) {
  TRY(change(call.account, Kind::user, q.user_name, [&](store::Writer& w, json::Value& body) -> Result<void> {
    TRY(need(w, call.account, Kind::group, q.group_name));
    json::Value left = json::array();
    for (const auto& g : body.get_array("groups")) {
      if (g.string() != lower(q.group_name)) left.push(g);
    }
    if (left.array().size() == body.get_array("groups").size()) {
      return fault("NoSuchEntity", fmt::format("User {} is not in group {}.", q.user_name, q.group_name));
    }
    body["groups"] = std::move(left);
    return {};
  }));
  return op::RemoveUserFromGroup::Response{};
}

Result<op::ListGroupsForUser::Response> Iam::list_groups_for_user(Call& call,
                                                                  const op::ListGroupsForUser::Request& q) {
  std::vector<std::pair<std::string, m::Group>> items;
  TRY(db_.read([&](store::Reader& r) -> Result<void> {
    const auto body = TRY(need(r, call.account, Kind::user, q.user_name));
    for (const auto& g : body.get_array("groups")) {
      items.emplace_back(g.string(),
                         group_shape(call.account, TRY(need(r, call.account, Kind::group, g.string()))));
    }
    return {};
  }));
  return page<op::ListGroupsForUser::Response>(
      std::move(items), q.marker, q.max_items, "groups " + call.account,
      [](op::ListGroupsForUser::Response& r, auto told) { r.groups = std::move(told); });
}

}  // namespace bastide::services
