// Starting `bastide serve` in the background, and waiting until it answers.
#pragma once

#include "base/result.h"
#include "cli/context.h"

namespace bastide::cli {

struct Started {
  serve::Instance instance;
  bool now = false;  // by this call
};
Result<Started> ensure_serving(Context& context, const std::vector<std::string>& serve_options);

}  // namespace bastide::cli
