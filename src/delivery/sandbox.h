// The runner's sandboxes as delivery uses them: build and test steps, and a Dockerfile's RUN. Implemented over the
// runner's channel by the wiring; waits (fibers).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "internal/runner.h"
#include "sys/fd.h"

namespace bastide::delivery {

class Sandboxes {
 public:
  virtual ~Sandboxes() = default;

  struct Exit {
    int status = 0;
    bool timed_out = false;
  };
  using Output = std::function<void(std::string_view text)>;

  // `workspace`: a tar, or nothing. Layers that runner lacks are sent first.
  virtual Result<void> open(const internal::SandboxSpec& spec, sys::Fd workspace) = 0;
  virtual Result<Exit> exec(const internal::SandboxExec& step, const Output& output) = 0;
  virtual Result<sys::Fd> export_tar(const std::string& id, const std::string& what) = 0;  // "workspace", "changes"
  virtual Result<void> close(const std::string& id) = 0;
};

}  // namespace bastide::delivery
