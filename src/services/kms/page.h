// Pages of KMS's lists: sorted by `name(item)`, which a Marker continues after.
#pragma once

#include <algorithm>

#include "services/kms/kms.h"
#include "store/page.h"

namespace bastide::services {

template <class T, class Name>
Result<std::optional<std::string>> Kms::page(const Call& call, std::vector<T>& items, Name name,
                                             const std::optional<std::string>& marker,
                                             const std::optional<int32_t>& limit, int32_t standard,
                                             const std::string& more) {
  std::sort(items.begin(), items.end(), [&](const T& a, const T& b) { return name(a) < name(b); });
  if (marker) {
    const auto last = store::open_page(keyring_, scope(call, more), *marker);
    if (!last)
      return fault("InvalidMarkerException",
                   "The marker that specifies where pagination should next begin is not valid.");
    std::erase_if(items, [&](const T& item) { return name(item) <= *last; });
  }
  const auto size = static_cast<size_t>(limit.value_or(standard));
  if (items.size() <= size) return std::optional<std::string>{};
  items.resize(size);
  return std::optional<std::string>(store::seal_page(keyring_, scope(call, more), name(items.back())));
}

}  // namespace bastide::services
