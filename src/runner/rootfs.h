// Root filesystems of containers: overlayfs over the image's layers, which an idmapped mount shows as
// belonging to the account. Thread-safe; blocks for a few milliseconds.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "runner/accounts.h"
#include "runner/stage.h"

namespace bastide::runner {

class Roots {
 public:
  Roots(const Stage& stage, Accounts& accounts) : stage_(stage), accounts_(accounts) {}

  // `trees`: folders owned by the neutral range, lowest first. Changes go to <disk>/upper. Mounted at
  // `target`, which must be a folder of the stage.
  Result<void> mount(const std::string& account, const std::vector<std::string>& trees,
                     const std::string& disk, const std::string& target);
  static Result<void> unmount(const std::string& target);  // no error where nothing is mounted

 private:
  Result<void> show_as_account(const std::string& account, const std::string& tree, const std::string& at);
  const Stage& stage_;
  Accounts& accounts_;
  std::mutex mutex_;  // of the stage's /l, where layers are mounted until overlayfs has its own hold of them
};

}  // namespace bastide::runner
