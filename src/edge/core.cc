#include "edge/core.h"

namespace bastide::edge {
namespace {
const char* name_of(Health health) { return health == Health::unhealthy ? "unhealthy" : "healthy"; }
}  // namespace

void Core::set_health(Target& target, Health health, std::string reason, std::string description) {
  bool changed = target.health != health || target.reason != reason || target.description != description;
  target.health = health;
  target.reason = std::move(reason);
  target.description = std::move(description);
  if (!changed || target.gone || target.spec.draining) return;
  reporter.health(
      {target.group_id, target.spec.id, name_of(health), target.reason, target.description, clock.wall()});
}

void Core::finished(Target& target) {
  --target.outstanding;
  tell_if_drained(target);
}

void Core::tell_if_drained(Target& target) {
  if (!target.spec.draining || target.gone || target.outstanding > 0 || target.drained_told) return;
  target.drained_told = true;
  reporter.health(
      {target.group_id, target.spec.id, "draining", "", "Target deregistration is complete", clock.wall()});
}

}  // namespace bastide::edge
