// The role `runner`: the privileged hands. Control asks over a channel (internal/runner.h); everything it
// names is an id, a size or a descriptor, and checked. Stateless but for its folder: killed at any moment,
// the next one goes on.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "runner/tier.h"
#include "sys/fd.h"

namespace bastide::runner {

struct RunnerOptions {
  std::string home;
  std::string helpers;  // the folder of bastide-shim and bastide-unpack; usually that of this binary
  std::optional<Tier> tier;  // empty: the strongest that works
  sys::Fd listener;     // of net::listen_messages(<home>/run/runner.sock)
};

// Serves until SIGTERM or SIGINT, then ends the process with status 0; containers go on. SIGUSR1 ends containers and
// networks first. To be called before
// the process has threads. Returns where it cannot start.
Result<void> run_runner(RunnerOptions options);

}  // namespace bastide::runner
