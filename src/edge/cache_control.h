// The Cache-Control field (RFC 9111 section 5.2), RFC 5861's extensions too. Several fields are read as one
// list.
#pragma once

#include <cstdint>
#include <string_view>

namespace bastide::edge {

struct CacheControl {
  bool given = false;  // there was a field with at least one directive
  bool no_store = false, no_cache = false, is_private = false, is_public = false;
  bool must_revalidate = false, proxy_revalidate = false, no_transform = false;
  bool only_if_cached = false, must_understand = false, max_stale_any = false;
  // Seconds; -1: not given. What cannot be read as a number of seconds counts as 0.
  int64_t max_age = -1, s_maxage = -1, stale_while_revalidate = -1, stale_if_error = -1;
  int64_t max_stale = -1, min_fresh = -1;

  void read(std::string_view field_value);
};

// Calls f(name, value) for each directive; quotes are taken off, a value that is missing is empty.
template <class F>
void each_directive(std::string_view text, F f);

// RFC 9111 section 1.2.2: digits, at most 2^31; anything else is 0.
int64_t delta_seconds(std::string_view text);

template <class F>
void each_directive(std::string_view text, F f) {
  size_t i = 0;
  auto blank = [&](char c) { return c == ' ' || c == '\t'; };
  while (i < text.size()) {
    while (i < text.size() && (blank(text[i]) || text[i] == ',')) ++i;
    size_t begin = i;
    while (i < text.size() && text[i] != ',' && text[i] != '=' && !blank(text[i])) ++i;
    auto name = text.substr(begin, i - begin);
    std::string_view value;
    if (i < text.size() && text[i] == '=') {
      ++i;
      if (i < text.size() && text[i] == '"') {
        begin = ++i;
        while (i < text.size() && text[i] != '"') i += text[i] == '\\' && i + 1 < text.size() ? 2 : 1;
        value = text.substr(begin, i - begin);
        if (i < text.size()) ++i;
      } else {
        begin = i;
        while (i < text.size() && text[i] != ',') ++i;
        value = text.substr(begin, i - begin);
        while (!value.empty() && blank(value.back())) value.remove_suffix(1);
      }
    }
    while (i < text.size() && text[i] != ',') ++i;
    if (!name.empty()) f(name, value);
  }
}

}  // namespace bastide::edge
