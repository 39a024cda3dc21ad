// Access on request: somebody asks for a role for a time, somebody else who may decide over that role's
// account says yes or no, and the access ends by itself. The grant is an inline policy of the user with an
// end date; the sessions that come from it end with it (aws::AccessGrants).
#include <fmt/format.h>

#include <algorithm>

#include "access/service.h"
#include "aws/arn.h"
#include "aws/authorize.h"
#include "aws/local_client.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "model/json_codec.h"

namespace bastide::access {

namespace {

constexpr const char* kKind = "access.request";
constexpr const char* kJob = "access.grant";
constexpr size_t kMaxPending = 10;
constexpr size_t kPage = 50;
constexpr Millis kPendingFor = 7 * kDay;
constexpr Millis kAgain = 30 * kSecond;

Error conflict(std::string message) { return fault("ConflictException", std::move(message), 409); }
Error not_found(const std::string& id) {
  return fault("ResourceNotFoundException", "There is no access request " + id, 404);
}

store::Key key_of(const std::string& id) { return {"*house", "", kKind, id}; }

Result<void> put(store::Writer& w, const json::Value& body) {
  return w.put(key_of(body.get("requestId")), body,
               {{"user", body.get("userArn")}, {"grant", body.get("userArn") + " " + body.get("roleArn")}});
}

std::string account_in(const std::string& arn) {
  const auto parts = aws::parse_arn(arn);
  return parts ? parts->account : "";
}

std::string policy_name(const std::string& id) { return "bastide-access-" + id; }

double seconds(Millis t) { return static_cast<double>(t) / 1000; }

json::Value shape(const json::Value& body, Millis now) {
  json::Value out = json::object();
  for (const char* member : {"requestId", "roleArn", "userArn", "reason", "state", "durationSeconds",
                             "decidedBy", "decisionReason"}) {
    if (const auto* v = body.find(member)) out[member] = *v;
  }
  for (const char* member : {"createdAt", "decidedAt", "endsAt"}) {
    if (body.has(member)) out[member] = seconds(body.get_int(member));
  }
  if (body.get("state") == "PENDING" && body.get_int("createdAt") + kPendingFor < now)
    out["state"] = "EXPIRED";
  if (body.get("state") == "APPROVED" && body.get_int("endsAt") <= now) out["state"] = "ENDED";
  return out;
}

template <class Op>
Result<typename Op::Response> answer(const json::Value& v) {
  typename Op::Response response;
  TRY(model::read_json_value(v, *Op::operation.output, &response, nullptr));
  return response;
}

}  // namespace

Result<std::optional<aws::AccessGrants::Grant>> Access::grant_of(const std::string& user_arn,
                                                                 const std::string& role_arn) {
  std::optional<Grant> best;
  const auto rows = TRY(n_.db.find(kKind, "grant", user_arn + " " + role_arn));
  for (const auto& row : rows) {
    const Millis ends = row.body.get_int("endsAt");
    if (row.body.get("state") != "APPROVED" || ends <= n_.clock.wall()) continue;
    if (!best || ends > best->ends) best = Grant{row.body.get("requestId"), ends};
  }
  return best;
}

bool Access::active(const std::string& id) {
  const auto row = n_.db.get(key_of(id));
  return row && row.value() && row.value()->body.get("state") == "APPROVED" &&
         row.value()->body.get_int("endsAt") > n_.clock.wall();
}

void Access::start() {
  n_.db.run_jobs(kJob, [this](store::Job& job) { return carry_out(job.key); });
}

// Makes the user's policy what the request's state says; safe to run again.
Result<std::optional<Millis>> Access::carry_out(const std::string& id) {
  const auto row = TRY(n_.db.get(key_of(id)));
  if (!row) return std::optional<Millis>();
  const json::Value& body = row->body;
  const std::string user_arn = body.get("userArn"), account = account_in(user_arn);
  const std::string user = user_arn.substr(user_arn.rfind('/') + 1);
  const Millis now = n_.clock.wall(), ends = body.get_int("endsAt");
  const json::Value which = json::object({{"UserName", user}, {"PolicyName", policy_name(id)}});
  if (body.get("state") == "APPROVED" && ends > now) {
    const json::Value document = json::object(
        {{"Version", "2012-10-17"},
         {"Statement",
          json::array({json::object(
              {{"Sid", "AccessRequest"},
               {"Effect", "Allow"},
               {"Action", "sts:AssumeRole"},
               {"Resource", body.get("roleArn")},
               {"Condition",
                json::object({{"DateLessThan", json::object({{"aws:CurrentTime", iso8601(ends)}})}})}})})}});
    json::Value input = which;
    input["PolicyDocument"] = json::print(document);
    const auto made = ask(account, "iam", "PutUserPolicy", input);
    if (!made && made.error().code != "NoSuchEntity") return Error(made.error());
    return std::optional<Millis>(ends - now);
  }
  const auto gone = ask(account, "iam", "DeleteUserPolicy", which);
  if (!gone && gone.error().code != "NoSuchEntity") return Error(gone.error());
  if (body.get("state") == "APPROVED") {
    TRY(change_request(id, [](json::Value& b) -> Result<void> {
      b["state"] = "ENDED";
      return {};
    }));
  }
  return std::optional<Millis>();
}

Result<json::Value> Access::change_request(const std::string& id,
                                           const std::function<Result<void>(json::Value&)>& f) {
  json::Value out;
  TRY(n_.db.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key_of(id)));
    if (!row) return not_found(id);
    TRY(f(row->body));
    TRY(put(w, row->body));
    TRY(w.enqueue(kJob, id, json::object(), n_.clock.wall()));
    out = row->body;
    return {};
  }));
  n_.identities.changed();  // sessions look again whether what they stand on holds
  return out;
}

