// The organisation, its units and the accounts, by the Organizations API from the management account.
#pragma once

#include "architecture/architecture.h"

namespace bastide::architecture {

struct MadeAccounts {
  std::map<std::string, std::string> accounts;  // name -> id
  bool changed = false;
};

// Accounts are known again by their e-mail address, NAME+ACCOUNT@bastide.invalid. Idempotent.
Result<MadeAccounts> ensure_accounts(const Architecture& a, const Call& call, const Observer& observer);

// Those that there are, without making any; environments that the file does not name any more too. Empty where
// there is no organisation.
Result<std::map<std::string, std::string>> find_accounts(const Architecture& a, const Call& call);

}  // namespace bastide::architecture
