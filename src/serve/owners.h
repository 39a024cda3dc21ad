// Who owns what in the home where serve is root: control and edge run as uids of their own, so that public
// traffic never meets the keys and neither of them is root. Runner stays root; what it trusts, they cannot
// change.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace bastide::serve {

struct Owners {
  uid_t control = 0, edge = 0;  // and the groups of the same numbers; nobody else's
};

// None where this process is not root, or where others than root may not pass the folders above the home:
// then the roles run as this user (and `why` says so, of root).
std::optional<Owners> owners_of(const std::string& home, std::string& why);

// Gives each its files, those of a home that was made before too. The home itself: root's, sticky, written by
// control.
Result<void> give_home(const std::string& home, const Owners& owners);

}  // namespace bastide::serve