Access::Targets Access::request_target(const Call& call, const std::string& id) {
  aws::Target t;
  const auto row = TRY(n_.db.get(key_of(id)));
  // Who decides is who has a say in the role's account; the management account has one everywhere.
  if (row) {
    const std::string role = row->body.get("roleArn");
    t.owner = call.account == n_.management() ? call.account : account_in(role);
    t.context.emplace_back("bastide:RoleArn", role);
    t.context.emplace_back("bastide:UserArn", row->body.get("userArn"));
  } else {
    t.owner = call.account;
  }
  t.resource = aws::make_arn("bastide", "", t.owner, "access-request/" + id);
  return std::vector<aws::Target>{t};
}

Result<op::CreateAccessRequest::Response> Access::create_request(Call& call,
                                                                 const op::CreateAccessRequest::Request& q) {
  if (call.principal.kind != aws::Principal::Kind::user)
    return fault("ValidationException", "Only a user asks for access, signed in as itself", 400);
  const auto role = TRY(n_.identities.role(q.role_arn));
  if (!role || role->service_linked)
    return fault("ResourceNotFoundException", "There is no role " + q.role_arn, 404);
  const bool may = TRY(may_assume(call, *role));
  if (may) return conflict("You may assume this role already");
  // What the grant would give must be enough: a role that does not trust the user is not had by asking.
  const auto policies = TRY(n_.policies.policies_of(call.principal));
  aws::IdentityPolicies granted = *policies;
  granted.identity.push_back(
      {"grant",
       json::object(
           {{"Version", "2012-10-17"},
            {"Statement",
             json::object({{"Effect", "Allow"}, {"Action", "sts:AssumeRole"}, {"Resource", q.role_arn}})}})});
  const auto then = aws::decide(call, trust_target(*role, call), granted);
  if (!then.allowed) return conflict("The role cannot be granted to you: " + then.message);
  json::Value body = json::object({{"requestId", "ar-" + hex(random_bytes(8))},
                                   {"roleArn", q.role_arn},
                                   {"userArn", call.principal.arn},
                                   {"reason", q.reason},
                                   {"state", "PENDING"},
                                   {"createdAt", call.now},
                                   {"durationSeconds", int64_t{q.duration_seconds}}});
  TRY(n_.db.write([&](store::Writer& w) -> Result<void> {
    const auto mine = TRY(w.find(kKind, "user", call.principal.arn));
    size_t pending = 0;
    for (const auto& row : mine) {
      if (shape(row.body, call.now).get("state") != "PENDING") continue;
      if (row.body.get("roleArn") == q.role_arn)
        return conflict("You have asked for this role already: " + row.key.id);
      ++pending;
    }
    if (pending >= kMaxPending)
      return fault("ServiceQuotaExceededException",
                   fmt::format("At most {} requests of a user wait at a time", kMaxPending), 402);
    return put(w, body);
  }));
  return answer<op::CreateAccessRequest>(json::object({{"request", shape(body, call.now)}}));
}

