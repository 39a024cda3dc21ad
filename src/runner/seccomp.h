// The system calls that containers may make: an allow list, in the form of the OCI runtime specification.
// https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
#pragma once

#include "base/json.h"

namespace bastide::runner {
json::Value seccomp_profile();
}
