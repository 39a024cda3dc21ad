// Each account's own range of 65,536 uids, for ever: a container's root is never the host's. Range 0 belongs
// to nobody: it owns unpacked layers on disk, which every account sees as its own through an idmapped mount.
// Thread-safe.
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

class Accounts {
 public:
  static Result<std::unique_ptr<Accounts>> open(const std::string& file);

  static constexpr uint32_t neutral() { return kFirstUid; }
  Result<uint32_t> first_uid(const std::string& account);  // assigned and on disk when it is new
  // A user namespace for mount_setattr: what belongs to the neutral range is shown as the account's.
  Result<sys::Fd> mapping(const std::string& account);

 private:
  std::string file_;
  std::mutex mutex_;
  std::map<std::string, uint32_t> ranges_;  // account -> number of its range, from 1
  std::map<std::string, sys::Fd> mappings_;
};

}  // namespace bastide::runner
