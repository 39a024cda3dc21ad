// IAM: users, groups, roles, policies, credentials. https://docs.aws.amazon.com/IAM/latest/APIReference/
//
// Also what every call passes through: identify() and policies_of() answer from memory; every write of this
// service forgets what is remembered. On control's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "aws/credentials.h"
#include "aws/directory.h"
#include "aws/service.h"
#include "aws/sign_in.h"
#include "base/time.h"
#include "gen/iam.h"
#include "services/iam/rows.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

class Iam final : public aws::PolicySource,
                  public aws::CredentialSource,
                  public aws::IdentityDirectory,
                  public aws::OidcDirectory {
 public:
  using Call = aws::Call;
  using Kind = iam_rows::Kind;

  Iam(store::Database& db, store::Keyring& keyring, Clock& clock)
      : db_(db), keyring_(keyring), clock_(clock) {}
  // Before the first call; without it no account has an organisation.
  void use_accounts(aws::AccountDirectory& accounts) { accounts_ = &accounts; }
  void offer(aws::Registry& registry);

  // Long-term access keys only; sessions are sts's.
  Result<aws::Identity> identify(const std::string& access_key_id, const std::string& session_token) override;
  Result<std::shared_ptr<const aws::IdentityPolicies>> policies_of(const aws::Principal& principal) override;

  Result<std::shared_ptr<const aws::RoleInfo>> role(const std::string& arn) override;
  Result<std::optional<aws::UserInfo>> user(const std::string& account, const std::string& name) override;
  Result<bool> verify_mfa(const std::string& account, const std::string& user, const std::string& serial,
                          const std::string& code) override;
  Result<bool> verify_password(const std::string& account, const std::string& user,
                               const std::string& password) override;
  Result<std::optional<std::string>> policy_text(const std::string& account, const std::string& arn) override;
  Result<void> make_role(store::Writer& writer, const std::string& account,
                         const aws::NewRole& role) override;
  Result<std::vector<aws::OidcProvider>> oidc_providers(const std::string& account) override;
  void changed() override;
  uint64_t generation() const override { return generation_; }

  // A new access key; `user` empty: of the account's root user. The only time that its secret is told.
  Result<model::iam::AccessKey> mint_access_key(store::Writer& writer, const std::string& account,
                                                const std::string& user);

  // clang-format off
  Result<model::iam::op::AddClientIDToOpenIDConnectProvider::Response> add_client_id_to_open_id_connect_provider(Call&, const model::iam::op::AddClientIDToOpenIDConnectProvider::Request&);
  Result<model::iam::op::AddRoleToInstanceProfile::Response> add_role_to_instance_profile(Call&, const model::iam::op::AddRoleToInstanceProfile::Request&);
  Result<model::iam::op::AddUserToGroup::Response> add_user_to_group(Call&, const model::iam::op::AddUserToGroup::Request&);
  Result<model::iam::op::AttachGroupPolicy::Response> attach_group_policy(Call&, const model::iam::op::AttachGroupPolicy::Request&);
  Result<model::iam::op::AttachRolePolicy::Response> attach_role_policy(Call&, const model::iam::op::AttachRolePolicy::Request&);
  Result<model::iam::op::AttachUserPolicy::Response> attach_user_policy(Call&, const model::iam::op::AttachUserPolicy::Request&);
  Result<model::iam::op::ChangePassword::Response> change_password(Call&, const model::iam::op::ChangePassword::Request&);
  Result<model::iam::op::CreateAccessKey::Response> create_access_key(Call&, const model::iam::op::CreateAccessKey::Request&);
  Result<model::iam::op::CreateAccountAlias::Response> create_account_alias(Call&, const model::iam::op::CreateAccountAlias::Request&);
  Result<model::iam::op::CreateGroup::Response> create_group(Call&, const model::iam::op::CreateGroup::Request&);
  Result<model::iam::op::CreateInstanceProfile::Response> create_instance_profile(Call&, const model::iam::op::CreateInstanceProfile::Request&);
  Result<model::iam::op::CreateLoginProfile::Response> create_login_profile(Call&, const model::iam::op::CreateLoginProfile::Request&);
  Result<model::iam::op::CreateOpenIDConnectProvider::Response> create_open_id_connect_provider(Call&, const model::iam::op::CreateOpenIDConnectProvider::Request&);
  Result<model::iam::op::CreatePolicy::Response> create_policy(Call&, const model::iam::op::CreatePolicy::Request&);
  Result<model::iam::op::CreatePolicyVersion::Response> create_policy_version(Call&, const model::iam::op::CreatePolicyVersion::Request&);
  Result<model::iam::op::CreateRole::Response> create_role(Call&, const model::iam::op::CreateRole::Request&);
  Result<model::iam::op::CreateServiceLinkedRole::Response> create_service_linked_role(Call&, const model::iam::op::CreateServiceLinkedRole::Request&);
  Result<model::iam::op::CreateUser::Response> create_user(Call&, const model::iam::op::CreateUser::Request&);
  Result<model::iam::op::CreateVirtualMFADevice::Response> create_virtual_mfa_device(Call&, const model::iam::op::CreateVirtualMFADevice::Request&);
  Result<model::iam::op::DeactivateMFADevice::Response> deactivate_mfa_device(Call&, const model::iam::op::DeactivateMFADevice::Request&);
  Result<model::iam::op::DeleteAccessKey::Response> delete_access_key(Call&, const model::iam::op::DeleteAccessKey::Request&);
  Result<model::iam::op::DeleteAccountAlias::Response> delete_account_alias(Call&, const model::iam::op::DeleteAccountAlias::Request&);
  Result<model::iam::op::DeleteAccountPasswordPolicy::Response> delete_account_password_policy(Call&, const model::iam::op::DeleteAccountPasswordPolicy::Request&);
  Result<model::iam::op::DeleteGroup::Response> delete_group(Call&, const model::iam::op::DeleteGroup::Request&);
  Result<model::iam::op::DeleteGroupPolicy::Response> delete_group_policy(Call&, const model::iam::op::DeleteGroupPolicy::Request&);
  Result<model::iam::op::DeleteInstanceProfile::Response> delete_instance_profile(Call&, const model::iam::op::DeleteInstanceProfile::Request&);
  Result<model::iam::op::DeleteLoginProfile::Response> delete_login_profile(Call&, const model::iam::op::DeleteLoginProfile::Request&);
  Result<model::iam::op::DeleteOpenIDConnectProvider::Response> delete_open_id_connect_provider(Call&, const model::iam::op::DeleteOpenIDConnectProvider::Request&);
  Result<model::iam::op::DeletePolicy::Response> delete_policy(Call&, const model::iam::op::DeletePolicy::Request&);
  Result<model::iam::op::DeletePolicyVersion::Response> delete_policy_version(Call&, const model::iam::op::DeletePolicyVersion::Request&);
  Result<model::iam::op::DeleteRole::Response> delete_role(Call&, const model::iam::op::DeleteRole::Request&);
  Result<model::iam::op::DeleteRolePermissionsBoundary::Response> delete_role_permissions_boundary(Call&, const model::iam::op::DeleteRolePermissionsBoundary::Request&);
  Result<model::iam::op::DeleteRolePolicy::Response> delete_role_policy(Call&, const model::iam::op::DeleteRolePolicy::Request&);
  Result<model::iam::op::DeleteServiceLinkedRole::Response> delete_service_linked_role(Call&, const model::iam::op::DeleteServiceLinkedRole::Request&);
  Result<model::iam::op::DeleteUser::Response> delete_user(Call&, const model::iam::op::DeleteUser::Request&);
  Result<model::iam::op::DeleteUserPermissionsBoundary::Response> delete_user_permissions_boundary(Call&, const model::iam::op::DeleteUserPermissionsBoundary::Request&);
  Result<model::iam::op::DeleteUserPolicy::Response> delete_user_policy(Call&, const model::iam::op::DeleteUserPolicy::Request&);
  Result<model::iam::op::DeleteVirtualMFADevice::Response> delete_virtual_mfa_device(Call&, const model::iam::op::DeleteVirtualMFADevice::Request&);
  Result<model::iam::op::DetachGroupPolicy::Response> detach_group_policy(Call&, const model::iam::op::DetachGroupPolicy::Request&);
  Result<model::iam::op::DetachRolePolicy::Response> detach_role_policy(Call&, const model::iam::op::DetachRolePolicy::Request&);
  Result<model::iam::op::DetachUserPolicy::Response> detach_user_policy(Call&, const model::iam::op::DetachUserPolicy::Request&);
  Result<model::iam::op::EnableMFADevice::Response> enable_mfa_device(Call&, const model::iam::op::EnableMFADevice::Request&);
  Result<model::iam::op::GetAccountPasswordPolicy::Response> get_account_password_policy(Call&, const model::iam::op::GetAccountPasswordPolicy::Request&);
  Result<model::iam::op::GetAccountSummary::Response> get_account_summary(Call&, const model::iam::op::GetAccountSummary::Request&);
  Result<model::iam::op::GetGroup::Response> get_group(Call&, const model::iam::op::GetGroup::Request&);
  Result<model::iam::op::GetGroupPolicy::Response> get_group_policy(Call&, const model::iam::op::GetGroupPolicy::Request&);
  Result<model::iam::op::GetInstanceProfile::Response> get_instance_profile(Call&, const model::iam::op::GetInstanceProfile::Request&);
  Result<model::iam::op::GetLoginProfile::Response> get_login_profile(Call&, const model::iam::op::GetLoginProfile::Request&);
  Result<model::iam::op::GetMFADevice::Response> get_mfa_device(Call&, const model::iam::op::GetMFADevice::Request&);
  Result<model::iam::op::GetOpenIDConnectProvider::Response> get_open_id_connect_provider(Call&, const model::iam::op::GetOpenIDConnectProvider::Request&);
  Result<model::iam::op::GetPolicy::Response> get_policy(Call&, const model::iam::op::GetPolicy::Request&);
  Result<model::iam::op::GetPolicyVersion::Response> get_policy_version(Call&, const model::iam::op::GetPolicyVersion::Request&);
  Result<model::iam::op::GetRole::Response> get_role(Call&, const model::iam::op::GetRole::Request&);
  Result<model::iam::op::GetRolePolicy::Response> get_role_policy(Call&, const model::iam::op::GetRolePolicy::Request&);
  Result<model::iam::op::GetServiceLinkedRoleDeletionStatus::Response> get_service_linked_role_deletion_status(Call&, const model::iam::op::GetServiceLinkedRoleDeletionStatus::Request&);
  Result<model::iam::op::GetUser::Response> get_user(Call&, const model::iam::op::GetUser::Request&);
  Result<model::iam::op::GetUserPolicy::Response> get_user_policy(Call&, const model::iam::op::GetUserPolicy::Request&);
  Result<model::iam::op::ListAccessKeys::Response> list_access_keys(Call&, const model::iam::op::ListAccessKeys::Request&);
  Result<model::iam::op::ListAccountAliases::Response> list_account_aliases(Call&, const model::iam::op::ListAccountAliases::Request&);
  Result<model::iam::op::ListAttachedGroupPolicies::Response> list_attached_group_policies(Call&, const model::iam::op::ListAttachedGroupPolicies::Request&);
  Result<model::iam::op::ListAttachedRolePolicies::Response> list_attached_role_policies(Call&, const model::iam::op::ListAttachedRolePolicies::Request&);
  Result<model::iam::op::ListAttachedUserPolicies::Response> list_attached_user_policies(Call&, const model::iam::op::ListAttachedUserPolicies::Request&);
  Result<model::iam::op::ListEntitiesForPolicy::Response> list_entities_for_policy(Call&, const model::iam::op::ListEntitiesForPolicy::Request&);
  Result<model::iam::op::ListGroupPolicies::Response> list_group_policies(Call&, const model::iam::op::ListGroupPolicies::Request&);
  Result<model::iam::op::ListGroups::Response> list_groups(Call&, const model::iam::op::ListGroups::Request&);
  Result<model::iam::op::ListGroupsForUser::Response> list_groups_for_user(Call&, const model::iam::op::ListGroupsForUser::Request&);
  Result<model::iam::op::ListInstanceProfileTags::Response> list_instance_profile_tags(Call&, const model::iam::op::ListInstanceProfileTags::Request&);
  Result<model::iam::op::ListInstanceProfiles::Response> list_instance_profiles(Call&, const model::iam::op::ListInstanceProfiles::Request&);
  Result<model::iam::op::ListInstanceProfilesForRole::Response> list_instance_profiles_for_role(Call&, const model::iam::op::ListInstanceProfilesForRole::Request&);
  Result<model::iam::op::ListMFADevices::Response> list_mfa_devices(Call&, const model::iam::op::ListMFADevices::Request&);
  Result<model::iam::op::ListOpenIDConnectProviders::Response> list_open_id_connect_providers(Call&, const model::iam::op::ListOpenIDConnectProviders::Request&);
  Result<model::iam::op::ListPolicies::Response> list_policies(Call&, const model::iam::op::ListPolicies::Request&);
  Result<model::iam::op::ListPolicyTags::Response> list_policy_tags(Call&, const model::iam::op::ListPolicyTags::Request&);
  Result<model::iam::op::ListPolicyVersions::Response> list_policy_versions(Call&, const model::iam::op::ListPolicyVersions::Request&);
  Result<model::iam::op::ListRolePolicies::Response> list_role_policies(Call&, const model::iam::op::ListRolePolicies::Request&);
  Result<model::iam::op::ListRoleTags::Response> list_role_tags(Call&, const model::iam::op::ListRoleTags::Request&);
  Result<model::iam::op::ListRoles::Response> list_roles(Call&, const model::iam::op::ListRoles::Request&);
  Result<model::iam::op::ListUserPolicies::Response> list_user_policies(Call&, const model::iam::op::ListUserPolicies::Request&);
  Result<model::iam::op::ListUserTags::Response> list_user_tags(Call&, const model::iam::op::ListUserTags::Request&);
  Result<model::iam::op::ListUsers::Response> list_users(Call&, const model::iam::op::ListUsers::Request&);
  Result<model::iam::op::ListVirtualMFADevices::Response> list_virtual_mfa_devices(Call&, const model::iam::op::ListVirtualMFADevices::Request&);
  Result<model::iam::op::PutGroupPolicy::Response> put_group_policy(Call&, const model::iam::op::PutGroupPolicy::Request&);
  Result<model::iam::op::PutRolePermissionsBoundary::Response> put_role_permissions_boundary(Call&, const model::iam::op::PutRolePermissionsBoundary::Request&);
  Result<model::iam::op::PutRolePolicy::Response> put_role_policy(Call&, const model::iam::op::PutRolePolicy::Request&);
  Result<model::iam::op::PutUserPermissionsBoundary::Response> put_user_permissions_boundary(Call&, const model::iam::op::PutUserPermissionsBoundary::Request&);
  Result<model::iam::op::PutUserPolicy::Response> put_user_policy(Call&, const model::iam::op::PutUserPolicy::Request&);
  Result<model::iam::op::RemoveClientIDFromOpenIDConnectProvider::Response> remove_client_id_from_open_id_connect_provider(Call&, const model::iam::op::RemoveClientIDFromOpenIDConnectProvider::Request&);
  Result<model::iam::op::RemoveRoleFromInstanceProfile::Response> remove_role_from_instance_profile(Call&, const model::iam::op::RemoveRoleFromInstanceProfile::Request&);
  Result<model::iam::op::RemoveUserFromGroup::Response> remove_user_from_group(Call&, const model::iam::op::RemoveUserFromGroup::Request&);
  Result<model::iam::op::ResyncMFADevice::Response> resync_mfa_device(Call&, const model::iam::op::ResyncMFADevice::Request&);
  Result<model::iam::op::SetDefaultPolicyVersion::Response> set_default_policy_version(Call&, const model::iam::op::SetDefaultPolicyVersion::Request&);
  Result<model::iam::op::SimulateCustomPolicy::Response> simulate_custom_policy(Call&, const model::iam::op::SimulateCustomPolicy::Request&);
  Result<model::iam::op::SimulatePrincipalPolicy::Response> simulate_principal_policy(Call&, const model::iam::op::SimulatePrincipalPolicy::Request&);
  Result<model::iam::op::TagInstanceProfile::Response> tag_instance_profile(Call&, const model::iam::op::TagInstanceProfile::Request&);
  Result<model::iam::op::TagPolicy::Response> tag_policy(Call&, const model::iam::op::TagPolicy::Request&);
  Result<model::iam::op::TagRole::Response> tag_role(Call&, const model::iam::op::TagRole::Request&);
  Result<model::iam::op::TagUser::Response> tag_user(Call&, const model::iam::op::TagUser::Request&);
  Result<model::iam::op::UntagInstanceProfile::Response> untag_instance_profile(Call&, const model::iam::op::UntagInstanceProfile::Request&);
  Result<model::iam::op::UntagPolicy::Response> untag_policy(Call&, const model::iam::op::UntagPolicy::Request&);
  Result<model::iam::op::UntagRole::Response> untag_role(Call&, const model::iam::op::UntagRole::Request&);
  Result<model::iam::op::UntagUser::Response> untag_user(Call&, const model::iam::op::UntagUser::Request&);
  Result<model::iam::op::UpdateAccessKey::Response> update_access_key(Call&, const model::iam::op::UpdateAccessKey::Request&);
  Result<model::iam::op::UpdateAccountPasswordPolicy::Response> update_account_password_policy(Call&, const model::iam::op::UpdateAccountPasswordPolicy::Request&);
  Result<model::iam::op::UpdateAssumeRolePolicy::Response> update_assume_role_policy(Call&, const model::iam::op::UpdateAssumeRolePolicy::Request&);
  Result<model::iam::op::UpdateGroup::Response> update_group(Call&, const model::iam::op::UpdateGroup::Request&);
  Result<model::iam::op::UpdateLoginProfile::Response> update_login_profile(Call&, const model::iam::op::UpdateLoginProfile::Request&);
  Result<model::iam::op::UpdateOpenIDConnectProviderThumbprint::Response> update_open_id_connect_provider_thumbprint(Call&, const model::iam::op::UpdateOpenIDConnectProviderThumbprint::Request&);
  Result<model::iam::op::UpdateRole::Response> update_role(Call&, const model::iam::op::UpdateRole::Request&);
  Result<model::iam::op::UpdateRoleDescription::Response> update_role_description(Call&, const model::iam::op::UpdateRoleDescription::Request&);
  Result<model::iam::op::TagMFADevice::Response> tag_mfa_device(Call&, const model::iam::op::TagMFADevice::Request&);
  Result<model::iam::op::UntagMFADevice::Response> untag_mfa_device(Call&, const model::iam::op::UntagMFADevice::Request&);
  Result<model::iam::op::ListMFADeviceTags::Response> list_mfa_device_tags(Call&, const model::iam::op::ListMFADeviceTags::Request&);
  Result<model::iam::op::TagOpenIDConnectProvider::Response> tag_open_id_connect_provider(Call&, const model::iam::op::TagOpenIDConnectProvider::Request&);
  Result<model::iam::op::UntagOpenIDConnectProvider::Response> untag_open_id_connect_provider(Call&, const model::iam::op::UntagOpenIDConnectProvider::Request&);
  Result<model::iam::op::ListOpenIDConnectProviderTags::Response> list_open_id_connect_provider_tags(Call&, const model::iam::op::ListOpenIDConnectProviderTags::Request&);
  Result<model::iam::op::ListServerCertificates::Response> list_server_certificates(Call&, const model::iam::op::ListServerCertificates::Request&);
  Result<model::iam::op::ListSigningCertificates::Response> list_signing_certificates(Call&, const model::iam::op::ListSigningCertificates::Request&);
  Result<model::iam::op::ListSSHPublicKeys::Response> list_ssh_public_keys(Call&, const model::iam::op::ListSSHPublicKeys::Request&);
  Result<model::iam::op::ListServiceSpecificCredentials::Response> list_service_specific_credentials(Call&, const model::iam::op::ListServiceSpecificCredentials::Request&);
  Result<model::iam::op::ListSAMLProviders::Response> list_saml_providers(Call&, const model::iam::op::ListSAMLProviders::Request&);
  Result<model::iam::op::UpdateUser::Response> update_user(Call&, const model::iam::op::UpdateUser::Request&);
  // clang-format on

 private:
  using Targets = Result<std::vector<aws::Target>>;
  template <class Op, class F>
  void on(aws::Registry& registry, F function, Kind kind);
  template <class Op, class F>
  void plain(aws::Registry& registry, F function, const char* resource);
  template <class Request>
  Targets entity_targets(const Call& call, const Request& request, Kind kind);

  Result<void> reading(const std::function<Result<void>(store::Reader&)>& f) { return db_.read(f); }
  Result<void> writing(std::function<Result<void>(store::Writer&)> f);
  // Reads an entity, lets f change it, and saves it.
  Result<void> change(const std::string& account, Kind kind, const std::string& name,
                      std::function<Result<void>(store::Writer&, json::Value&)> f);
  Result<json::Value> entity(const std::string& account, Kind kind, const std::string& name);
  static Result<std::string> user_or_caller(const Call& call, const std::optional<std::string>& name);

  template <class Response, class T, class F>
  Result<Response> page(std::vector<std::pair<std::string, T>> items,
                        const std::optional<std::string>& marker, const std::optional<int32_t>& max_items,
                        const std::string& what, F set);

  Result<void> put_inline(Call& call, Kind kind, const std::string& name, const std::string& policy,
                          const std::string& document);
  Result<std::string> get_inline(Call& call, Kind kind, const std::string& name, const std::string& policy);
  Result<void> delete_inline(Call& call, Kind kind, const std::string& name, const std::string& policy);
  Result<void> attach(Call& call, Kind kind, const std::string& name, const std::string& arn);
  Result<void> detach(Call& call, Kind kind, const std::string& name, const std::string& arn);
  template <class Response, class Request>
  Result<Response> list_inline(Call& call, Kind kind, const std::string& name, const Request& request);
  template <class Response, class Request>
  Result<Response> list_attached(Call& call, Kind kind, const std::string& name, const Request& request);
  Result<void> put_boundary(Call& call, Kind kind, const std::string& name, const std::string& arn);
  Result<void> delete_boundary(Call& call, Kind kind, const std::string& name);
  Result<void> tag(Call& call, Kind kind, const std::string& name, const std::vector<model::iam::Tag>& tags);
  Result<void> untag(Call& call, Kind kind, const std::string& name, const std::vector<std::string>& keys);
  template <class Response, class Request>
  Result<Response> list_tags(Call& call, Kind kind, const std::string& name, const Request& request);
  Result<void> rename(Call& call, Kind kind, const std::string& name,
                      const std::optional<std::string>& new_name, const std::optional<std::string>& new_path);
  template <class Response, class T, class Request, class Shape>
  Result<Response> list_entities(Call& call, Kind kind, const Request& request,
                                 std::vector<T> Response::*field, Shape shape);

  Result<void> check_attachable(store::Reader& r, const std::string& account, const std::string& arn);
  Result<int32_t> uses(store::Reader& r, const std::string& account, const std::string& index,
                       const std::string& arn);
  Result<model::iam::Policy> counted(store::Reader& r, const std::string& account, const json::Value& body);
  Result<void> add_policies(store::Reader& r, const std::string& account, const json::Value& body,
                            const std::string& owner, std::vector<aws::NamedPolicy>& out);
  Result<std::optional<std::string>> text_of(store::Reader& r, const std::string& account,
                                             const std::string& arn);
  Result<json::Value> new_password(const std::string& password);
  Result<void> check_password_rules(const std::string& account, const std::string& user,
                                    const std::string& password);
  Result<json::Value> device(store::Reader& r, const std::string& account, const std::string& serial);
  Result<std::string> seed_of(const json::Value& device);
  Result<model::iam::InstanceProfile> profile_shape(store::Reader& r, const std::string& account,
                                                    const json::Value& body);

  store::Database& db_;
  store::Keyring& keyring_;
  Clock& clock_;
  aws::AccountDirectory* accounts_ = nullptr;

  uint64_t generation_ = 1;
  uint64_t accounts_generation_ = 0;
  std::unordered_map<std::string, aws::Identity> keys_;
  std::unordered_map<std::string, std::shared_ptr<const aws::IdentityPolicies>> policies_;
  std::unordered_map<std::string, std::shared_ptr<const aws::RoleInfo>> roles_;
};

}  // namespace bastide::services
