#include <algorithm>

#include "base/crypto.h"
#include "services/organizations/page.h"
#include "services/organizations/rows.h"

namespace bastide::services {

using namespace organization_rows;
namespace op = model::organizations::op;

namespace {

constexpr size_t kMaxAccounts = 1000;

Error conflict(const std::string& reason) { return fault("ConstraintViolationException", reason, 400); }

json::Value account_body(const std::string& id, const std::string& name, const std::string& email,
                         const std::string& parent, const char* method, Millis now) {
  return json::object({{"id", id},
                       {"name", name},
                       {"email", email},
                       {"parent", parent},
                       {"method", method},
                       {"status", "ACTIVE"},
                       {"created", now},
                       {"policies", json::array({kFullAccess})}});
}

}  // namespace

// Its management account is the caller's; the bootstrap left its address in "organizations.home".
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganization.html
Result<op::CreateOrganization::Response> Organizations::create_organization(
    Call& call, const op::CreateOrganization::Request& q) {
  op::CreateOrganization::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto existing = TRY(find(w));
    if (existing) {
      return fault("AlreadyInOrganizationException",
                   "The AWS account is already a member of an organization.", 400);
    }
    const auto home = TRY(w.get({call.account, "", "organizations.home", "home"}));
    const std::string email = home ? home->body.get("email") : "root@" + call.account + ".invalid";
    json::Value org = json::object({{"id", random_id("o-", 10)},
                                    {"management", call.account},
                                    {"email", email},
                                    {"root", random_id("r-", 4)},
                                    {"created", call.now},
                                    {"scp", false},
                                    {"features", q.feature_set.value_or("ALL")},
                                    {"services", json::object()},
                                    {"root_policies", json::array({kFullAccess})}});
    TRY(save_org(w, org));
    TRY(w.put(key_of(org, "account", call.account),
              account_body(call.account, "management", email, org.get("root"), "INVITED", call.now)));
    out.organization = organization_shape(org);
    return {};
  }));
  return out;
}

Result<op::DescribeOrganization::Response> Organizations::describe_organization(
    Call& call, const op::DescribeOrganization::Request&) {
  op::DescribeOrganization::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need(r, call));
    out.organization = organization_shape(org);
    return {};
  }));
  return out;
}

Result<op::DeleteOrganization::Response> Organizations::delete_organization(
    Call& call, const op::DeleteOrganization::Request&) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    const auto accounts = TRY(rows(w, org, "account"));
    const auto units = TRY(rows(w, org, "ou"));
    const auto policies = TRY(rows(w, org, "policy"));
    if (accounts.size() > 1 || !units.empty() || !policies.empty()) {
      return fault("OrganizationNotEmptyException",
                   "To delete an organization you must first remove all member accounts, OUs and policies.",
                   400);
    }
    TRY(w.remove(key_of(org, "account", call.account)));
    TRY(w.remove(key_of(org, "organization", "organization")));
    return {};
  }));
  return op::DeleteOrganization::Response{};
}

// Done at once, and atomically with its role; the answer says so.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccount.html
Result<op::CreateAccount::Response> Organizations::create_account(Call& call,
                                                                  const op::CreateAccount::Request& q) {
  op::CreateAccount::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    const auto accounts = TRY(rows(w, org, "account"));
    if (accounts.size() >= kMaxAccounts) {
      return conflict("You have exceeded the allowed number of AWS accounts.");
    }
    json::Value status = json::object({{"id", random_id("car-", 32)},
                                       {"name", q.account_name},
                                       {"requested", call.now},
                                       {"completed", call.now}});
    const bool taken = std::any_of(accounts.begin(), accounts.end(),
                                   [&](const auto& row) { return iequals(row.body.get("email"), q.email); });
    if (taken) {
      status["state"] = "FAILED";
      status["failure"] = "EMAIL_ALREADY_EXISTS";
    } else {
      std::string id;
      do {
        id = random_text(1, "123456789") + random_text(11, "0123456789");
      } while (
          std::any_of(accounts.begin(), accounts.end(), [&](const auto& row) { return row.key.id == id; }));
      json::Value body = account_body(id, q.account_name, q.email, org.get("root"), "CREATED", call.now);
      if (q.tags) {
        for (const auto& t : *q.tags) body["tags"][t.key] = t.value;
      }
      TRY(w.put(key_of(org, "account", id), body));
      const json::Value trust = json::object(
          {{"Version", "2012-10-17"},
           {"Statement",
            json::array({json::object(
                {{"Effect", "Allow"},
                 {"Principal", json::object({{"AWS", "arn:aws:iam::" + org.get("management") + ":root"}})},
                 {"Action", "sts:AssumeRole"}})})}});
      TRY(identities_.make_role(w, id,
                                {q.role_name.value_or("OrganizationAccountAccessRole"),
                                 json::print(trust),
                                 {"arn:aws:iam::aws:policy/AdministratorAccess"},
                                 ""}));
      status["state"] = "SUCCEEDED";
      status["account"] = id;
    }
    TRY(w.put(key_of(org, "request", status.get("id")), status));
    out.create_account_status = status_shape(status);
    return {};
  }));
  identities_.changed();
  return out;
}

