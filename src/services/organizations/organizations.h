// Organizations: accounts, organisational units and service control policies.
// https://docs.aws.amazon.com/organizations/latest/APIReference/
//
// A home has at most one organisation; its rows lie in the management account. What decisions need of it is
// kept in memory and read anew after every write. On control's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "aws/directory.h"
#include "aws/service.h"
#include "base/time.h"
#include "gen/organizations.h"
#include "store/database.h"

namespace bastide::services {

class Organizations final : public aws::AccountDirectory {
 public:
  using Call = aws::Call;

  Organizations(store::Database& db, Clock& clock, aws::IdentityDirectory& identities)
      : db_(db), clock_(clock), identities_(identities) {}
  void offer(aws::Registry& registry);

  Result<std::shared_ptr<const aws::AccountControls>> controls_of(const std::string& account) override;
  bool active(const std::string& account) override;
  uint64_t generation() const override { return generation_; }

  void changed();

  // clang-format off
  Result<model::organizations::op::AttachPolicy::Response> attach_policy(Call&, const model::organizations::op::AttachPolicy::Request&);
  Result<model::organizations::op::CloseAccount::Response> close_account(Call&, const model::organizations::op::CloseAccount::Request&);
  Result<model::organizations::op::CreateAccount::Response> create_account(Call&, const model::organizations::op::CreateAccount::Request&);
  Result<model::organizations::op::CreateOrganization::Response> create_organization(Call&, const model::organizations::op::CreateOrganization::Request&);
  Result<model::organizations::op::CreateOrganizationalUnit::Response> create_organizational_unit(Call&, const model::organizations::op::CreateOrganizationalUnit::Request&);
  Result<model::organizations::op::CreatePolicy::Response> create_policy(Call&, const model::organizations::op::CreatePolicy::Request&);
  Result<model::organizations::op::DeleteOrganization::Response> delete_organization(Call&, const model::organizations::op::DeleteOrganization::Request&);
  Result<model::organizations::op::DeleteOrganizationalUnit::Response> delete_organizational_unit(Call&, const model::organizations::op::DeleteOrganizationalUnit::Request&);
  Result<model::organizations::op::DeletePolicy::Response> delete_policy(Call&, const model::organizations::op::DeletePolicy::Request&);
  Result<model::organizations::op::DescribeAccount::Response> describe_account(Call&, const model::organizations::op::DescribeAccount::Request&);
  Result<model::organizations::op::DescribeCreateAccountStatus::Response> describe_create_account_status(Call&, const model::organizations::op::DescribeCreateAccountStatus::Request&);
  Result<model::organizations::op::DescribeOrganization::Response> describe_organization(Call&, const model::organizations::op::DescribeOrganization::Request&);
  Result<model::organizations::op::DescribeOrganizationalUnit::Response> describe_organizational_unit(Call&, const model::organizations::op::DescribeOrganizationalUnit::Request&);
  Result<model::organizations::op::DescribePolicy::Response> describe_policy(Call&, const model::organizations::op::DescribePolicy::Request&);
  Result<model::organizations::op::DetachPolicy::Response> detach_policy(Call&, const model::organizations::op::DetachPolicy::Request&);
  Result<model::organizations::op::DisableAWSServiceAccess::Response> disable_aws_service_access(Call&, const model::organizations::op::DisableAWSServiceAccess::Request&);
  Result<model::organizations::op::DisablePolicyType::Response> disable_policy_type(Call&, const model::organizations::op::DisablePolicyType::Request&);
  Result<model::organizations::op::EnableAWSServiceAccess::Response> enable_aws_service_access(Call&, const model::organizations::op::EnableAWSServiceAccess::Request&);
  Result<model::organizations::op::EnablePolicyType::Response> enable_policy_type(Call&, const model::organizations::op::EnablePolicyType::Request&);
  Result<model::organizations::op::ListAWSServiceAccessForOrganization::Response> list_aws_service_access_for_organization(Call&, const model::organizations::op::ListAWSServiceAccessForOrganization::Request&);
  Result<model::organizations::op::ListAccounts::Response> list_accounts(Call&, const model::organizations::op::ListAccounts::Request&);
  Result<model::organizations::op::ListAccountsForParent::Response> list_accounts_for_parent(Call&, const model::organizations::op::ListAccountsForParent::Request&);
  Result<model::organizations::op::ListChildren::Response> list_children(Call&, const model::organizations::op::ListChildren::Request&);
  Result<model::organizations::op::ListCreateAccountStatus::Response> list_create_account_status(Call&, const model::organizations::op::ListCreateAccountStatus::Request&);
  Result<model::organizations::op::ListOrganizationalUnitsForParent::Response> list_organizational_units_for_parent(Call&, const model::organizations::op::ListOrganizationalUnitsForParent::Request&);
  Result<model::organizations::op::ListParents::Response> list_parents(Call&, const model::organizations::op::ListParents::Request&);
  Result<model::organizations::op::ListPolicies::Response> list_policies(Call&, const model::organizations::op::ListPolicies::Request&);
  Result<model::organizations::op::ListPoliciesForTarget::Response> list_policies_for_target(Call&, const model::organizations::op::ListPoliciesForTarget::Request&);
  Result<model::organizations::op::ListRoots::Response> list_roots(Call&, const model::organizations::op::ListRoots::Request&);
  Result<model::organizations::op::ListTagsForResource::Response> list_tags_for_resource(Call&, const model::organizations::op::ListTagsForResource::Request&);
  Result<model::organizations::op::ListTargetsForPolicy::Response> list_targets_for_policy(Call&, const model::organizations::op::ListTargetsForPolicy::Request&);
  Result<model::organizations::op::MoveAccount::Response> move_account(Call&, const model::organizations::op::MoveAccount::Request&);
  Result<model::organizations::op::TagResource::Response> tag_resource(Call&, const model::organizations::op::TagResource::Request&);
  Result<model::organizations::op::UntagResource::Response> untag_resource(Call&, const model::organizations::op::UntagResource::Request&);
  Result<model::organizations::op::UpdateOrganizationalUnit::Response> update_organizational_unit(Call&, const model::organizations::op::UpdateOrganizationalUnit::Request&);
  Result<model::organizations::op::RegisterDelegatedAdministrator::Response> register_delegated_administrator(Call&, const model::organizations::op::RegisterDelegatedAdministrator::Request&);
  Result<model::organizations::op::ListDelegatedServicesForAccount::Response> list_delegated_services_for_account(Call&, const model::organizations::op::ListDelegatedServicesForAccount::Request&);
  Result<model::organizations::op::ListDelegatedAdministrators::Response> list_delegated_administrators(Call&, const model::organizations::op::ListDelegatedAdministrators::Request&);
  Result<model::organizations::op::DeregisterDelegatedAdministrator::Response> deregister_delegated_administrator(Call&, const model::organizations::op::DeregisterDelegatedAdministrator::Request&);
  Result<model::organizations::op::UpdatePolicy::Response> update_policy(Call&, const model::organizations::op::UpdatePolicy::Request&);
  // clang-format on

 private:
  using Body = json::Value;
  template <class Op, class F>
  void add(aws::Registry& registry, F function);
  Result<void> reading(const std::function<Result<void>(store::Reader&)>& f) { return db_.read(f); }
  Result<void> writing(std::function<Result<void>(store::Writer&)> f);
  template <class Response, class T, class Request>
  Result<Response> page(std::vector<T> items, const Request& request,
                        std::optional<std::vector<T>> Response::*field);

  struct Snapshot;
  Result<std::shared_ptr<const Snapshot>> snapshot();

  store::Database& db_;
  Clock& clock_;
  aws::IdentityDirectory& identities_;
  uint64_t generation_ = 1;
  std::shared_ptr<const Snapshot> snapshot_;
  std::unordered_map<std::string, std::shared_ptr<const aws::AccountControls>> controls_;
};

}  // namespace bastide::services
