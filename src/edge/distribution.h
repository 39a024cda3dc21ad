// A distribution made ready to serve by. Part of a Config; does not change.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "edge/object.h"
#include "edge/signed_url.h"
#include "internal/edge_cdn.h"

namespace bastide::edge {

struct Distribution {
  explicit Distribution(internal::EdgeDistribution s);
  const internal::EdgeBehavior& behavior(std::string_view path) const;
  const internal::EdgeErrorPage* page(int status) const;
  int64_t error_min(int status) const;  // seconds
  // One origin, or the two of a failover group with the statuses that ask the second.
  struct Route {
    const internal::EdgeOrigin* origins[2] = {nullptr, nullptr};
    const std::vector<int>* statuses = nullptr;
  };
  Route route(const internal::EdgeBehavior& behavior) const;
  bool invalidated(const Stored& head) const;
  int64_t latest() const {
    return spec.invalidations.empty() ? spec.invalidations_after : spec.invalidations.back().number;
  }

  const internal::EdgeDistribution spec;
  const PublicKeys keys;
  const std::string via;
};

}  // namespace bastide::edge
