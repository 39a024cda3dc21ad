// "90s", "10m", "3h", "7d": how commands are told a span of time.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::cli {

inline Result<Millis> parse_duration(const std::string& option, const std::string& text) {
  const Error wrong = error("Invalid", option + " wants a number and s, m, h or d, such as 10m; got '" + text + "'");
  if (text.size() < 2) return wrong;
  const auto n = parse_int(text.substr(0, text.size() - 1));
  if (!n || *n < 1 || *n > 100'000) return wrong;
  switch (text.back()) {
    case 's': return *n * kSecond;
    case 'm': return *n * kMinute;
    case 'h': return *n * kHour;
    case 'd': return *n * kDay;
    default: return wrong;
  }
}

}  // namespace bastide::cli
