// From a decoded request to its answer: targets, authorisation, the operation, the audit trail. The front and
// LocalClient share it. On control's loop, in a fiber.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "aws/audit.h"
#include "aws/authorize.h"
#include "aws/local_client.h"
#include "aws/service.h"
#include "base/time.h"

namespace bastide::aws {

class Dispatch {
 public:
  // Seals what `sts decode-authorization-message` will show: (account of the caller, document) -> text.
  using Sealer = std::function<std::string(const std::string& account, const json::Value& document)>;

  Dispatch(const Registry& registry, PolicySource& policies, AuditSink& audit, Clock& clock)
      : registry_(registry), policies_(policies), audit_(audit), clock_(clock) {}

  Result<void> perform(const Entry& entry, Call& call, const void* request, void* response);
  // A call that ended before any operation: a wrong signature, a malformed body.
  void record_refusal(const Call& call, const Error& error);

  const Registry& registry() const { return registry_; }
  Clock& clock() const { return clock_; }
  void set_sealer(Sealer sealer) { sealer_ = std::move(sealer); }

 private:
  Result<void> authorize(const Entry& entry, const Call& call, const void* request, AuditEvent& event);

  const Registry& registry_;
  PolicySource& policies_;
  AuditSink& audit_;
  Clock& clock_;
  Sealer sealer_;
};

std::string new_request_id();  // a random UUID

// `endpoint`: what calls see as their own address, "http://127.0.0.1:4566". Borrows `dispatch`.
std::unique_ptr<LocalClient> make_local_client(Dispatch& dispatch, std::string endpoint);

}  // namespace bastide::aws
