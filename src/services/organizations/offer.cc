#include "services/organizations/rows.h"

namespace bastide::services {

namespace op = model::organizations::op;

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
template <class Op, class F>
void Organizations::add(aws::Registry& registry, F function) {
  registry.add<Op>(
      this, function,
      {std::string("organizations:") + Op::operation.name,
       [this](const Call& call, const typename Op::Request& q) -> Result<std::vector<aws::Target>> {
         aws::Target t;
         std::string id;
         if constexpr (requires { q.target_id; })
           id = q.target_id;
         else if constexpr (requires { q.account_id; })
           id = q.account_id;
         else if constexpr (requires { q.organizational_unit_id; })
           id = q.organizational_unit_id;
         else if constexpr (requires { q.policy_id; })
           id = q.policy_id;
         else if constexpr (requires { q.parent_id; })
           id = q.parent_id;
         else if constexpr (requires { q.root_id; })
           id = q.root_id;
         else if constexpr (requires { q.resource_id; })
           id = q.resource_id;
         TRY(db_.read([&](store::Reader& r) -> Result<void> {
           auto org = TRY(organization_rows::find(r));
           if (org && !id.empty()) t.resource = organization_rows::arn_of(*org, id);
           return {};
         }));
         if constexpr (requires { q.service_principal; }) {
           if constexpr (requires { q.service_principal.has_value(); }) {
             if (q.service_principal) t.context.emplace_back("organizations:ServicePrincipal", *q.service_principal);
           } else {
             t.context.emplace_back("organizations:ServicePrincipal", q.service_principal);
           }
         }
         if constexpr (requires { q.policy_type; }) {
           t.context.emplace_back("organizations:PolicyType", q.policy_type);
         }
         t.owner = call.account;
         return std::vector<aws::Target>{t};
       }});
}

void Organizations::offer(aws::Registry& r) {
  add<op::AttachPolicy>(r, &Organizations::attach_policy);
  add<op::CloseAccount>(r, &Organizations::close_account);
  add<op::CreateAccount>(r, &Organizations::create_account);
  add<op::CreateOrganization>(r, &Organizations::create_organization);
  add<op::CreateOrganizationalUnit>(r, &Organizations::create_organizational_unit);
  add<op::CreatePolicy>(r, &Organizations::create_policy);
  add<op::DeleteOrganization>(r, &Organizations::delete_organization);
  add<op::DeleteOrganizationalUnit>(r, &Organizations::delete_organizational_unit);
  add<op::DeletePolicy>(r, &Organizations::delete_policy);
  add<op::DescribeAccount>(r, &Organizations::describe_account);
  add<op::DescribeCreateAccountStatus>(r, &Organizations::describe_create_account_status);
  add<op::DescribeOrganization>(r, &Organizations::describe_organization);
  add<op::DescribeOrganizationalUnit>(r, &Organizations::describe_organizational_unit);
  add<op::DescribePolicy>(r, &Organizations::describe_policy);
  add<op::DetachPolicy>(r, &Organizations::detach_policy);
  add<op::DisableAWSServiceAccess>(r, &Organizations::disable_aws_service_access);
  add<op::DisablePolicyType>(r, &Organizations::disable_policy_type);
  add<op::EnableAWSServiceAccess>(r, &Organizations::enable_aws_service_access);
  add<op::EnablePolicyType>(r, &Organizations::enable_policy_type);
  add<op::ListAWSServiceAccessForOrganization>(r, &Organizations::list_aws_service_access_for_organization);
  add<op::ListAccounts>(r, &Organizations::list_accounts);
  add<op::ListAccountsForParent>(r, &Organizations::list_accounts_for_parent);
  add<op::ListChildren>(r, &Organizations::list_children);
  add<op::ListCreateAccountStatus>(r, &Organizations::list_create_account_status);
  add<op::ListOrganizationalUnitsForParent>(r, &Organizations::list_organizational_units_for_parent);
  add<op::ListParents>(r, &Organizations::list_parents);
  add<op::ListPolicies>(r, &Organizations::list_policies);
  add<op::ListPoliciesForTarget>(r, &Organizations::list_policies_for_target);
  add<op::ListRoots>(r, &Organizations::list_roots);
  add<op::ListTagsForResource>(r, &Organizations::list_tags_for_resource);
  add<op::ListTargetsForPolicy>(r, &Organizations::list_targets_for_policy);
  add<op::MoveAccount>(r, &Organizations::move_account);
  add<op::TagResource>(r, &Organizations::tag_resource);
  add<op::UntagResource>(r, &Organizations::untag_resource);
  add<op::UpdateOrganizationalUnit>(r, &Organizations::update_organizational_unit);
  add<op::RegisterDelegatedAdministrator>(r, &Organizations::register_delegated_administrator);
  add<op::ListDelegatedServicesForAccount>(r, &Organizations::list_delegated_services_for_account);
  add<op::ListDelegatedAdministrators>(r, &Organizations::list_delegated_administrators);
  add<op::DeregisterDelegatedAdministrator>(r, &Organizations::deregister_delegated_administrator);
  add<op::UpdatePolicy>(r, &Organizations::update_policy);
}

}  // namespace bastide::services
