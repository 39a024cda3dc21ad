// Whose ids containers have. As root of the host: each account its own range of 65,536 uids, for ever, so
// that a container's root is never the host's; range 0 belongs to nobody: it owns unpacked layers on disk,
// which every account sees as its own through an idmapped mount. In a user namespace all accounts share what
// the host gives: 65,536 subordinate ids, or the one id of the user. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

inline constexpr uint32_t kFirstUid = 0x70000000;  // above what distributions and container engines hand out
inline constexpr uint32_t kIdsEach = 65'536;
inline constexpr uint32_t kMaxAccounts = 4'000;

struct Ids {
  bool per_account = true;       // a range each; idmapped mounts
  uint32_t neutral = kFirstUid;  // first id of unpacked layers; of everything where accounts share
  uint32_t count = kIdsEach;     // 1: every file and process of a container has the same owner
};

class Accounts {
 public:
  static Result<std::unique_ptr<Accounts>> open(const std::string& file, const Ids& ids);

  Result<uint32_t> first_uid(const std::string& account);  // assigned and on disk when it is new
  // One of them for a task alone, where there are no user namespaces.
  Result<uint32_t> task_uid(const std::string& account, const std::string& id);
  // A user namespace for mount_setattr: what belongs to the neutral range is shown as the account's.
  Result<sys::Fd> mapping(const std::string& account);

 private:
  std::string file_;
  Ids ids_;
  std::mutex mutex_;
  std::map<std::string, uint32_t> ranges_;  // account -> number of its range, from 1
  std::map<std::string, sys::Fd> mappings_;
};

}  // namespace bastide::runner
