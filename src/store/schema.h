// The schema of metadata.sqlite: numbered, forward-only migrations. user_version holds the number reached.
#pragma once

#include <string>

#include "base/result.h"
#include "store/sqlite.h"

namespace bastide::store {

inline constexpr int64_t kApplicationId = 0x42535444;  // "BSTD"

// Brings the database to the newest schema, one transaction a step; before the first step of an existing
// database it is copied to `<path>.before-<version>`. A newer schema is refused with code "NewerSchema".
Result<void> migrate(Connection& db, const std::string& path);
int64_t newest_schema();

// A consistent copy of the database at `path`, on disk when this returns.
Result<void> copy_database(Connection& db, const std::string& path);

}  // namespace bastide::store