Result<op::DescribeCreateAccountStatus::Response> Organizations::describe_create_account_status(
    Call& call, const op::DescribeCreateAccountStatus::Request& q) {
  op::DescribeCreateAccountStatus::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto row = TRY(r.get(key_of(org, "request", q.create_account_request_id)));
    if (!row) {
      return fault("CreateAccountStatusNotFoundException",
                   "You specified an account creation request that doesn't exist.", 400);
    }
    out.create_account_status = status_shape(row->body);
    return {};
  }));
  return out;
}

Result<op::ListCreateAccountStatus::Response> Organizations::list_create_account_status(
    Call& call, const op::ListCreateAccountStatus::Request& q) {
  std::vector<m::CreateAccountStatus> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto list = TRY(rows(r, org, "request"));
    for (const auto& row : list) {
      const std::string state = row.body.get("state");
      if (q.states && !q.states->empty() &&
          std::find(q.states->begin(), q.states->end(), state) == q.states->end())
        continue;
      items.push_back(status_shape(row.body));
    }
    return {};
  }));
  return page(std::move(items), q, &op::ListCreateAccountStatus::Response::create_account_statuses);
}

Result<op::DescribeAccount::Response> Organizations::describe_account(Call& call,
                                                                      const op::DescribeAccount::Request& q) {
  op::DescribeAccount::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto body = TRY(need_account(r, org, q.account_id));
    out.account = account_shape(org, body);
    return {};
  }));
  return out;
}

Result<op::ListAccounts::Response> Organizations::list_accounts(Call& call,
                                                                const op::ListAccounts::Request& q) {
  std::vector<m::Account> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    const auto list = TRY(rows(r, org, "account"));
    for (const auto& row : list) items.push_back(account_shape(org, row.body));
    return {};
  }));
  return page(std::move(items), q, &op::ListAccounts::Response::accounts);
}

Result<op::ListAccountsForParent::Response> Organizations::list_accounts_for_parent(
    Call& call, const op::ListAccountsForParent::Request& q) {
  std::vector<m::Account> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(need_management(r, call));
    TRY(need_parent(r, org, q.parent_id));
    const auto list = TRY(rows(r, org, "account"));
    for (const auto& row : list) {
      if (row.body.get("parent") == q.parent_id) items.push_back(account_shape(org, row.body));
    }
    return {};
  }));
  return page(std::move(items), q, &op::ListAccountsForParent::Response::accounts);
}

Result<op::MoveAccount::Response> Organizations::move_account(Call& call, const op::MoveAccount::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    auto body = TRY(need_account(w, org, q.account_id));
    if (body.get("parent") != q.source_parent_id) {
      return fault("SourceParentNotFoundException",
                   "You specified a source parent that doesn't hold the account.", 400);
    }
    if (!need_parent(w, org, q.destination_parent_id)) {
      return fault("DestinationParentNotFoundException",
                   "You specified a destination parent that doesn't exist.", 400);
    }
    if (q.source_parent_id == q.destination_parent_id) {
      return fault("DuplicateAccountException",
                   "That account is already present in the specified destination.", 400);
    }
    body["parent"] = q.destination_parent_id;
    return w.put(key_of(org, "account", q.account_id), body);
  }));
  return op::MoveAccount::Response{};
}

// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CloseAccount.html
Result<op::CloseAccount::Response> Organizations::close_account(Call& call,
                                                                const op::CloseAccount::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto org = TRY(need_management(w, call));
    auto body = TRY(need_account(w, org, q.account_id));
    if (q.account_id == org.get("management")) return conflict("You cannot close the management account.");
    if (body.get("status") != "ACTIVE") {
      return fault("AccountAlreadyClosedException",
                   "You attempted to close an account that is already closed.", 400);
    }
    body["status"] = "SUSPENDED";
    return w.put(key_of(org, "account", q.account_id), body);
  }));
  return op::CloseAccount::Response{};
}

}  // namespace bastide::services
