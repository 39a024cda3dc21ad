// A root folder for tiers that cannot mount: the layers copied over one another, all of it the task's own.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "runner/stage.h"

namespace bastide::runner {

// `trees`: as unpacked, lowest first. Afterwards everything in `target` belongs to `uid`; nothing runs in it
// yet.
Result<void> make_plain_root(const Stage& stage, const std::vector<std::string>& trees,
                             const std::string& target, uint32_t uid);

// null, zero, full, random, urandom and tty in its /dev; those that this host forbids are left out.
Result<void> make_devices(const std::string& root);

// A folder at an absolute path of that root, made where it is missing, none of its parts a link.
Result<std::string> folder_inside(const std::string& root, const std::string& path, uint32_t uid);

}  // namespace bastide::runner
