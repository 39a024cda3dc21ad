#include "edge/target.h"

#include <sys/socket.h>

#include <cerrno>

namespace bastide::edge {

std::unique_ptr<Upstream> Target::take_idle() {
  while (!idle_.empty()) {
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    char byte;
    auto n = ::recv(connection->socket.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    // Anything but "nothing there" means that it ended, or that it says something nobody asked for.
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return connection;
  }
  return nullptr;
}

void Target::keep(std::unique_ptr<Upstream> connection, Millis now) {
  if (!usable() || idle_.size() >= kMaxIdlePerTarget || !connection->in.empty()) return;
  connection->idle_since = now;
  idle_.push_back(std::move(connection));
}

void Target::drop_idle(Millis older_than) {
  std::erase_if(idle_, [&](const auto& c) { return c->idle_since <= older_than; });
}

Group::Group(internal::EdgeTargetGroup s) : spec(std::move(s)) {
  auto parsed = internal::parse_matcher(spec.health.matcher);
  if (parsed) matcher = std::move(*parsed);
}

std::shared_ptr<Target> Group::pick(const Target* not_this) {
  const size_t n = targets.size();
  const bool least = spec.algorithm == "least_outstanding_requests";
  // Best first: a healthy one, an unhealthy one, the one to avoid.
  size_t best = n;
  int best_rank = 4;
  for (size_t i = 0; i < n; ++i) {
    size_t at = (cursor_ + i) % n;
    const auto& t = *targets[at];
    if (!t.usable()) continue;
    int rank = &t == not_this ? 3 : t.healthy() ? 1 : 2;
    bool better =
        rank < best_rank || (least && rank == best_rank && t.outstanding < targets[best]->outstanding);
    if (!better) continue;
    best = at;
    best_rank = rank;
    if (rank == 1 && !least) break;
  }
  if (best == n) return nullptr;
  cursor_ = (best + 1) % n;
  return targets[best];
}

}  // namespace bastide::edge