Result<op::ListAccessRequests::Response> Access::list_requests(Call& call,
                                                               const op::ListAccessRequests::Request& q) {
  const auto rows = TRY(n_.db.list("*house", "", kKind));
  const bool all = call.account == n_.management();
  const std::string me = aws::origin_of(call.principal);
  std::vector<json::Value> found;
  for (const auto& row : rows) {
    if (!all && row.body.get("userArn") != me && account_in(row.body.get("roleArn")) != call.account)
      continue;
    json::Value one = shape(row.body, call.now);
    if (q.state && one.get("state") != *q.state) continue;
    found.push_back(std::move(one));
  }
  const auto created = [](const json::Value& v) { return v.find("createdAt")->number(); };
  std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
    return created(a) != created(b) ? created(a) > created(b) : a.get("requestId") < b.get("requestId");
  });
  size_t from = 0;
  if (q.next_token) {
    const auto at = std::find_if(found.begin(), found.end(),
                                 [&](const auto& v) { return v.get("requestId") == *q.next_token; });
    if (at == found.end()) return fault("ValidationException", "nextToken is not one of this list", 400);
    from = static_cast<size_t>(at - found.begin()) + 1;
  }
  const size_t limit = q.max_results ? static_cast<size_t>(*q.max_results) : kPage;
  json::Value out = json::object({{"requests", json::array()}});
  for (size_t i = from; i < found.size() && i < from + limit; ++i) out["requests"].push(found[i]);
  if (from + limit < found.size()) out["nextToken"] = found[from + limit - 1].get("requestId");
  return answer<op::ListAccessRequests>(out);
}

Result<json::Value> Access::decide_request(Call& call, const std::string& id, const std::string& state,
                                           const std::optional<std::string>& reason,
                                           const std::optional<int32_t>& wanted) {
  auto body = TRY(change_request(id, [&](json::Value& b) -> Result<void> {
    const std::string before = shape(b, call.now).get("state");
    if (state == "REVOKED" ? before != "APPROVED" : before != "PENDING")
      return conflict("The request is " + before);
    if (state == "APPROVED") {
      if (aws::origin_of(call.principal) == b.get("userArn"))
        return fault("AccessDeniedException", "Nobody approves a request of their own", 403);
      const int64_t length = std::min<int64_t>(b.get_int("durationSeconds"), wanted.value_or(INT32_MAX));
      b["endsAt"] = call.now + length * kSecond;
    }
    b["state"] = state;
    b["decidedBy"] = aws::origin_of(call.principal);
    b["decidedAt"] = call.now;
    if (reason) b["decisionReason"] = *reason;
    return {};
  }));
  // At once; should this be cut short, the job does it.
  if (const auto done = carry_out(id); !done) log::error("access request {}: {}", id, done.error().message);
  return json::object({{"request", shape(body, call.now)}});
}

Result<op::ApproveAccessRequest::Response> Access::approve(Call& call,
                                                           const op::ApproveAccessRequest::Request& q) {
  const auto v = TRY(decide_request(call, q.request_id, "APPROVED", q.reason, q.duration_seconds));
  return answer<op::ApproveAccessRequest>(v);
}

Result<op::DenyAccessRequest::Response> Access::deny(Call& call, const op::DenyAccessRequest::Request& q) {
  const auto v = TRY(decide_request(call, q.request_id, "DENIED", q.reason, std::nullopt));
  return answer<op::DenyAccessRequest>(v);
}

Result<op::RevokeAccessRequest::Response> Access::revoke(Call& call,
                                                         const op::RevokeAccessRequest::Request& q) {
  const auto v = TRY(decide_request(call, q.request_id, "REVOKED", q.reason, std::nullopt));
  return answer<op::RevokeAccessRequest>(v);
}

}  // namespace bastide::access
