// Page tokens of List operations: sealed, so that a client can neither read nor forge them.
#pragma once

#include <string>

#include "store/keyring.h"

namespace bastide::store {

// `scope` binds a token to what it pages through: operation, account, filter.
std::string seal_page(Keyring& keyring, const std::string& scope, const std::string& last);
// Where the page before ended; an error of code "Invalid" for any other text.
Result<std::string> open_page(Keyring& keyring, const std::string& scope, const std::string& token);

}  // namespace bastide::store
