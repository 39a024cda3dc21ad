// Member accounts that administer a service for the whole organisation.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html
#include <fmt/format.h>

#include "services/organizations/page.h"
#include "services/organizations/rows.h"

namespace bastide::services {

using namespace organization_rows;
namespace op = model::organizations::op;

namespace {

// Whoever manages the organisation, or a part of it.
Result<json::Value> need_administrator(store::Reader& r, const aws::Call& call) {
  auto org = TRY(need(r, call));
  if (org.get("management") == call.account) return org;
  const auto account = TRY(need_account(r, org, call.account));
  if (account.get_object("delegated").empty()) {
    return fault("AccessDeniedException", "You don't have permissions to access this resource.", 400);
  }
  return org;
}

m::DelegatedAdministrator administrator_shape(const json::Value& org, const json::Value& body) {
  auto account = account_shape(org, body);
  m::DelegatedAdministrator out;
  out.id = std::move(account.id);
  out.arn = std::move(account.arn);
  out.email = std::move(account.email);
  out.name = std::move(account.name);
  out.status = std::move(account.status);
  out.joined_method = std::move(account.joined_method);
  out.joined_timestamp = account.joined_timestamp;
  Millis first = 0;
  for (const auto& [service, since] : body.get_object("delegated")) {
    if (first == 0 || since.integer() < first) first = since.integer();
  }
  out.delegation_enabled_date = first;
  return out;
}

}  // namespace

// https://docs.aws.amazon.com/organizations/latest/APIReference/API_RegisterDelegatedAdministrator.html
Result<op::RegisterDelegatedAdministrator::Response> Organizations::register_delegated_administrator(
    Call& call, const op::RegisterDelegatedAdministrator::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    auto body = TRY(need_account(w, org, q.account_id));
    if (q.account_id == org.get("management")) {
      return fault(
          "ConstraintViolationException",
          "You cannot register the management account of your organization as a delegated administrator.",
          400);
    }
    if (body.get_object("delegated").size() > 0 && body.find("delegated")->has(q.service_principal)) {
      return fault("AccountAlreadyRegisteredException",
                   "The provided account is already a delegated administrator for your organization.", 400);
    }
    const json::Value* trusted = org.find("services");
    if (!trusted || !trusted->has(q.service_principal)) {
      return fault("ConstraintViolationException",
                   fmt::format("Enable trusted access for {} before an account is registered for it.",
                               q.service_principal),
                   400);
    }
    body["delegated"][q.service_principal] = call.now;
    return w.put(key_of(org, "account", q.account_id), body);
  }));
  return op::RegisterDelegatedAdministrator::Response{};
}

Result<op::DeregisterDelegatedAdministrator::Response> Organizations::deregister_delegated_administrator(
    Call& call, const op::DeregisterDelegatedAdministrator::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    auto body = TRY(need_account(w, org, q.account_id));
    auto* delegated = body.find("delegated");
    if (!delegated || !delegated->remove(q.service_principal)) {
      return fault("AccountNotRegisteredException",
                   "The provided account is not a registered delegated administrator for your organization.",
                   400);
    }
    return w.put(key_of(org, "account", q.account_id), body);
  }));
  return op::DeregisterDelegatedAdministrator::Response{};
}

Result<op::ListDelegatedAdministrators::Response> Organizations::list_delegated_administrators(
    Call& call, const op::ListDelegatedAdministrators::Request& q) {
  std::vector<m::DelegatedAdministrator> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_administrator(r, call));
    const auto list = TRY(rows(r, org, "account"));
    for (const auto& row : list) {
      const auto& delegated = row.body.get_object("delegated");
      if (delegated.empty() ||
          (q.service_principal && !row.body.find("delegated")->has(*q.service_principal)))
        continue;
      items.push_back(administrator_shape(org, row.body));
    }
    return {};
  }));
  return page(std::move(items), q, &op::ListDelegatedAdministrators::Response::delegated_administrators);
}

Result<op::ListDelegatedServicesForAccount::Response> Organizations::list_delegated_services_for_account(
    Call& call, const op::ListDelegatedServicesForAccount::Request& q) {
  std::vector<m::DelegatedService> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_administrator(r, call));
    const auto body = TRY(need_account(r, org, q.account_id));
    if (body.get_object("delegated").empty()) {
      return fault("AccountNotRegisteredException",
                   "The provided account is not a registered delegated administrator for your organization.",
                   400);
    }
    for (const auto& [service, since] : body.get_object("delegated"))
      items.push_back({service, since.integer()});
    return {};
  }));
  return page(std::move(items), q, &op::ListDelegatedServicesForAccount::Response::delegated_services);
}

}  // namespace bastide::services
