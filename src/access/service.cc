#include "access/service.h"

#include <fmt/format.h>

#include "aws/arn.h"
#include "aws/local_client.h"

namespace bastide::access {

namespace {

constexpr const char* kMe = "bastide.amazonaws.com";

}  // namespace

// Each operation's resource belongs to the account of the caller, or to the account whose role is asked for.
void Access::offer(aws::Registry& r) {
  const auto mine = [](const char* resource) {
    return [resource](const Call& call, const auto&) -> Targets {
      aws::Target t;
      t.resource = aws::make_arn("bastide", "", call.account, resource);
      return std::vector<aws::Target>{t};
    };
  };
  r.add_unauthenticated<op::SignIn>(this, &Access::sign_in);
  r.add_unauthenticated<op::SignInWithWebIdentity>(this, &Access::sign_in_web);
  r.add_unauthenticated<op::DescribeSignIn>(this, &Access::describe_sign_in);
  r.add<op::ListAssumableRoles>(this, &Access::list_roles, {"bastide:ListAssumableRoles", mine("roles")});
  r.add<op::CreateAccessRequest>(this, &Access::create_request,
                                 {"bastide:CreateAccessRequest",
                                  [](const Call& call, const op::CreateAccessRequest::Request& q) -> Targets {
                                    aws::Target t;
                                    t.resource =
                                        aws::make_arn("bastide", "", call.account, "access-request/*");
                                    t.context.emplace_back("bastide:RoleArn", q.role_arn);
                                    return std::vector<aws::Target>{t};
                                  }});
  r.add<op::ListAccessRequests>(this, &Access::list_requests,
                                {"bastide:ListAccessRequests", mine("access-request/*")});
  r.add<op::ApproveAccessRequest>(
      this, &Access::approve,
      {"bastide:ApproveAccessRequest", [this](const Call& c, const op::ApproveAccessRequest::Request& q) {
         return request_target(c, q.request_id);
       }});
  r.add<op::DenyAccessRequest>(
      this, &Access::deny,
      {"bastide:DenyAccessRequest", [this](const Call& c, const op::DenyAccessRequest::Request& q) {
         return request_target(c, q.request_id);
       }});
  r.add<op::RevokeAccessRequest>(
      this, &Access::revoke,
      {"bastide:RevokeAccessRequest", [this](const Call& c, const op::RevokeAccessRequest::Request& q) {
         return request_target(c, q.request_id);
       }});
  r.add<op::ListAuditEvents>(this, &Access::list_events, {"bastide:ListAuditEvents", mine("audit")});
  r.add<op::ExplainAccess>(
      this, &Access::explain,
      {"bastide:ExplainAccess", [](const Call&, const op::ExplainAccess::Request& q) -> Targets {
         aws::Target t;
         t.resource = q.principal;
         const auto arn = aws::parse_arn(q.principal);
         if (arn) t.owner = arn->account;
         return std::vector<aws::Target>{t};
       }});
}

Result<json::Value> Access::ask(const std::string& account, const char* service, const char* operation,
                                const json::Value& input) {
  return n_.client.call(aws::Principal::service(kMe), account, "us-east-1", service, operation, input);
}

Result<std::vector<Access::Account>> Access::accounts() {
  std::vector<Account> out;
  const std::string management = n_.management();
  json::Value input = json::object();
  for (;;) {
    const auto page = ask(management, "organizations", "ListAccounts", input);
    if (!page && page.error().code == "AWSOrganizationsNotInUseException") break;
    if (!page) return Error(page.error());
    for (const auto& a : page->get_array("Accounts")) {
      if (a.get("Status") == "ACTIVE")
        out.push_back({a.get("Id"), a.get("Id") == management ? "management" : a.get("Name")});
    }
    if (!page->has("NextToken")) break;
    input["NextToken"] = page->get("NextToken");
  }
  if (out.empty()) out.push_back({management, "management"});
  return out;
}

Result<Access::Account> Access::account_of(const std::optional<std::string>& wanted) {
  const auto all = TRY(accounts());
  for (const auto& a : all) {
    if (wanted ? a.id == *wanted || a.name == *wanted : a.name == "security") return a;
  }
  if (!wanted) return all.front();
  return fault("ResourceNotFoundException", fmt::format("There is no account '{}'", *wanted));
}

}  // namespace bastide::access
