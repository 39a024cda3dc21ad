// Watching a pipeline run until it ends.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/context.h"

namespace bastide::cli {

// Shows a run's steps as they end; 0 when it succeeded, an error with its message where it failed.
Result<int> follow_run(Context& context, const std::string& run);

}  // namespace bastide::cli
