#include "edge/cache_control.h"

#include "base/bytes.h"

namespace bastide::edge {

int64_t delta_seconds(std::string_view text) {
  constexpr int64_t kMost = 1LL << 31;
  if (text.empty()) return 0;
  int64_t n = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return 0;
    n = n * 10 + (c - '0');
    if (n > kMost) n = kMost;
  }
  return n;
}

void CacheControl::read(std::string_view field_value) {
  // Of a directive that is there twice the more careful reading counts (RFC 9111 section 4.2.1).
  auto least = [](int64_t& to, std::string_view value) {
    const auto seconds = delta_seconds(value);
    to = to < 0 ? seconds : std::min(to, seconds);
  };
  each_directive(field_value, [&](std::string_view name, std::string_view value) {
    given = true;
    auto is = [&](std::string_view word) { return iequals(name, word); };
    if (is("max-age"))
      least(max_age, value);
    else if (is("s-maxage"))
      least(s_maxage, value);
    else if (is("no-store"))
      no_store = true;
    else if (is("no-cache"))
      no_cache = true;  // of some fields only: of all of them, which is allowed
    else if (is("private"))
      is_private = true;
    else if (is("public"))
      is_public = true;
    else if (is("must-revalidate"))
      must_revalidate = true;
    else if (is("proxy-revalidate"))
      proxy_revalidate = true;
    else if (is("no-transform"))
      no_transform = true;
    else if (is("only-if-cached"))
      only_if_cached = true;
    else if (is("must-understand"))
      must_understand = true;
    else if (is("stale-while-revalidate"))
      least(stale_while_revalidate, value);
    else if (is("stale-if-error"))
      least(stale_if_error, value);
    else if (is("min-fresh"))
      least(min_fresh, value);
    else if (is("max-stale")) {
      if (value.empty())
        max_stale_any = true;
      else
        least(max_stale, value);
    }
  });
}

}  // namespace bastide::edge
