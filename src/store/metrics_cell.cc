#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "store/metrics.h"

namespace bastide::store {
namespace {

constexpr double kStep = 1.01;  // ratio of neighbouring buckets: a value is off by at most half a per cent

double rounded(double v) {
  if (v == 0) return 0;
  const double bucket = std::round(std::log(std::fabs(v)) / std::log(kStep));
  return std::copysign(std::pow(kStep, bucket), v);
}

using Values = std::vector<std::pair<double, double>>;

Values values_of(const MetricCell& c) {
  if (!c.values.empty()) return c.values;
  return {{c.min, c.count}};
}

Values united(const Values& a, const Values& b) {
  Values out;
  out.reserve(a.size() + b.size());
  size_t i = 0, k = 0;
  while (i < a.size() || k < b.size()) {
    const bool left = k == b.size() || (i < a.size() && a[i].first <= b[k].first);
    const auto& next = left ? a[i++] : b[k++];
    if (!out.empty() && out.back().first == next.first) {
      out.back().second += next.second;
    } else {
      out.push_back(next);
    }
  }
  return out;
}

Values sketched(const Values& values) {
  Values out;
  for (const auto& [v, n] : values) {
    const double r = rounded(v);
    if (!out.empty() && out.back().first == r) {
      out.back().second += n;
    } else {
      out.emplace_back(r, n);
    }
  }
  return out;
}

void put(std::string& out, std::string_view part) {
  for (const char c : part) {
    if (c == '\\' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  out += '\n';
}

}  // namespace

MetricCell MetricCell::of(Millis time, double value, double count, int32_t resolution) {
  MetricCell c;
  c.time = time;
  c.resolution = resolution;
  c.count = count;
  c.sum = value * count;
  c.min = c.max = value;
  return c;
}

void MetricCell::merge(const MetricCell& o) {
  if (o.count == 0) return;
  if (count == 0) {
    const Millis t = time;
    const int32_t r = resolution;
    *this = o;
    time = t;
    resolution = r;
    return;
  }
  if (!raw || !o.raw) {
    raw = false;
    Values().swap(values);
  } else if (min != o.min || max != o.max || min != max) {
    auto all = united(values_of(*this), values_of(o));
    if (all.size() > kExactValues) all = sketched(all);
    values = std::move(all);
  }
  count += o.count;
  sum += o.sum;
  min = std::min(min, o.min);
  max = std::max(max, o.max);
}

std::string MetricName::key() const {
  std::string out;
  for (const auto* part : {&account, &region, &space, &name, &unit}) put(out, *part);
  for (const auto& [k, v] : dimensions) {
    put(out, k);
    put(out, v);
  }
  return out;
}

Result<MetricName> MetricName::from_key(std::string_view key) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] == '\n') {
      parts.emplace_back();
    } else if (key[i] == '\\' && i + 1 < key.size()) {
      ++i;
      parts.back() += key[i] == 'n' ? '\n' : key[i];
    } else {
      parts.back() += key[i];
    }
  }
  if (parts.size() < 6 || parts.size() % 2 != 0) return error("Invalid", "a damaged name of a metric");
  MetricName out{parts[0], parts[1], parts[2], parts[3], {}, parts[4]};
  for (size_t i = 5; i + 1 < parts.size(); i += 2) out.dimensions.emplace_back(parts[i], parts[i + 1]);
  return out;
}

}  // namespace bastide::store
