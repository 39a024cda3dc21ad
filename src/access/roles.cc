// Which roles a caller may assume now, in all accounts.
#include <algorithm>

#include "access/service.h"
#include "aws/arn.h"
#include "aws/authorize.h"
#include "base/bytes.h"

namespace bastide::access {

namespace {

constexpr size_t kPage = 100;

}  // namespace

aws::Target Access::trust_target(const aws::RoleInfo& role, const Call& call) const {
  aws::Target t;
  t.action = "sts:AssumeRole";
  t.resource = role.arn;
  t.owner = role.account;
  t.mode = aws::PolicyMode::resource_only;
  t.policy = role.trust;
  t.context.emplace_back("sts:RoleSessionName", call.principal.name);
  for (const auto& [key, value] : role.tags) {
    t.context.emplace_back("aws:ResourceTag/" + key, value);
    t.context.emplace_back("iam:ResourceTag/" + key, value);
  }
  return t;
}

Result<bool> Access::may_assume(const Call& call, const aws::RoleInfo& role) {
  const auto policies = TRY(n_.policies.policies_of(call.principal));
  return aws::decide(call, trust_target(role, call), *policies).allowed;
}

Result<op::ListAssumableRoles::Response> Access::list_roles(Call& call,
                                                            const op::ListAssumableRoles::Request& q) {
  op::ListAssumableRoles::Response out;
  if (call.principal.kind == aws::Principal::Kind::root) return out;  // root may assume none
  const auto all = TRY(accounts());
  for (const auto& account : all) {
    json::Value input = json::object();
    for (;;) {
      const auto page = TRY(ask(account.id, "iam", "ListRoles", input));
      for (const auto& r : page.get_array("Roles")) {
        const auto role = TRY(n_.identities.role(r.get("Arn")));
        if (!role || role->service_linked) continue;
        const bool may = TRY(may_assume(call, *role));
        if (!may) continue;
        model::bastide::AssumableRole one;
        one.role_arn = role->arn;
        one.account = account.id;
        one.account_name = account.name;
        one.role_name = role->name;
        one.max_session_seconds = static_cast<int32_t>(role->max_session_seconds);
        const auto grant = TRY(grant_of(call.principal.arn, role->arn));
        if (grant) one.until = grant->ends;
        out.roles.push_back(std::move(one));
      }
      if (!page.get_bool("IsTruncated")) break;
      input["Marker"] = page.get("Marker");
    }
  }
  std::sort(out.roles.begin(), out.roles.end(),
            [](const auto& a, const auto& b) { return a.role_arn < b.role_arn; });
  if (q.next_token) std::erase_if(out.roles, [&](const auto& r) { return r.role_arn <= *q.next_token; });
  const size_t limit = q.max_results ? static_cast<size_t>(*q.max_results) : kPage;
  if (out.roles.size() > limit) {
    out.roles.resize(limit);
    out.next_token = out.roles.back().role_arn;
  }
  return out;
}

}  // namespace bastide::access
