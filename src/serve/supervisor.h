// The role `serve`: starts control, edge and runner, restarts what dies, and owns every listening socket, so that a
// restarted role finds its queue where it was. It does no work itself: one thread, one poll loop, no TLS, no parsing.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace bastide::serve {

struct Options {
  std::string home;
  uint16_t api_port = 4566;
  std::string edge_address = "127.0.0.1";
  uint16_t https_port = 0;  // 0: 443 where permitted and free, else 8443
  uint16_t http_port = 0;   // 0: 80, else 8080
  std::string tier;         // of the runner; empty: the strongest that works
  bool debug = false;
  std::string program;      // this binary, for the roles
};

// Runs until SIGTERM or SIGINT (roles stop, containers go on) or SIGUSR1 (containers and networks stop as well).
Result<void> run(const Options& options);

// What run/serve.json says of the running instance.
struct Instance {
  int64_t pid = 0;
  uint16_t api_port = 0, https_port = 0, http_port = 0;
  std::string edge_address;
};
// "NotFound" where no serve holds the lock of this home.
Result<Instance> running(const std::string& home);

}  // namespace bastide::serve
