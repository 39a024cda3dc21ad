// The place where runner mounts: a private mount namespace with a small tmpfs, so that the host's mounts
// never change and crun sees cgroups that it understands. A holder process (bastide-shim hold) keeps it alive
// when runner dies; a new runner enters it again. Value-like; read from any thread after enter().
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runner/cgroups.h"

namespace bastide::runner {

class Stage {
 public:
  // Before the process starts any thread. `helpers`: the folder of bastide-shim and bastide-unpack.
  static Result<Stage> enter(const std::string& home, const std::string& helpers);

  // Ends the holder; the namespace goes with the last process in it. For when nothing runs any more.
  void release() const;

  const std::string& home() const { return home_; }
  const std::string& disk() const { return disk_; }  // <home>/runner
  const std::string& path() const { return path_; }  // the tmpfs; world-searchable
  const std::string& crun() const { return crun_; }  // the program
  std::string shim() const { return helpers_ + "/bastide-shim"; }
  std::string unpacker() const { return helpers_ + "/bastide-unpack"; }
  const Cgroups& cgroups() const { return *cgroups_; }
  bool adopted() const { return adopted_; }  // entered an existing one

 private:
  Result<void> make();
  Result<void> start_holder();

  std::string home_, disk_, path_, helpers_, crun_;
  std::shared_ptr<Cgroups> cgroups_;
  bool adopted_ = false;
};

}  // namespace bastide::runner
