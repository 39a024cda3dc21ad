#include "services/cloudwatch/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "base/bytes.h"

namespace bastide::services::cw {
namespace {

Error invalid(std::string_view text) {
  return fault("InvalidParameterValue",
               "The value " + std::string(text) + " for parameter Statistic is not supported.");
}

std::optional<double> number(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double v = std::strtod(copy.c_str(), &end);
  if (copy.empty() || *end != '\0' || !std::isfinite(v)) return std::nullopt;
  return v;
}

using Values = std::vector<std::pair<double, double>>;

// The value at a rank of per cent: the smallest that at least so many are not above.
double at_percent(const Values& values, double count, double percent) {
  const double rank = std::max(1.0, std::ceil(count * percent / 100 - 1e-9));
  double seen = 0;
  for (const auto& [v, n] : values) {
    seen += n;
    if (seen >= rank) return v;
  }
  return values.back().first;
}

struct Part {
  double count = 0, sum = 0;
};

// What lies above `low` per cent and up to `high` per cent of the samples.
Part between_percents(const Values& values, double count, double low, double high) {
  const double from = std::ceil(count * low / 100 - 1e-9), to = std::ceil(count * high / 100 - 1e-9);
  Part p;
  double seen = 0;
  for (const auto& [v, n] : values) {
    const double take = std::max(0.0, std::min(seen + n, to) - std::max(seen, from));
    p.count += take;
    p.sum += take * v;
    seen += n;
  }
  return p;
}

}  // namespace

Result<Statistic> Statistic::parse(std::string_view text) {
  Statistic s;
  s.text_ = text;
  const std::pair<std::string_view, Kind> plain[] = {{"SampleCount", Kind::count},
                                                     {"Sum", Kind::sum},
                                                     {"Average", Kind::average},
                                                     {"Minimum", Kind::minimum},
                                                     {"Maximum", Kind::maximum}};
  for (const auto& [name, kind] : plain) {
    if (text != name) continue;
    s.kind_ = kind;
    return s;
  }
  const std::string lowered = lower(text);
  if (lowered == "iqm") {
    s.kind_ = Kind::mean;
    s.low_ = 25;
    s.high_ = 75;
    return s;
  }
  const std::pair<std::string_view, Kind> words[] = {{"tm", Kind::mean},
                                                     {"tc", Kind::samples},
                                                     {"ts", Kind::total},
                                                     {"wm", Kind::winsorized},
                                                     {"pr", Kind::share}};
  if (lowered.size() > 1 && lowered[0] == 'p' && lowered[1] != 'r') {
    const auto p = number(text.substr(1));
    if (!p || *p < 0 || *p > 100) return invalid(text);
    s.kind_ = Kind::percentile;
    s.low_ = *p;
    return s;
  }
  for (const auto& [word, kind] : words) {
    if (!lowered.starts_with(word)) continue;
    s.kind_ = kind;
    std::string_view rest = text.substr(2);
    if (!rest.starts_with("(")) {  // tm99 is TM(:99%)
      const auto p = number(rest);
      if (!p || *p < 0 || *p > 100 || kind == Kind::share) return invalid(text);
      s.high_ = *p;
      return s;
    }
    if (!rest.ends_with(")")) return invalid(text);
    rest = rest.substr(1, rest.size() - 2);
    const size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return invalid(text);
    auto a = trim(rest.substr(0, colon)), b = trim(rest.substr(colon + 1));
    if (a.empty() && b.empty()) return invalid(text);
    const bool percents = a.ends_with("%") || b.ends_with("%");
    if (percents && ((!a.empty() && !a.ends_with("%")) || (!b.empty() && !b.ends_with("%"))))
      return invalid(text);
    if (percents && kind == Kind::share) return invalid(text);
    if (a.ends_with("%")) a.remove_suffix(1);
    if (b.ends_with("%")) b.remove_suffix(1);
    s.fixed_ = !percents;
    s.open_low_ = a.empty();
    s.open_high_ = b.empty();
    const auto low = a.empty() ? std::optional<double>(0) : number(a);
    const auto high = b.empty() ? std::optional<double>(100) : number(b);
    if (!low || !high) return invalid(text);
    if (percents && (*low < 0 || *high > 100 || *low > *high)) return invalid(text);
    if (!percents && !s.open_low_ && !s.open_high_ && *low > *high) return invalid(text);
    s.low_ = *low;
    s.high_ = *high;
    return s;
  }
  return invalid(text);
}

std::optional<double> Statistic::of(const store::MetricCell& c) const {
  switch (kind_) {
    case Kind::count:
      return c.count;
    case Kind::sum:
      return c.sum;
    case Kind::average:
      return c.count == 0 ? std::nullopt : std::optional(c.sum / c.count);
    case Kind::minimum:
      return c.min;
    case Kind::maximum:
      return c.max;
    default:
      break;
  }
  if (!c.raw || c.count == 0 || c.min < 0) return std::nullopt;
  const Values values = c.values.empty() ? Values{{c.min, c.count}} : c.values;
  double count = 0;
  for (const auto& v : values) count += v.second;
  if (kind_ == Kind::percentile) {
    if (low_ == 0) return c.min;
    if (low_ == 100) return c.max;
    return std::clamp(at_percent(values, count, low_), c.min, c.max);
  }
  Part inside;
  double lowest = 0, highest = 0;
  if (fixed_) {  // exclusive below, inclusive above
    for (const auto& [v, n] : values) {
      if ((!open_low_ && v <= low_) || (!open_high_ && v > high_)) continue;
      if (inside.count == 0) lowest = v;
      highest = v;
      inside.count += n;
      inside.sum += v * n;
    }
  } else {
    inside = between_percents(values, count, low_, high_);
    lowest = at_percent(values, count, low_ + 1e-7);
    highest = at_percent(values, count, high_);
  }
  switch (kind_) {
    case Kind::mean:
      return inside.count == 0 ? std::nullopt : std::optional(inside.sum / inside.count);
    case Kind::samples:
      return inside.count;
    case Kind::total:
      return inside.sum;
    case Kind::share:
      return 100 * inside.count / count;
    case Kind::winsorized: {  // what is outside counts as the bound
      double sum = 0;
      const double low = fixed_ && !open_low_ ? low_ : lowest, high = fixed_ && !open_high_ ? high_ : highest;
      for (const auto& [v, n] : values) sum += std::clamp(v, std::min(low, high), std::max(low, high)) * n;
      return sum / count;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace bastide::services::cw
