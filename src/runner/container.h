// One container: the files it is given, its shim, how it ends and what is left to clean. Used by tasks and
// sandboxes. Its folder on disk holds: config.json, spool/, and the shim's files (shim, init, exit).
// Blocking; callers serialise the calls of one container.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runner/identity.h"
#include "runner/oci_spec.h"
#include "runner/stage.h"

namespace bastide::runner {

struct Ending {
  int status = -1;
  int signal = 0;
  int64_t oom_kills = 0;
  Millis at = 0;
  bool failed = false;  // it never ran
};

class Container {
 public:
  // `name`: unique, of safe characters. `folder`: on disk, exists.
  Container(const Stage& stage, std::string name, std::string folder)
      : stage_(stage), name_(std::move(name)), folder_(std::move(folder)) {}

  std::string mounts() const { return stage_.path() + "/t/" + name_; }
  std::string root() const { return mounts() + "/root"; }
  std::string spool() const { return folder_ + "/spool"; }

  // Folders, a sysfs of the network namespace, and hosts, hostname and resolv.conf; adds them to the plan.
  Result<void> prepare(ContainerPlan& plan, const std::string& address) const;
  // Starts it under a new shim, which keeps the descriptors `kept` from number shim::kFirstKeptFd on.
  Result<void> start(const ContainerPlan& plan, bool flush_partial_lines, const std::vector<int>& kept) const;

  Result<sys::Fd> shim() const { return open_living(folder_ + "/shim"); }
  Result<sys::Fd> init() const { return open_living(folder_ + "/init"); }
  std::optional<Ending> ending() const;  // none while it runs, or where its shim was killed

  // Ends everything inside and takes away crun's state, the control group and the mounts (the root's too).
  Result<void> destroy(const std::string& cgroup) const;

 private:
  Result<void> write_jail(const ContainerPlan& plan) const;
  std::vector<std::string> starter() const;  // what the shim runs
  const Stage& stage_;
  std::string name_, folder_;
};

}  // namespace bastide::runner
