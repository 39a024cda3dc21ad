#include "edge/distribution.h"

#include <algorithm>

#include "edge/ask.h"
#include "edge/pattern.h"

namespace bastide::edge {

Distribution::Distribution(internal::EdgeDistribution s)
    : spec(std::move(s)), keys(spec.key_groups), via("1.1 " + spec.domain + " (CloudFront)") {}

const internal::EdgeBehavior& Distribution::behavior(std::string_view path) const {
  for (size_t i = 0; i + 1 < spec.behaviors.size(); ++i) {
    std::string_view pattern = spec.behaviors[i].pattern;
    // The first slash may be left out of a pattern.
    auto text = pattern.starts_with('/') || !path.starts_with('/') ? path : path.substr(1);
    if (matches(pattern, text, false)) return spec.behaviors[i];
  }
  return spec.behaviors.back();
}

const internal::EdgeErrorPage* Distribution::page(int status) const {
  for (const auto& p : spec.error_pages) {
    if (p.code == status) return &p;
  }
  return nullptr;
}

int64_t Distribution::error_min(int status) const {
  const auto* p = page(status);
  return p == nullptr ? 10 : p->min_ttl;
}

Distribution::Route Distribution::route(const internal::EdgeBehavior& behavior) const {
  Route out;
  auto find = [&](const std::string& id) -> const internal::EdgeOrigin* {
    for (const auto& o : spec.origins) {
      if (o.id == id) return &o;
    }
    return nullptr;
  };
  out.origins[0] = find(behavior.origin);
  for (const auto& g : spec.origin_groups) {
    if (g.id != behavior.origin) continue;
    out.origins[0] = find(g.first);
    out.origins[1] = find(g.second);
    out.statuses = &g.statuses;
  }
  return out;
}

bool Distribution::invalidated(const Stored& head) const {
  if (head.invalidation >= latest()) return false;
  if (head.invalidation < spec.invalidations_after) return true;
  auto at = std::upper_bound(spec.invalidations.begin(), spec.invalidations.end(), head.invalidation,
                             [](int64_t number, const auto& i) { return number < i.number; });
  for (; at != spec.invalidations.end(); ++at) {
    for (const auto& path : at->paths) {
      if (invalidates(path, head.uri)) return true;
    }
  }
  return false;
}

}  // namespace bastide::edge
