#include "services/ecs/plan.h"

#include <algorithm>

namespace bastide::services::ecs {

int breaker_threshold(int desired) { return std::clamp((desired + 1) / 2, 3, 200); }

Millis retry_delay(int failures) {
  if (failures <= 0) return 0;
  return std::min<Millis>(250ll << std::min(failures - 1, 10), kMinute);
}

ServicePlan plan_service(const ServiceView& service, std::vector<TaskView> tasks, Millis now) {
  ServicePlan out;
  std::erase_if(tasks, [](const TaskView& t) { return t.stopping; });
  const int desired = service.desired;
  // The minimum is rounded up, the maximum down.
  const int minimum = (desired * service.minimum_percent + 99) / 100;
  const int maximum = std::max(desired * service.maximum_percent / 100, minimum);
  int total = static_cast<int>(tasks.size());
  int healthy = 0, ours = 0, ours_healthy = 0;
  for (const auto& t : tasks) {
    healthy += t.healthy;
    if (t.deployment == service.primary) {
      ++ours;
      ours_healthy += t.healthy;
    }
  }

  // What cannot serve goes first, then the oldest.
  std::stable_sort(tasks.begin(), tasks.end(), [](const TaskView& a, const TaskView& b) {
    if (a.healthy != b.healthy) return !a.healthy;
    return a.created_at < b.created_at;
  });
  const auto take = [&](const TaskView& t) {
    out.stop.push_back(t.id);
    --total;
    healthy -= t.healthy;
  };

  // Scaled in: too many of the primary. The youngest unhealthy, then the youngest.
  int excess = ours - desired;
  std::vector<const TaskView*> own;
  for (const auto& t : tasks) {
    if (t.deployment == service.primary) own.push_back(&t);
  }
  std::stable_sort(own.begin(), own.end(), [](const TaskView* a, const TaskView* b) {
    if (a->healthy != b->healthy) return !a->healthy;
    return a->created_at > b->created_at;
  });
  for (const TaskView* t : own) {
    if (excess-- <= 0) break;
    take(*t);
    --ours;
    ours_healthy -= t->healthy;
  }

  for (const auto& t : tasks) {
    if (t.deployment == service.primary) continue;
    const bool replaced = ours_healthy >= desired;
    // A healthy one leaves only while enough healthy ones stay; a place must also be made for a new one.
    const bool may_go = t.healthy ? healthy - 1 >= minimum : (replaced || total >= maximum);
    if (replaced || (may_go && !service.primary_failed)) take(t);
  }

  if (!service.primary_failed && now >= service.retry_at) {
    out.start = std::clamp(std::min(desired - ours, maximum - total), 0, desired);
  }
  out.steady =
      out.start == 0 && out.stop.empty() && ours == desired && ours_healthy == desired && total == ours;
  return out;
}

}  // namespace bastide::services::ecs
