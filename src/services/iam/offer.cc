// What each operation is authorised against.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
#include "aws/arn.h"
#include "base/bytes.h"
#include "services/iam/iam.h"

namespace bastide::services {

namespace op = model::iam::op;
using namespace iam_rows;

namespace {

using Targets = Result<std::vector<aws::Target>>;

template <class Request>
void add_context(aws::Target& target, const Request& q) {
  if constexpr (requires { q.tags; }) {
    const auto add = [&](const auto& tags) {
      for (const auto& t : tags) {
        target.context.emplace_back("aws:RequestTag/" + t.key, t.value);
        target.context.emplace_back("aws:TagKeys", t.key);
      }
    };
    if constexpr (requires { q.tags.has_value(); }) {
      if (q.tags) add(*q.tags);
    } else {
      add(q.tags);
    }
  }
  if constexpr (requires { q.tag_keys; }) {
    for (const auto& k : q.tag_keys) target.context.emplace_back("aws:TagKeys", k);
  }
  if constexpr (requires { q.permissions_boundary; }) {
    if constexpr (requires { q.permissions_boundary.has_value(); }) {
      if (q.permissions_boundary)
        target.context.emplace_back("iam:PermissionsBoundary", *q.permissions_boundary);
    } else {
      target.context.emplace_back("iam:PermissionsBoundary", q.permissions_boundary);
    }
  }
}

template <class Request>
Targets service_linked_target(const aws::Call& call, const Request& q) {
  aws::Target t;
  t.resource = aws::make_arn("iam", "", call.account, "role/aws-service-role/" + q.aws_service_name + "/*");
  t.context.emplace_back("iam:AWSServiceName", q.aws_service_name);
  return std::vector<aws::Target>{t};
}

template <class Request>
Targets mfa_target(const aws::Call& call, const Request& q) {
  aws::Target t;
  if constexpr (requires { q.serial_number; }) {
    t.resource = q.serial_number;
  } else {
    t.resource =
        aws::make_arn("iam", "", call.account, "mfa" + q.path.value_or("/") + q.virtual_mfa_device_name);
  }
  add_context(t, q);
  return std::vector<aws::Target>{t};
}

template <class Request>
Targets oidc_target(const aws::Call& call, const Request& q) {
  aws::Target t;
  if constexpr (requires { q.open_id_connect_provider_arn; }) {
    t.resource = q.open_id_connect_provider_arn;
    // One of another account is out of reach, whether it exists or not.
    const auto arn = aws::parse_arn(q.open_id_connect_provider_arn);
    if (arn && aws::valid_account_id(arn->account)) t.owner = arn->account;
  } else if constexpr (requires { q.url; }) {
    t.resource = aws::make_arn("iam", "", call.account,
                               "oidc-provider/" + (q.url.starts_with("https://") ? q.url.substr(8) : q.url));
  } else {
    t.resource = aws::make_arn("iam", "", call.account, "oidc-provider/*");
  }
  add_context(t, q);
  return std::vector<aws::Target>{t};
}

}  // namespace

// The entity's ARN with its path and tags; one that does not exist (yet) is named by what is known.
template <class Request>
Iam::Targets Iam::entity_targets(const Call& call, const Request& q, Kind kind) {
  aws::Target t;
  t.owner = call.account;
  std::string name, path = "/";
  const auto take = [&](const auto& value) {
    if constexpr (requires { value.has_value(); }) {
      if (value) name = *value;
    } else {
      name = value;
    }
  };
  if (kind == Kind::user) {
    if constexpr (requires { q.user_name; }) take(q.user_name);
    if (name.empty() && call.principal.kind == aws::Principal::Kind::user) name = call.principal.name;
  }
  if constexpr (requires { q.group_name; }) {
    if (kind == Kind::group) take(q.group_name);
  }
  if constexpr (requires { q.role_name; }) {
    if (kind == Kind::role) take(q.role_name);
  }
  if constexpr (requires { q.instance_profile_name; }) {
    if (kind == Kind::profile) take(q.instance_profile_name);
  }
  if constexpr (requires { q.policy_arn; }) {
    if (kind == Kind::policy) {
      t.resource = q.policy_arn;
      add_context(t, q);
      auto row = TRY(db_.get(key_of(call.account, kind, name_in_arn(q.policy_arn))));
      if (row) {
        for (const auto& [k, v] : row->body.get_object("tags"))
          t.context.emplace_back("aws:ResourceTag/" + k, v.string());
      }
      return std::vector<aws::Target>{t};
    }
    t.context.emplace_back("iam:PolicyARN", q.policy_arn);
  }
  if constexpr (requires {
                  q.policy_name;
                  q.policy_document;
                  q.description;
                }) {
    if (kind == Kind::policy) name = q.policy_name;
  }
  if constexpr (requires { q.path; }) path = q.path.value_or("/");
  if (name.empty()) {  // the root user, asking about itself
    t.resource = call.principal.arn;
    return std::vector<aws::Target>{t};
  }
  t.resource = arn_of(call.account, kind, path, name);
  add_context(t, q);
  auto row = TRY(db_.get(key_of(call.account, kind, name)));
  if (row) {
    t.resource = arn_of(call.account, kind, row->body);
    for (const auto& [k, v] : row->body.get_object("tags")) {
      t.context.emplace_back("aws:ResourceTag/" + k, v.string());
      t.context.emplace_back("iam:ResourceTag/" + k, v.string());
    }
    if constexpr (!requires { q.permissions_boundary; }) {
      if (row->body.has("boundary"))
        t.context.emplace_back("iam:PermissionsBoundary", row->body.get("boundary"));
    }
  }
  return std::vector<aws::Target>{t};
}

template <class Op, class F>
void Iam::on(aws::Registry& registry, F function, Kind kind) {
  registry.add<Op>(this, function,
                   {std::string("iam:") + Op::operation.name,
                    [this, kind](const Call& call, const typename Op::Request& q) -> Targets {
                      return entity_targets(call, q, kind);
                    }});
}

template <class Op, class F>
void Iam::plain(aws::Registry& registry, F function, const char* resource) {
  registry.add<Op>(this, function,
                   {std::string("iam:") + Op::operation.name,
                    [resource](const Call& call, const typename Op::Request&) -> Targets {
                      aws::Target t;
                      if (*resource) t.resource = aws::make_arn("iam", "", call.account, resource);
                      return std::vector<aws::Target>{t};
                    }});
}

void Iam::offer(aws::Registry& r) {
  r.add<op::AddClientIDToOpenIDConnectProvider>(
      this, &Iam::add_client_id_to_open_id_connect_provider,
      {"iam:AddClientIDToOpenIDConnectProvider",
       oidc_target<op::AddClientIDToOpenIDConnectProvider::Request>});
  on<op::AddRoleToInstanceProfile>(r, &Iam::add_role_to_instance_profile, Kind::profile);
  on<op::AddUserToGroup>(r, &Iam::add_user_to_group, Kind::group);
  on<op::AttachGroupPolicy>(r, &Iam::attach_group_policy, Kind::group);
  on<op::AttachRolePolicy>(r, &Iam::attach_role_policy, Kind::role);
  on<op::AttachUserPolicy>(r, &Iam::attach_user_policy, Kind::user);
  on<op::ChangePassword>(r, &Iam::change_password, Kind::user);
  on<op::CreateAccessKey>(r, &Iam::create_access_key, Kind::user);
  plain<op::CreateAccountAlias>(r, &Iam::create_account_alias, "");
  on<op::CreateGroup>(r, &Iam::create_group, Kind::group);
  on<op::CreateInstanceProfile>(r, &Iam::create_instance_profile, Kind::profile);
  on<op::CreateLoginProfile>(r, &Iam::create_login_profile, Kind::user);
  r.add<op::CreateOpenIDConnectProvider>(
      this, &Iam::create_open_id_connect_provider,
      {"iam:CreateOpenIDConnectProvider", oidc_target<op::CreateOpenIDConnectProvider::Request>});
  on<op::CreatePolicy>(r, &Iam::create_policy, Kind::policy);
  on<op::CreatePolicyVersion>(r, &Iam::create_policy_version, Kind::policy);
  on<op::CreateRole>(r, &Iam::create_role, Kind::role);
  r.add<op::CreateServiceLinkedRole>(
      this, &Iam::create_service_linked_role,
      {"iam:CreateServiceLinkedRole", service_linked_target<op::CreateServiceLinkedRole::Request>});
  on<op::CreateUser>(r, &Iam::create_user, Kind::user);
  r.add<op::CreateVirtualMFADevice>(
      this, &Iam::create_virtual_mfa_device,
      {"iam:CreateVirtualMFADevice", mfa_target<op::CreateVirtualMFADevice::Request>});
  on<op::DeactivateMFADevice>(r, &Iam::deactivate_mfa_device, Kind::user);
  on<op::DeleteAccessKey>(r, &Iam::delete_access_key, Kind::user);
  plain<op::DeleteAccountAlias>(r, &Iam::delete_account_alias, "");
  plain<op::DeleteAccountPasswordPolicy>(r, &Iam::delete_account_password_policy, "");
  on<op::DeleteGroup>(r, &Iam::delete_group, Kind::group);
  on<op::DeleteGroupPolicy>(r, &Iam::delete_group_policy, Kind::group);
  on<op::DeleteInstanceProfile>(r, &Iam::delete_instance_profile, Kind::profile);
  on<op::DeleteLoginProfile>(r, &Iam::delete_login_profile, Kind::user);
  r.add<op::DeleteOpenIDConnectProvider>(
      this, &Iam::delete_open_id_connect_provider,
      {"iam:DeleteOpenIDConnectProvider", oidc_target<op::DeleteOpenIDConnectProvider::Request>});
  on<op::DeletePolicy>(r, &Iam::delete_policy, Kind::policy);
  on<op::DeletePolicyVersion>(r, &Iam::delete_policy_version, Kind::policy);
  on<op::DeleteRole>(r, &Iam::delete_role, Kind::role);
  on<op::DeleteRolePermissionsBoundary>(r, &Iam::delete_role_permissions_boundary, Kind::role);
  on<op::DeleteRolePolicy>(r, &Iam::delete_role_policy, Kind::role);
  on<op::DeleteServiceLinkedRole>(r, &Iam::delete_service_linked_role, Kind::role);
  on<op::DeleteUser>(r, &Iam::delete_user, Kind::user);
  on<op::DeleteUserPermissionsBoundary>(r, &Iam::delete_user_permissions_boundary, Kind::user);
  on<op::DeleteUserPolicy>(r, &Iam::delete_user_policy, Kind::user);
  r.add<op::DeleteVirtualMFADevice>(
      this, &Iam::delete_virtual_mfa_device,
      {"iam:DeleteVirtualMFADevice", mfa_target<op::DeleteVirtualMFADevice::Request>});
  on<op::DetachGroupPolicy>(r, &Iam::detach_group_policy, Kind::group);
  on<op::DetachRolePolicy>(r, &Iam::detach_role_policy, Kind::role);
  on<op::DetachUserPolicy>(r, &Iam::detach_user_policy, Kind::user);
  on<op::EnableMFADevice>(r, &Iam::enable_mfa_device, Kind::user);
  plain<op::GetAccountPasswordPolicy>(r, &Iam::get_account_password_policy, "");
  plain<op::GetAccountSummary>(r, &Iam::get_account_summary, "");
  on<op::GetGroup>(r, &Iam::get_group, Kind::group);
  on<op::GetGroupPolicy>(r, &Iam::get_group_policy, Kind::group);
  on<op::GetInstanceProfile>(r, &Iam::get_instance_profile, Kind::profile);
  on<op::GetLoginProfile>(r, &Iam::get_login_profile, Kind::user);
  on<op::GetMFADevice>(r, &Iam::get_mfa_device, Kind::user);
  r.add<op::GetOpenIDConnectProvider>(
      this, &Iam::get_open_id_connect_provider,
      {"iam:GetOpenIDConnectProvider", oidc_target<op::GetOpenIDConnectProvider::Request>});
  on<op::GetPolicy>(r, &Iam::get_policy, Kind::policy);
  on<op::GetPolicyVersion>(r, &Iam::get_policy_version, Kind::policy);
  on<op::GetRole>(r, &Iam::get_role, Kind::role);
  on<op::GetRolePolicy>(r, &Iam::get_role_policy, Kind::role);
  plain<op::GetServiceLinkedRoleDeletionStatus>(r, &Iam::get_service_linked_role_deletion_status, "role/*");
  on<op::GetUser>(r, &Iam::get_user, Kind::user);
  on<op::GetUserPolicy>(r, &Iam::get_user_policy, Kind::user);
  on<op::ListAccessKeys>(r, &Iam::list_access_keys, Kind::user);
  plain<op::ListAccountAliases>(r, &Iam::list_account_aliases, "");
  on<op::ListAttachedGroupPolicies>(r, &Iam::list_attached_group_policies, Kind::group);
  on<op::ListAttachedRolePolicies>(r, &Iam::list_attached_role_policies, Kind::role);
  on<op::ListAttachedUserPolicies>(r, &Iam::list_attached_user_policies, Kind::user);
  on<op::ListEntitiesForPolicy>(r, &Iam::list_entities_for_policy, Kind::policy);
  on<op::ListGroupPolicies>(r, &Iam::list_group_policies, Kind::group);
  plain<op::ListGroups>(r, &Iam::list_groups, "group/");
  on<op::ListGroupsForUser>(r, &Iam::list_groups_for_user, Kind::user);
  on<op::ListInstanceProfileTags>(r, &Iam::list_instance_profile_tags, Kind::profile);
  plain<op::ListInstanceProfiles>(r, &Iam::list_instance_profiles, "instance-profile/");
  on<op::ListInstanceProfilesForRole>(r, &Iam::list_instance_profiles_for_role, Kind::role);
  on<op::ListMFADevices>(r, &Iam::list_mfa_devices, Kind::user);
  r.add<op::ListOpenIDConnectProviders>(
      this, &Iam::list_open_id_connect_providers,
      {"iam:ListOpenIDConnectProviders", oidc_target<op::ListOpenIDConnectProviders::Request>});
  plain<op::ListPolicies>(r, &Iam::list_policies, "policy/");
  on<op::ListPolicyTags>(r, &Iam::list_policy_tags, Kind::policy);
  on<op::ListPolicyVersions>(r, &Iam::list_policy_versions, Kind::policy);
  on<op::ListRolePolicies>(r, &Iam::list_role_policies, Kind::role);
  on<op::ListRoleTags>(r, &Iam::list_role_tags, Kind::role);
  plain<op::ListRoles>(r, &Iam::list_roles, "role/");
  on<op::ListUserPolicies>(r, &Iam::list_user_policies, Kind::user);
  on<op::ListUserTags>(r, &Iam::list_user_tags, Kind::user);
  plain<op::ListUsers>(r, &Iam::list_users, "user/");
  plain<op::ListVirtualMFADevices>(r, &Iam::list_virtual_mfa_devices, "mfa/");
  on<op::PutGroupPolicy>(r, &Iam::put_group_policy, Kind::group);
  on<op::PutRolePermissionsBoundary>(r, &Iam::put_role_permissions_boundary, Kind::role);
  on<op::PutRolePolicy>(r, &Iam::put_role_policy, Kind::role);
  on<op::PutUserPermissionsBoundary>(r, &Iam::put_user_permissions_boundary, Kind::user);
  on<op::PutUserPolicy>(r, &Iam::put_user_policy, Kind::user);
  r.add<op::RemoveClientIDFromOpenIDConnectProvider>(
      this, &Iam::remove_client_id_from_open_id_connect_provider,
      {"iam:RemoveClientIDFromOpenIDConnectProvider",
       oidc_target<op::RemoveClientIDFromOpenIDConnectProvider::Request>});
  on<op::RemoveRoleFromInstanceProfile>(r, &Iam::remove_role_from_instance_profile, Kind::profile);
  on<op::RemoveUserFromGroup>(r, &Iam::remove_user_from_group, Kind::group);
  on<op::ResyncMFADevice>(r, &Iam::resync_mfa_device, Kind::user);
  on<op::SetDefaultPolicyVersion>(r, &Iam::set_default_policy_version, Kind::policy);
  r.add<op::SimulateCustomPolicy>(this, &Iam::simulate_custom_policy, {"iam:SimulateCustomPolicy"});
  r.add<op::SimulatePrincipalPolicy>(this, &Iam::simulate_principal_policy,
                                     {"iam:SimulatePrincipalPolicy", [](const Call&, const op::SimulatePrincipalPolicy::Request& q) -> Targets {
                                        aws::Target t;
                                        t.resource = q.policy_source_arn;
                                        return std::vector<aws::Target>{t};
                                      }});
  on<op::TagInstanceProfile>(r, &Iam::tag_instance_profile, Kind::profile);
  on<op::TagPolicy>(r, &Iam::tag_policy, Kind::policy);
  on<op::TagRole>(r, &Iam::tag_role, Kind::role);
  on<op::TagUser>(r, &Iam::tag_user, Kind::user);
  on<op::UntagInstanceProfile>(r, &Iam::untag_instance_profile, Kind::profile);
  on<op::UntagPolicy>(r, &Iam::untag_policy, Kind::policy);
  on<op::UntagRole>(r, &Iam::untag_role, Kind::role);
  on<op::UntagUser>(r, &Iam::untag_user, Kind::user);
  on<op::UpdateAccessKey>(r, &Iam::update_access_key, Kind::user);
  plain<op::UpdateAccountPasswordPolicy>(r, &Iam::update_account_password_policy, "");
  on<op::UpdateAssumeRolePolicy>(r, &Iam::update_assume_role_policy, Kind::role);
  on<op::UpdateGroup>(r, &Iam::update_group, Kind::group);
  on<op::UpdateLoginProfile>(r, &Iam::update_login_profile, Kind::user);
  r.add<op::UpdateOpenIDConnectProviderThumbprint>(
      this, &Iam::update_open_id_connect_provider_thumbprint,
      {"iam:UpdateOpenIDConnectProviderThumbprint",
       oidc_target<op::UpdateOpenIDConnectProviderThumbprint::Request>});
  on<op::UpdateRole>(r, &Iam::update_role, Kind::role);
  on<op::UpdateRoleDescription>(r, &Iam::update_role_description, Kind::role);
  r.add<op::TagMFADevice>(this, &Iam::tag_mfa_device, {"iam:TagMFADevice", mfa_target<op::TagMFADevice::Request>});
  r.add<op::UntagMFADevice>(this, &Iam::untag_mfa_device, {"iam:UntagMFADevice", mfa_target<op::UntagMFADevice::Request>});
  r.add<op::ListMFADeviceTags>(this, &Iam::list_mfa_device_tags, {"iam:ListMFADeviceTags", mfa_target<op::ListMFADeviceTags::Request>});
  r.add<op::TagOpenIDConnectProvider>(this, &Iam::tag_open_id_connect_provider, {"iam:TagOpenIDConnectProvider", oidc_target<op::TagOpenIDConnectProvider::Request>});
  r.add<op::UntagOpenIDConnectProvider>(this, &Iam::untag_open_id_connect_provider, {"iam:UntagOpenIDConnectProvider", oidc_target<op::UntagOpenIDConnectProvider::Request>});
  r.add<op::ListOpenIDConnectProviderTags>(this, &Iam::list_open_id_connect_provider_tags, {"iam:ListOpenIDConnectProviderTags", oidc_target<op::ListOpenIDConnectProviderTags::Request>});
  plain<op::ListServerCertificates>(r, &Iam::list_server_certificates, "server-certificate/");
  on<op::ListSigningCertificates>(r, &Iam::list_signing_certificates, Kind::user);
  on<op::ListSSHPublicKeys>(r, &Iam::list_ssh_public_keys, Kind::user);
  on<op::ListServiceSpecificCredentials>(r, &Iam::list_service_specific_credentials, Kind::user);
  plain<op::ListSAMLProviders>(r, &Iam::list_saml_providers, "");
  on<op::UpdateUser>(r, &Iam::update_user, Kind::user);
}

}  // namespace bastide::services
