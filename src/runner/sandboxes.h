// Sandboxes for builds and RUN steps: a root filesystem (the host's tools read-only, or an image's layers), a
// workspace, no network unless asked, and commands run in it one after the other, each in a container of its own that is
// gone with everything it started when it ends. They do not outlive runner: open() of a new one clears what
// is left. Thread-safe; blocking; calls on one sandbox are made one at a time by Runner.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "internal/runner.h"
#include "runner/accounts.h"
#include "runner/container.h"
#include "runner/layers.h"
#include "runner/networks.h"
#include "runner/outward.h"
#include "runner/rootfs.h"
#include "runner/stage.h"

namespace bastide::runner {

bool has_landlock();

class Sandboxes {
 public:
  Sandboxes(const Stage& stage, Accounts& accounts, Layers& layers, Roots& roots, Networks& networks)
      : stage_(stage), accounts_(accounts), layers_(layers), roots_(roots), networks_(networks) {}

  Result<void> clear();  // those of an earlier runner

  Result<void> open(const internal::SandboxSpec& spec,
                    sys::Fd workspace);  // the tar; none: an empty workspace
  // Starts a command; its folder, where its spool is. One at a time.
  Result<std::string> begin(const internal::SandboxExec& exec);
  std::optional<Ending> poll(const std::string& id);  // of the command; none while it runs
  Result<void> kill(const std::string& id);           // the command with everything it started
  Result<void> finish(const std::string& id);         // takes the command's container away
  Result<sys::Fd> shim(const std::string& id);

  enum class Part { workspace, changes };
  Result<sys::Fd> pack(const std::string& id, Part part);  // a tar, at its beginning
  Result<void> close(const std::string& id);

 private:
  struct Sandbox {
    std::mutex mutex;
    internal::SandboxSpec spec;
    std::unique_ptr<Outward> outward;  // where a network is asked for
    int runs = 0;
    bool running = false;
  };
  std::string folder(const std::string& id) const { return stage_.disk() + "/sandboxes/" + id; }
  std::string root(const std::string& id) const { return stage_.path() + "/s/" + id; }
  std::string name(const Sandbox& sandbox) const {
    return sandbox.spec.id + "-" + std::to_string(sandbox.runs);
  }
  Container container(const Sandbox& sandbox) const {
    return Container(stage_, name(sandbox), folder(sandbox.spec.id) + "/run-" + std::to_string(sandbox.runs));
  }
  std::string cgroup(const Sandbox& sandbox) const {
    return stage_.cgroups().group(sandbox.spec.account, name(sandbox));
  }
  std::shared_ptr<Sandbox> find(const std::string& id);
  Result<void> build(Sandbox& sandbox, sys::Fd workspace);
  // sandboxes_plain.cc: where the tier has no namespaces.
  Result<void> build_plain(const internal::SandboxSpec& spec, sys::Fd workspace);
  Result<void> plan_plain(const internal::SandboxSpec& spec, ContainerPlan& plan);
  Result<std::string> plain_workspace(const internal::SandboxSpec& spec, uint32_t uid);
  Result<void> remove_files(const std::string& id);
  Result<void> finish_locked(Sandbox& sandbox);

  const Stage& stage_;
  Accounts& accounts_;
  Layers& layers_;
  Roots& roots_;
  Networks& networks_;
  std::mutex mutex_;  // of the map
  std::map<std::string, std::shared_ptr<Sandbox>> sandboxes_;
};

}  // namespace bastide::runner
