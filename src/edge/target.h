// A target with its health and its kept connections, and the group that picks among its targets. On the
// loop's thread. Targets outlive snapshots: a new snapshot takes over those that it still has.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edge/buffer.h"
#include "internal/edge.h"
#include "net/loop.h"
#include "net/socket.h"

namespace bastide::edge {

inline constexpr size_t kMaxIdlePerTarget = 256;
inline constexpr Millis kIdleToTarget = 50 * kSecond;
inline constexpr Millis kConnectTimeout = 10 * kSecond;  // ELB's

// A connection to a target; in the pool between requests.
struct Upstream {
  explicit Upstream(net::Socket s) : socket(std::move(s)), in(16u << 10) {}
  net::Socket socket;
  Buffer in;
  Millis idle_since = 0;
};

enum class Health { initial, healthy, unhealthy, unchecked };

class Target {
 public:
  Target(std::string group, internal::EdgeTarget spec) : group_id(std::move(group)), spec(std::move(spec)) {}

  bool usable() const { return !spec.draining && !gone; }
  bool healthy() const { return health == Health::healthy || health == Health::unchecked; }
  std::unique_ptr<Upstream> take_idle();  // one that looks alive, or nothing
  void keep(std::unique_ptr<Upstream> connection, Millis now);
  void drop_idle(Millis older_than);

  std::string group_id;
  internal::EdgeTarget spec;
  Health health = Health::initial;
  std::string reason, description;
  bool gone = false;    // in no snapshot any more
  int outstanding = 0;  // requests that it is answering
  bool drained_told = false;
  bool checking = false;  // its fiber runs
  net::Event wake;        // of its checking fiber

 private:
  std::vector<std::unique_ptr<Upstream>> idle_;
};

class Group {
 public:
  explicit Group(internal::EdgeTargetGroup spec);
  // The next target by the group's algorithm: of the healthy ones, or of all where none is healthy (ELB fails
  // open); nothing where no target is registered. `not_this`: avoided where there is another.
  std::shared_ptr<Target> pick(const Target* not_this);

  internal::EdgeTargetGroup spec;
  std::vector<std::pair<int, int>> matcher;
  std::vector<std::shared_ptr<Target>> targets;

 private:
  size_t cursor_ = 0;
};

}  // namespace bastide::edge
