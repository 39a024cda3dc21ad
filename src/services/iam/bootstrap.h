// The first account of an empty home.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "store/database.h"

namespace bastide::services {

// The management account, twelve random digits, made on an empty home. Its root user gets no key: whoever owns the
// home acts through a role session.
Result<std::string> bootstrap(store::Database& db, Clock& clock);

}  // namespace bastide::services
