// The place where runner mounts: a private mount namespace with a small tmpfs, so that the host's mounts
// never change and crun sees cgroups that it understands. A holder process (bastide-shim hold) keeps it alive
// when runner dies; a new runner enters it again. Value-like; read from any thread after enter().
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "runner/accounts.h"
#include "runner/cgroups.h"
#include "runner/tier.h"

namespace bastide::runner {

class Stage {
 public:
  // Before the process starts any thread. `helpers`: the folder of bastide-shim and bastide-unpack.
  // "Exists" where containers of another tier still run.
  static Result<Stage> enter(const std::string& home, const std::string& helpers, Tier tier);
  // The tier that an earlier runner left running, if any.
  static std::optional<Tier> left_running(const std::string& home);

  // Ends the holder; the namespace goes with the last process in it. For when nothing runs any more.
  void release() const;

  const std::string& home() const { return home_; }
  const std::string& disk() const { return disk_; }  // <home>/runner
  const std::string& path() const { return path_; }  // the tmpfs; world-searchable
  std::string layers() const;  // the folder of unpacked layers: ownership differs by tier
  const std::string& crun() const { return crun_; }  // the program
  std::string shim() const { return helpers_ + "/bastide-shim"; }
  std::string jail() const { return helpers_ + "/bastide-jail"; }
  std::string unpacker() const { return helpers_ + "/bastide-unpack"; }
  const Cgroups& cgroups() const { return *cgroups_; }
  Tier tier() const { return tier_; }
  const Ids& ids() const { return ids_; }
  // "disabled" where there are no control groups.
  const char* cgroup_manager() const { return tier_ == Tier::root ? "cgroupfs" : "disabled"; }
  bool adopted() const { return adopted_; }  // entered an existing one

 private:
  Result<void> make();
  Result<void> make_folders();
  Result<void> start_holder();

  std::string home_, disk_, path_, helpers_, crun_;
  Tier tier_ = Tier::root;
  Ids ids_;
  std::shared_ptr<Cgroups> cgroups_;
  bool adopted_ = false;
};

}  // namespace bastide::runner
