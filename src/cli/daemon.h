// Starting `bastide serve` in the background, and waiting until it answers.
#pragma once

#include "base/result.h"
#include "cli/context.h"
#include "sys/fd.h"

namespace bastide::cli {

struct Started {
  serve::Instance instance;
  bool now = false;  // by this call
};
// Held while a command changes the whole architecture; the error names the process that has it.
Result<sys::Fd> only_one(const Context& context);

Result<Started> ensure_serving(Context& context, const std::vector<std::string>& serve_options);

}  // namespace bastide::cli
