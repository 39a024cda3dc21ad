// Who did what: the audit trail, as far as the caller's account may see it. The management account sees all
// of it.
#include <algorithm>

#include "access/audit_reader.h"
#include "access/service.h"
#include "base/bytes.h"
#include "net/loop.h"

namespace bastide::access {

namespace {

constexpr size_t kPage = 50;

std::optional<std::string> maybe(const json::Value& v, const char* member) {
  std::string text = v.get(member);
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace

// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html is the model of it.
Result<op::ListAuditEvents::Response> Access::list_events(Call& call, const op::ListAuditEvents::Request& q) {
  const bool all = call.account == n_.management();
  if (q.account && *q.account != call.account && !all) {
    return fault("AccessDeniedException", "Only the management account sees the trail of other accounts",
                 403);
  }
  const std::string account = q.account ? *q.account : all ? "" : call.account;
  const std::string principal = q.principal ? lower(*q.principal) : "";
  const auto wanted = [&](const json::Value& e) {
    if (!account.empty() && e.get("account") != account) return false;
    if (q.operation && !iequals(e.get("operation"), *q.operation)) return false;
    if (q.denied && *q.denied == e.get_bool("allowed")) return false;
    if (!principal.empty() && lower(e.get("principal")).find(principal) == std::string::npos &&
        lower(e.get("assumedBy")).find(principal) == std::string::npos) {
      return false;
    }
    if (q.since || q.until) {
      const auto at = parse_iso8601(e.get("time"));
      if (!at || (q.since && *at < *q.since) || (q.until && *at >= *q.until)) return false;
    }
    return true;
  };
  const std::string oldest = q.since ? iso8601(*q.since).substr(0, 10) : "";
  std::string from = q.next_token.value_or("");
  if (from.empty() && q.until) from = iso8601(*q.until).substr(0, 10) + ":" + std::to_string(INT64_MAX);
  const size_t limit = q.max_results ? static_cast<size_t>(*q.max_results) : kPage;
  auto page = net::offload_result([&] { return read_audit(n_.audit_folder, from, oldest, limit, wanted); });
  if (!page && page.error().code == "Invalid")
    return fault("ValidationException", "nextToken is not one of this list", 400);
  if (!page) return Error(page.error());
  op::ListAuditEvents::Response out;
  for (const auto& e : page->events) {
    model::bastide::AuditEvent one;
    one.time = parse_iso8601(e.get("time")).value_or(0);
    one.request_id = maybe(e, "id");
    one.service = maybe(e, "service");
    one.operation = e.get("operation");
    one.account = maybe(e, "account");
    one.region = maybe(e, "region");
    one.principal = maybe(e, "principal");
    one.principal_kind = maybe(e, "principalKind");
    one.assumed_by = maybe(e, "assumedBy");
    one.access_key_id = maybe(e, "accessKeyId");
    one.source_ip = maybe(e, "sourceIp");
    one.user_agent = maybe(e, "userAgent");
    one.allowed = e.get_bool("allowed");
    one.policy_kind = maybe(e, "policyKind");
    one.statement = maybe(e, "statement");
    one.error_code = maybe(e, "errorCode");
    one.error_message = maybe(e, "errorMessage");
    if (e.has("resources")) {
      one.resources.emplace();
      for (const auto& r : e.get_array("resources")) {
        if (r.is_string()) one.resources->push_back(r.string());
      }
    }
    out.events.push_back(std::move(one));
  }
  if (!page->next.empty()) out.next_token = page->next;
  return out;
}

}  // namespace bastide::access
