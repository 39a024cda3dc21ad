#include "base/time.h"

#include <fmt/format.h>
#include <time.h>

#include "base/bytes.h"

namespace bastide {
namespace {

class SystemClock final : public Clock {
 public:
  Millis wall() const override { return now(CLOCK_REALTIME); }
  Millis steady() const override { return now(CLOCK_MONOTONIC); }

 private:
  static Millis now(clockid_t id) {
    timespec ts;
    CHECK(clock_gettime(id, &ts) == 0);
    return Millis{ts.tv_sec} * 1000 + ts.tv_nsec / 1'000'000;
  }
};

constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

Millis floor_div(Millis a, Millis b) { return a / b - (a % b < 0 ? 1 : 0); }

tm broken_down(Millis t) {
  const time_t seconds = floor_div(t, 1000);
  tm out{};
  gmtime_r(&seconds, &out);
  return out;
}

// A cursor over fixed-width digits.
struct Digits {
  std::string_view text;
  bool good = true;
  int take(size_t width) {
    int value = 0;
    if (text.size() < width) good = false;
    for (size_t i = 0; good && i < width; ++i) {
      if (text[i] < '0' || text[i] > '9') good = false;
      else value = value * 10 + (text[i] - '0');
    }
    if (good) text.remove_prefix(width);
    return value;
  }
  bool skip(char c) {
    if (text.empty() || text[0] != c) return false;
    text.remove_prefix(1);
    return true;
  }
};

Result<Millis> from_parts(int year, int month, int day, int hour, int minute, int second) {
  tm parts{};
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  parts.tm_hour = hour;
  parts.tm_min = minute;
  parts.tm_sec = second;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
    return error("Invalid", "a date or time that does not exist");
  }
  const time_t seconds = timegm(&parts);
  if (parts.tm_mday != day) return error("Invalid", "a date that does not exist");
  return Millis{seconds} * 1000;
}

}  // namespace

Clock& Clock::system() {
  static SystemClock clock;
  return clock;
}

std::string iso8601(Millis t) {
  const tm p = broken_down(t);
  const Millis fraction = t - floor_div(t, 1000) * 1000;
  auto out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", p.tm_year + 1900, p.tm_mon + 1, p.tm_mday, p.tm_hour,
                         p.tm_min, p.tm_sec);
  if (fraction != 0) out += fmt::format(".{:03}", fraction);
  return out + "Z";
}

std::string iso8601_basic(Millis t) {
  const tm p = broken_down(t);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", p.tm_year + 1900, p.tm_mon + 1, p.tm_mday, p.tm_hour,
                     p.tm_min, p.tm_sec);
}

std::string http_date(Millis t) {
  const tm p = broken_down(t);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[p.tm_wday], p.tm_mday, kMonths[p.tm_mon],
                     p.tm_year + 1900, p.tm_hour, p.tm_min, p.tm_sec);
}

Result<Millis> parse_iso8601(std::string_view text) {
  Digits d{text};
  const int year = d.take(4);
  const bool basic = !d.skip('-');
  const int month = d.take(2);
  if (!basic && !d.skip('-')) d.good = false;
  const int day = d.take(2);
  int hour = 0, minute = 0, second = 0;
  Millis fraction = 0, offset = 0;
  if (d.good && !d.text.empty()) {
    if (!d.skip('T') && !d.skip(' ')) d.good = false;
    hour = d.take(2);
    if (!basic && !d.skip(':')) d.good = false;
    minute = d.take(2);
    if (basic || d.skip(':')) second = d.take(2);
    if (d.skip('.')) {
      Millis scale = 100;
      while (!d.text.empty() && d.text[0] >= '0' && d.text[0] <= '9') {
        fraction += (d.text[0] - '0') * scale;
        scale /= 10;
        d.text.remove_prefix(1);
      }
    }
    if (!d.text.empty() && (d.text[0] == '+' || d.text[0] == '-')) {
      const int sign = d.text[0] == '+' ? 1 : -1;
      d.text.remove_prefix(1);
      const int hours = d.take(2);
      d.skip(':');
      offset = sign * (hours * kHour + d.take(2) * kMinute);
    } else {
      d.skip('Z');
    }
  }
  if (!d.good || !d.text.empty()) return error("Invalid", "not an ISO 8601 time: " + std::string(text));
  return TRY(from_parts(year, month, day, hour, minute, second)) + fraction - offset;
}

// https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7 (IMF-fixdate only)
Result<Millis> parse_http_date(std::string_view text) {
  const auto bad = [&] { return error("Invalid", "not an HTTP date: " + std::string(text)); };
  if (text.size() != 29 || text.substr(3, 2) != ", " || !text.ends_with(" GMT")) return bad();
  int month = 0;
  for (int i = 0; i < 12; ++i) {
    if (text.substr(8, 3) == kMonths[i]) month = i + 1;
  }
  Digits day{text.substr(5, 2)}, year{text.substr(12, 4)}, hour{text.substr(17, 2)}, minute{text.substr(20, 2)},
      second{text.substr(23, 2)};
  const int d = day.take(2), y = year.take(4), h = hour.take(2), m = minute.take(2), s = second.take(2);
  if (month == 0 || !day.good || !year.good || !hour.good || !minute.good || !second.good) return bad();
  return from_parts(y, month, d, h, m, s);
}

std::string human_duration(Millis d) {
  if (d < kSecond) return fmt::format("{} ms", d);
  if (d < kMinute) return fmt::format("{:.1f} s", static_cast<double>(d) / 1000);
  if (d < kHour) return fmt::format("{} min {} s", d / kMinute, d % kMinute / kSecond);
  return fmt::format("{} h {} min", d / kHour, d % kHour / kMinute);
}

}  // namespace bastide
