// The first account of an empty home, and the operator's first credentials.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "services/iam/iam.h"

namespace bastide::services {

struct FirstCredentials {
  std::string account;  // the management account
  std::string access_key_id;
  std::string secret_access_key;
};

// On an empty home: makes the management account (twelve random digits) and an access key of its root user,
// told this once. On a home that has both: nothing, unless `have_credentials` is false (the file that kept
// them is gone, or the process died before it was written): then every old key of the root user is replaced
// by a new one.
Result<std::optional<FirstCredentials>> bootstrap(store::Database& db, Iam& iam, Clock& clock,
                                                  bool have_credentials);

// The management account of a home; "NotFound" before its bootstrap.
Result<std::string> management_account(store::Database& db);

}  // namespace bastide::services
