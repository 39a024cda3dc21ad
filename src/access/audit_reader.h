// The audit trail (aws/audit.h) read backwards, newest first. Blocking: through net::offload on the loop.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::access {

struct AuditPage {
  std::vector<json::Value> events;
  std::string next;  // where to go on; empty: the beginning was reached
};

// At most `limit` events that `wanted` takes; reads at most 32 MiB a call, so that a page may hold fewer and
// still have a next one. `from`: a page's `next`, or empty. `oldest_day`: "YYYY-MM-DD", files before it are
// left out.
Result<AuditPage> read_audit(const std::string& folder, const std::string& from,
                             const std::string& oldest_day, size_t limit,
                             const std::function<bool(const json::Value&)>& wanted);

}  // namespace bastide::access
