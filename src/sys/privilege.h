// Giving rights up, for good. The whole process; before it has threads.
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace bastide::sys {

// Another user and group, without supplementary groups and capabilities; nothing it executes gains any. The
// parent's death still ends it (SIGTERM), which a change of user would have undone.
Result<void> become_user(uid_t uid, gid_t gid);

// Whether this process holds the capabilities that become_user and changing owners need.
bool may_change_users();

// No capability is left, and nothing that is executed gains any.
Result<void> drop_capabilities();

}  // namespace bastide::sys
