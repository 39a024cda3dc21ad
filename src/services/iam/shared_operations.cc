// Operations that are the same for users, groups, roles and instance profiles.
#include "services/iam/iam_templates.h"

namespace bastide::services {

namespace op = model::iam::op;

Result<op::PutUserPolicy::Response> Iam::put_user_policy(Call& call, const op::PutUserPolicy::Request& q) {
  TRY(put_inline(call, Kind::user, q.user_name, q.policy_name, q.policy_document));
  return op::PutUserPolicy::Response{};
}

Result<op::GetUserPolicy::Response> Iam::get_user_policy(Call& call, const op::GetUserPolicy::Request& q) {
  op::GetUserPolicy::Response out;
  out.policy_document = TRY(get_inline(call, Kind::user, q.user_name, q.policy_name));
  out.user_name = q.user_name;
  out.policy_name = q.policy_name;
  return out;
}

Result<op::DeleteUserPolicy::Response> Iam::delete_user_policy(Call& call,
                                                               const op::DeleteUserPolicy::Request& q) {
  TRY(delete_inline(call, Kind::user, q.user_name, q.policy_name));
  return op::DeleteUserPolicy::Response{};
}

Result<op::ListUserPolicies::Response> Iam::list_user_policies(Call& call,
                                                               const op::ListUserPolicies::Request& q) {
  return list_inline<op::ListUserPolicies::Response>(call, Kind::user, q.user_name, q);
}

Result<op::AttachUserPolicy::Response> Iam::attach_user_policy(Call& call,
                                                               const op::AttachUserPolicy::Request& q) {
  TRY(attach(call, Kind::user, q.user_name, q.policy_arn));
  return op::AttachUserPolicy::Response{};
}

Result<op::DetachUserPolicy::Response> Iam::detach_user_policy(Call& call,
                                                               const op::DetachUserPolicy::Request& q) {
  TRY(detach(call, Kind::user, q.user_name, q.policy_arn));
  return op::DetachUserPolicy::Response{};
}

Result<op::ListAttachedUserPolicies::Response> Iam::list_attached_user_policies(
    Call& call, const op::ListAttachedUserPolicies::Request& q) {
  return list_attached<op::ListAttachedUserPolicies::Response>(call, Kind::user, q.user_name, q);
}

Result<op::PutUserPermissionsBoundary::Response> Iam::put_user_permissions_boundary(
    Call& call, const op::PutUserPermissionsBoundary::Request& q) {
  TRY(put_boundary(call, Kind::user, q.user_name, q.permissions_boundary));
  return op::PutUserPermissionsBoundary::Response{};
}

Result<op::DeleteUserPermissionsBoundary::Response> Iam::delete_user_permissions_boundary(
    Call& call, const op::DeleteUserPermissionsBoundary::Request& q) {
  TRY(delete_boundary(call, Kind::user, q.user_name));
  return op::DeleteUserPermissionsBoundary::Response{};
}

Result<op::PutGroupPolicy::Response> Iam::put_group_policy(Call& call, const op::PutGroupPolicy::Request& q) {
  TRY(put_inline(call, Kind::group, q.group_name, q.policy_name, q.policy_document));
  return op::PutGroupPolicy::Response{};
}

Result<op::GetGroupPolicy::Response> Iam::get_group_policy(Call& call, const op::GetGroupPolicy::Request& q) {
  op::GetGroupPolicy::Response out;
  out.policy_document = TRY(get_inline(call, Kind::group, q.group_name, q.policy_name));
  out.group_name = q.group_name;
  out.policy_name = q.policy_name;
  return out;
}

Result<op::DeleteGroupPolicy::Response> Iam::delete_group_policy(Call& call,
                                                                 const op::DeleteGroupPolicy::Request& q) {
  TRY(delete_inline(call, Kind::group, q.group_name, q.policy_name));
  return op::DeleteGroupPolicy::Response{};
}

Result<op::ListGroupPolicies::Response> Iam::list_group_policies(Call& call,
                                                                 const op::ListGroupPolicies::Request& q) {
  return list_inline<op::ListGroupPolicies::Response>(call, Kind::group, q.group_name, q);
}

Result<op::AttachGroupPolicy::Response> Iam::attach_group_policy(Call& call,
                                                                 const op::AttachGroupPolicy::Request& q) {
  TRY(attach(call, Kind::group, q.group_name, q.policy_arn));
  return op::AttachGroupPolicy::Response{};
}

Result<op::DetachGroupPolicy::Response> Iam::detach_group_policy(Call& call,
                                                                 const op::DetachGroupPolicy::Request& q) {
  TRY(detach(call, Kind::group, q.group_name, q.policy_arn));
  return op::DetachGroupPolicy::Response{};
}

Result<op::ListAttachedGroupPolicies::Response> Iam::list_attached_group_policies(
    Call& call, const op::ListAttachedGroupPolicies::Request& q) {
  return list_attached<op::ListAttachedGroupPolicies::Response>(call, Kind::group, q.group_name, q);
}

Result<op::PutRolePolicy::Response> Iam::put_role_policy(Call& call, const op::PutRolePolicy::Request& q) {
  TRY(put_inline(call, Kind::role, q.role_name, q.policy_name, q.policy_document));
  return op::PutRolePolicy::Response{};
}

Result<op::GetRolePolicy::Response> Iam::get_role_policy(Call& call, const op::GetRolePolicy::Request& q) {
  op::GetRolePolicy::Response out;
  out.policy_document = TRY(get_inline(call, Kind::role, q.role_name, q.policy_name));
  out.role_name = q.role_name;
  out.policy_name = q.policy_name;
  return out;
}

Result<op::DeleteRolePolicy::Response> Iam::delete_role_policy(Call& call,
                                                               const op::DeleteRolePolicy::Request& q) {
  TRY(delete_inline(call, Kind::role, q.role_name, q.policy_name));
  return op::DeleteRolePolicy::Response{};
}

Result<op::ListRolePolicies::Response> Iam::list_role_policies(Call& call,
                                                               const op::ListRolePolicies::Request& q) {
  return list_inline<op::ListRolePolicies::Response>(call, Kind::role, q.role_name, q);
}

Result<op::AttachRolePolicy::Response> Iam::attach_role_policy(Call& call,
                                                               const op::AttachRolePolicy::Request& q) {
  TRY(attach(call, Kind::role, q.role_name, q.policy_arn));
  return op::AttachRolePolicy::Response{};
}

Result<op::DetachRolePolicy::Response> Iam::detach_role_policy(Call& call,
                                                               const op::DetachRolePolicy::Request& q) {
  TRY(detach(call, Kind::role, q.role_name, q.policy_arn));
  return op::DetachRolePolicy::Response{};
}

Result<op::ListAttachedRolePolicies::Response> Iam::list_attached_role_policies(
    Call& call, const op::ListAttachedRolePolicies::Request& q) {
  return list_attached<op::ListAttachedRolePolicies::Response>(call, Kind::role, q.role_name, q);
}

Result<op::PutRolePermissionsBoundary::Response> Iam::put_role_permissions_boundary(
    Call& call, const op::PutRolePermissionsBoundary::Request& q) {
  TRY(put_boundary(call, Kind::role, q.role_name, q.permissions_boundary));
  return op::PutRolePermissionsBoundary::Response{};
}

Result<op::DeleteRolePermissionsBoundary::Response> Iam::delete_role_permissions_boundary(
    Call& call, const op::DeleteRolePermissionsBoundary::Request& q) {
  TRY(delete_boundary(call, Kind::role, q.role_name));
  return op::DeleteRolePermissionsBoundary::Response{};
}

Result<op::TagUser::Response> Iam::tag_user(Call& call, const op::TagUser::Request& q) {
  TRY(tag(call, Kind::user, q.user_name, q.tags));
  return op::TagUser::Response{};
}

Result<op::UntagUser::Response> Iam::untag_user(Call& call, const op::UntagUser::Request& q) {
  TRY(untag(call, Kind::user, q.user_name, q.tag_keys));
  return op::UntagUser::Response{};
}

Result<op::ListUserTags::Response> Iam::list_user_tags(Call& call, const op::ListUserTags::Request& q) {
  return list_tags<op::ListUserTags::Response>(call, Kind::user, q.user_name, q);
}

Result<op::TagRole::Response> Iam::tag_role(Call& call, const op::TagRole::Request& q) {
  TRY(tag(call, Kind::role, q.role_name, q.tags));
  return op::TagRole::Response{};
}

Result<op::UntagRole::Response> Iam::untag_role(Call& call, const op::UntagRole::Request& q) {
  TRY(untag(call, Kind::role, q.role_name, q.tag_keys));
  return op::UntagRole::Response{};
}

Result<op::ListRoleTags::Response> Iam::list_role_tags(Call& call, const op::ListRoleTags::Request& q) {
  return list_tags<op::ListRoleTags::Response>(call, Kind::role, q.role_name, q);
}

Result<op::TagInstanceProfile::Response> Iam::tag_instance_profile(Call& call,
                                                                   const op::TagInstanceProfile::Request& q) {
  TRY(tag(call, Kind::profile, q.instance_profile_name, q.tags));
  return op::TagInstanceProfile::Response{};
}

Result<op::UntagInstanceProfile::Response> Iam::untag_instance_profile(
    Call& call, const op::UntagInstanceProfile::Request& q) {
  TRY(untag(call, Kind::profile, q.instance_profile_name, q.tag_keys));
  return op::UntagInstanceProfile::Response{};
}

Result<op::ListInstanceProfileTags::Response> Iam::list_instance_profile_tags(
    Call& call, const op::ListInstanceProfileTags::Request& q) {
  return list_tags<op::ListInstanceProfileTags::Response>(call, Kind::profile, q.instance_profile_name, q);
}

}  // namespace bastide::services
