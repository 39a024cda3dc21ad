// What every connection of this edge shares. On the loop's thread.
#pragma once

#include <atomic>
#include <memory>
#include <set>

#include "edge/config.h"
#include "edge/reporter.h"

namespace bastide::edge {

struct Cdn;

struct Limits {
  size_t connections = 10'000;
  Millis head_timeout = 15 * kSecond;  // from a request's first byte to the end of its head
  Millis idle_timeout = 60 * kSecond;  // between requests
  Millis tls_timeout = 10 * kSecond;
  Millis in_fiber = 2 * kSecond;  // so long an idle connection keeps its fiber and its buffers
};

struct Core {
  explicit Core(Clock& c) : clock(c) {}
  Clock& clock;
  Limits limits;
  std::shared_ptr<Config> config;  // nothing until the first snapshot
  Reporter reporter;
  std::shared_ptr<Cdn> cdn;
  uint16_t https_port = 443, http_port = 80;
  size_t connections = 0;
  int64_t requests = 0;
  bool draining = false;
  std::set<net::Socket*> idle;  // connections between two requests: closed when draining

  void set_health(Target& target, Health health, std::string reason, std::string description);
  void finished(Target& target);  // one outstanding request less; tells when a draining target is done
  void tell_if_drained(Target& target);
};

// A client's connection from its first byte to its end, in the fiber of the caller.
void serve_connection(const std::shared_ptr<Core>& core, net::Socket socket, bool https);

// The other end of a pair whose one end the CDN holds as the connection to a load balancer.
void serve_inside(const std::shared_ptr<Core>& core, net::Socket socket, bool https, std::string client);

// Checks one target until it is gone or not to be checked.
void check_target(std::shared_ptr<Core> core, std::shared_ptr<Target> target);
// Starts the fibers of a new configuration's targets.
void start_checks(const std::shared_ptr<Core>& core);

// Bytes both ways until both sides ended or nothing came for `idle`. Adds to the counters.
void tunnel(net::Socket& client, Buffer& from_client, Upstream& target, Millis idle, int64_t& received,
            int64_t& sent);

}  // namespace bastide::edge
