// Runs bastide-unpack: archives are read and written by a throw-away child in a user namespace that maps
// 0..65535 to a range of unused uids and can reach one folder only. Blocking.
#pragma once

#include <string>

#include "base/result.h"
#include "runner/stage.h"
#include "sys/fd.h"

namespace bastide::runner {

// `mode` as in unpack_main.cc; `folder` belongs to `first_uid`.
Result<void> run_unpacker(const Stage& stage, const std::string& mode, int archive, const std::string& folder,
                          uint32_t first_uid);

// Makes a folder that belongs to a uid (and the group of the same number).
Result<void> make_owned_folder(const std::string& path, uint32_t uid, mode_t mode = 0755);

}  // namespace bastide::runner
