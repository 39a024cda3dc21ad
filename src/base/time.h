// Time: int64 UTC milliseconds everywhere; clocks are injected so that tests can turn them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide {

using Millis = int64_t;  // since 1970-01-01T00:00:00Z, or a duration

inline constexpr Millis kSecond = 1000;
inline constexpr Millis kMinute = 60 * kSecond;
inline constexpr Millis kHour = 60 * kMinute;
inline constexpr Millis kDay = 24 * kHour;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Millis wall() const = 0;    // UTC
  virtual Millis steady() const = 0;  // never goes back; no epoch
  static Clock& system();
};

class ManualClock final : public Clock {
 public:
  explicit ManualClock(Millis now) : now_(now) {}
  Millis wall() const override { return now_; }
  Millis steady() const override { return now_; }
  void advance(Millis by) { now_ += by; }

 private:
  Millis now_;
};

std::string iso8601(Millis t);         // 2026-11-22T15:44:54Z (no fraction when it is zero, else .sss)
std::string iso8601_basic(Millis t);   // 20261122T154454Z, as SigV4 writes it
std::string http_date(Millis t);       // Sun, 22 Nov 2026 15:44:54 GMT
Result<Millis> parse_iso8601(std::string_view text);  // both forms, offsets too
Result<Millis> parse_http_date(std::string_view text);
std::string human_duration(Millis d);  // "850 ms", "4.2 s", "3 min 20 s", "2 h 5 min"

}  // namespace bastide
