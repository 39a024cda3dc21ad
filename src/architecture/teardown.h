// Taking an architecture away again. Data is protected: what its template retains stays, unless `data` says
// so.
#pragma once

#include "architecture/architecture.h"

namespace bastide::architecture {

struct TeardownOptions {
  bool data = false;                  // also keys, images and everything else that is retained
  std::vector<std::string> accounts;  // only these; empty: all
};

struct Kept {
  std::string account, type, physical;
};

// Deployments, then stacks in the reverse order of dependence. Accounts and the organisation stay.
// Idempotent: an interrupted run is taken up again.
Result<std::vector<Kept>> destroy(const Architecture& a, const Call& call, const Observer& observer,
                                  const TeardownOptions& options);

// Brings a stack back to rest: what `stack rollback` and `stack recover` do. The text says what was done.
Result<std::string> roll_back_stack(const Call& call, const std::string& account, const std::string& name);
Result<std::string> recover_stack(const Call& call, const std::string& account, const std::string& name,
                                  const std::vector<std::string>& skip);

}  // namespace bastide::architecture
