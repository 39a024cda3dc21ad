// The user namespace of the userns tier, which the whole runner stands in: root there is the user who started
// Bastide. Where the host gives that user 65,536 subordinate ids, containers have those; else every id of a
// container is the user's own.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

// Moves this process (of one thread) into a new user and mount namespace, as its root.
Result<void> enter_new_user_namespace();

// After that, or after joining one: how many ids from 1 on are mapped for containers; 0: the user's alone.
uint32_t subordinate_ids();

Result<sys::Fd> own_user_namespace();

}  // namespace bastide::runner
