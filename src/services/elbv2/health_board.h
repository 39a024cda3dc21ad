// What edge said last about each target: in memory, told anew whenever edge connects. On the loop's thread.
#pragma once

#include <map>
#include <string>

#include "base/time.h"

namespace bastide::services {

struct TargetHealth {
  std::string state, reason, description;
  Millis at = 0;
};

class HealthBoard {
 public:
  void set(const std::string& group, const std::string& target, TargetHealth health) {
    all_[{group, target}] = std::move(health);
  }
  void forget(const std::string& group, const std::string& target) { all_.erase({group, target}); }
  const TargetHealth* find(const std::string& group, const std::string& target) const {
    auto found = all_.find({group, target});
    return found == all_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::pair<std::string, std::string>, TargetHealth> all_;
};

}  // namespace bastide::services
