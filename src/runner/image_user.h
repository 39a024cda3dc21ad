// Who an image's process runs as, looked up in the image's own /etc/passwd and /etc/group. The files are
// untrusted: opened beneath the root filesystem, regular, bounded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace bastide::runner {

struct ImageUser {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
  std::string home;
};

// `user`: "", "name", "uid", "name:group", "uid:gid" as in the OCI image configuration.
// https://github.com/opencontainers/image-spec/blob/main/config.md
Result<ImageUser> find_user(const std::string& root, const std::string& user);

}  // namespace bastide::runner
