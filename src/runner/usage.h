// What a control group has used so far, as JSON: {cpu_us, throttled_us, memory, processes}; members that cannot be
// read are left out. Reads three small files.
#pragma once

#include <string>

#include "base/json.h"

namespace bastide::runner {

// `version` and `group` as Cgroups has them.
json::Value usage_of(int version, const std::string& group);

}  // namespace bastide::runner
