// The part of the service `bastide` by which people come in: sign-in, the roles they may assume, access on
// request, the audit trail, and why a decision is what it is. People are users of the security account.
// On control's loop only.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "aws/credentials.h"
#include "aws/directory.h"
#include "aws/service.h"
#include "aws/sign_in.h"
#include "base/time.h"
#include "gen/bastide.h"
#include "store/database.h"

namespace bastide::aws {
class LocalClient;
}

namespace bastide::access {

namespace op = model::bastide::op;

struct Needs {
  store::Database& db;
  aws::LocalClient& client;
  aws::IdentityDirectory& identities;
  aws::PolicySource& policies;
  aws::UserSessions& sessions;
  aws::WebIdentities& web;
  aws::OidcDirectory& providers;
  Clock& clock;
  std::string audit_folder;
  std::function<std::string()> management;  // account
};

class Access final : public aws::AccessGrants {
 public:
  using Call = aws::Call;

  explicit Access(Needs needs) : n_(std::move(needs)) {}
  void offer(aws::Registry& registry);
  void start();  // grants end by themselves from then on

  Result<std::optional<Grant>> grant_of(const std::string& user_arn, const std::string& role_arn) override;
  bool active(const std::string& id) override;

 private:
  struct Account {
    std::string id, name;
  };
  using Targets = Result<std::vector<aws::Target>>;

  Result<op::SignIn::Response> sign_in(Call&, const op::SignIn::Request&);
  Result<op::SignInWithWebIdentity::Response> sign_in_web(Call&, const op::SignInWithWebIdentity::Request&);
  Result<op::DescribeSignIn::Response> describe_sign_in(Call&, const op::DescribeSignIn::Request&);
  Result<op::ListAssumableRoles::Response> list_roles(Call&, const op::ListAssumableRoles::Request&);
  Result<op::CreateAccessRequest::Response> create_request(Call&, const op::CreateAccessRequest::Request&);
  Result<op::ListAccessRequests::Response> list_requests(Call&, const op::ListAccessRequests::Request&);
  Result<op::ApproveAccessRequest::Response> approve(Call&, const op::ApproveAccessRequest::Request&);
  Result<op::DenyAccessRequest::Response> deny(Call&, const op::DenyAccessRequest::Request&);
  Result<op::RevokeAccessRequest::Response> revoke(Call&, const op::RevokeAccessRequest::Request&);
  Result<op::ListAuditEvents::Response> list_events(Call&, const op::ListAuditEvents::Request&);
  Result<op::ExplainAccess::Response> explain(Call&, const op::ExplainAccess::Request&);

  // As the platform itself, inside an account.
  Result<json::Value> ask(const std::string& account, const char* service, const char* operation,
                          const json::Value& input);
  Result<std::vector<Account>> accounts();
  // By id or name; empty: the security account, or the only one there is.
  Result<Account> account_of(const std::optional<std::string>& wanted);

  // Every check that a session needs, in one order for passwords and tokens alike.
  Result<model::bastide::SignInResponse> session(Call& call, const Account& account, const std::string& user,
                                                 const std::optional<std::string>& mfa_code,
                                                 const std::optional<int32_t>& seconds);
  Result<void> refuse_guessing(const std::string& account, const std::string& user);
  void failed(const std::string& account, const std::string& user);

  aws::Target trust_target(const aws::RoleInfo& role, const Call& call) const;
  Result<bool> may_assume(const Call& call, const aws::RoleInfo& role);
  Targets request_target(const Call& call, const std::string& id);
  Result<json::Value> change_request(const std::string& id,
                                     const std::function<Result<void>(json::Value&)>& f);
  Result<std::optional<Millis>> carry_out(const std::string& id);
  Result<json::Value> decide_request(Call& call, const std::string& id, const std::string& state,
                                     const std::optional<std::string>& reason,
                                     const std::optional<int32_t>& seconds);
  Result<aws::PolicyDocument> policy_of_resource(const std::string& arn, aws::Target& target);

  struct Guesses {
    int failures = 0;
    Millis not_before = 0, last = 0;
  };

  Needs n_;
  std::map<std::string, Guesses> guesses_;  // by account and user
};

}  // namespace bastide::access
