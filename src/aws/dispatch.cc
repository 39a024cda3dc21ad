#include "aws/dispatch.h"

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"

namespace bastide::aws {

std::string new_request_id() {
  std::string bytes = random_bytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text = hex(bytes);
  for (const size_t at : {20u, 16u, 12u, 8u}) text.insert(at, "-");
  return text;
}

Result<void> Dispatch::authorize(const Entry& entry, const Call& call, const void* request,
                                 AuditEvent& event) {
  const auto targets = TRY(entry.targets(call, request));
  if (targets.empty()) {
    event.allowed = true;
    return {};
  }
  static const auto none = std::make_shared<const IdentityPolicies>();
  std::shared_ptr<const IdentityPolicies> policies = none;
  if (call.principal.kind != Principal::Kind::service && call.principal.kind != Principal::Kind::anonymous) {
    policies = TRY(policies_.policies_of(call.principal));
  }
  for (const Target& target : targets) {
    event.resources.push_back(target.resource);
    Decision decision = decide(call, target, *policies);
    event.policy_kind = decision.policy_kind;
    event.statement = decision.statement;
    if (decision.allowed) continue;
    Error denial = fault("AccessDenied", std::move(decision.message), 403);
    if (sealer_) denial.extra = sealer_(call.principal.account, denial_document(call, target, decision));
    return denial;
  }
  event.allowed = true;
  return {};
}

Result<void> Dispatch::perform(const Entry& entry, Call& call, const void* request, void* response) {
  AuditEvent event;
  event.call = &call;
  auto outcome = entry.unauthenticated ? Result<void>() : authorize(entry, call, request, event);
  if (entry.unauthenticated) event.allowed = true;
  if (outcome) outcome = entry.run(call, request, response);
  if (!outcome) {
    event.error_code = outcome.error().fault ? outcome.error().code : "InternalFailure";
    if (outcome.error().fault)
      event.error_message = outcome.error().message;
    else
      log::error("{}.{} ({}): {} {}", call.service, call.operation, call.request_id, outcome.error().code,
                 outcome.error().message);
  }
  auto written = audit_.write(event);
  if (!written) {
    log::error("audit: {}", written.error().message);
    return error("the audit trail cannot be written");
  }
  return outcome;
}

void Dispatch::record_refusal(const Call& call, const Error& refusal) {
  AuditEvent event;
  event.call = &call;
  event.error_code = refusal.code;
  event.error_message = refusal.message;
  if (auto written = audit_.write(event); !written) log::error("audit: {}", written.error().message);
}

}  // namespace bastide::aws
