// Pages of lists. A token is the index at which the next page begins, bound to nothing secret.
#pragma once

#include <algorithm>

#include "base/bytes.h"
#include "services/organizations/organizations.h"

namespace bastide::services {

inline constexpr int64_t kDefaultResults = 20;

template <class Response, class T, class Request>
Result<Response> Organizations::page(std::vector<T> items, const Request& q,
                                     std::optional<std::vector<T>> Response::*field) {
  size_t from = 0;
  if (q.next_token) {
    auto bytes = unbase64url(*q.next_token);
    auto number = bytes ? parse_int(*bytes) : Result<int64_t>(bytes.error());
    if (!number || *number < 0)
      return fault("InvalidInputException", "You specified an invalid value for nextToken.", 400);
    from = std::min(static_cast<size_t>(*number), items.size());
  }
  size_t limit = kDefaultResults;
  if constexpr (requires { q.max_results; }) {
    if (q.max_results) limit = static_cast<size_t>(*q.max_results);
  }
  const size_t to = std::min(items.size(), from + limit);
  Response out;
  (out.*field) = std::vector<T>(std::make_move_iterator(items.begin() + static_cast<ptrdiff_t>(from)),
                                std::make_move_iterator(items.begin() + static_cast<ptrdiff_t>(to)));
  if (to < items.size()) out.next_token = base64url(std::to_string(to));
  return out;
}

}  // namespace bastide::services
