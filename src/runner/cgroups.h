// Where the containers' control groups are: /bastide-<home>/<account>/<id>, in either version of cgroups.
// crun makes them; this removes what is left.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace bastide::runner {

class Cgroups {
 public:
  // `home` tells the groups of two instances on one host apart. Looks at /sys/fs/cgroup as it is mounted
  // here.
  // `usable`: false in the tiers that may not make groups; then there are none.
  Cgroups(const std::string& home, bool usable);

  int version() const { return version_; }                                     // 0: none is mounted
  std::string group(const std::string& account, const std::string& id) const;  // for the OCI spec
  std::string oom_file(const std::string& group) const;
  int64_t memory_limit(const std::string& group) const;  // bytes as they are set; -1: none
  bool limits_swap() const;  // whether a limit of memory and swap together can be set and matters

  void remove(const std::string& group) const;  // and its parents where they are empty now
  void remove_all() const;                      // every group of this home without processes

 private:
  std::vector<std::string> hierarchies() const;
  int version_ = 0;
  std::string top_;
};

}  // namespace bastide::runner
