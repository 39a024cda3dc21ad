#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <map>
#include <optional>

#include "services/cloudwatch/math_node.h"

namespace bastide::services::cw {
namespace {

using Kind = Value::Kind;
using Arguments = std::vector<Value>;

Error wrong(const std::string& name, const std::string& why) { return math_error(name + " " + why); }

std::optional<double> apply(const std::string& op, double a, double b) {
  double v = 0;
  if (op == "+")
    v = a + b;
  else if (op == "-")
    v = a - b;
  else if (op == "*")
    v = a * b;
  else if (op == "/")
    v = a / b;
  else if (op == "^")
    v = std::pow(a, b);
  else if (op == "==")
    v = a == b;
  else if (op == "!=")
    v = a != b;
  else if (op == "<")
    v = a < b;
  else if (op == ">")
    v = a > b;
  else if (op == "<=")
    v = a <= b;
  else if (op == ">=")
    v = a >= b;
  else if (op == "&&")
    v = a != 0 && b != 0;
  else
    v = a != 0 || b != 0;
  if (!std::isfinite(v)) return std::nullopt;  // a division by zero leaves no point
  return v;
}

Series per_point(const Series& s, const std::function<std::optional<double>(const Point&)>& f) {
  Series out{s.id, s.label, s.period, {}, {}, false};
  for (const auto& p : s.points) {
    if (const auto v = f(p); v && std::isfinite(*v)) out.points.emplace_back(p.first, *v);
  }
  return out;
}

// Where only one of both has a point, the other counts as 0.
Series join(const std::string& op, const Series& a, const Series& b) {
  Series out{"", a.label + " " + op + " " + b.label, std::max(a.period, b.period), {}, {}, false};
  size_t i = 0, k = 0;
  while (i < a.points.size() || k < b.points.size()) {
    const bool has_a =
        i < a.points.size() && (k == b.points.size() || a.points[i].first <= b.points[k].first);
    const bool has_b =
        k < b.points.size() && (i == a.points.size() || b.points[k].first <= a.points[i].first);
    const Millis t = has_a ? a.points[i].first : b.points[k].first;
    if (const auto v = apply(op, has_a ? a.points[i].second : 0, has_b ? b.points[k].second : 0))
      out.points.emplace_back(t, *v);
    i += has_a;
    k += has_b;
  }
  return out;
}

using Reduce = std::function<double(const std::vector<double>&)>;

double deviation(const std::vector<double>& all) {
  double sum = 0, squares = 0;
  for (const double v : all) sum += v;
  const double m = sum / static_cast<double>(all.size());
  for (const double v : all) squares += (v - m) * (v - m);
  return std::sqrt(squares / static_cast<double>(all.size()));
}

const std::map<std::string, Reduce>& reductions() {
  static const std::map<std::string, Reduce> all = {
      {"AVG",
       [](const auto& v) {
         double s = 0;
         for (const double x : v) s += x;
         return s / static_cast<double>(v.size());
       }},
      {"SUM",
       [](const auto& v) {
         double s = 0;
         for (const double x : v) s += x;
         return s;
       }},
      {"MIN", [](const auto& v) { return *std::min_element(v.begin(), v.end()); }},
      {"MAX", [](const auto& v) { return *std::max_element(v.begin(), v.end()); }},
      {"STDDEV", deviation},
      {"DATAPOINT_COUNT", [](const auto& v) { return static_cast<double>(v.size()); }}};
  return all;
}

// Of one series, a number; of an array, the series over time.
Result<Value> reduced(const std::string& name, const Reduce& f, const Arguments& a) {
  if (a.size() != 1) return wrong(name, "takes one argument");
  if (a[0].kind == Kind::number) return Value::of(f({a[0].number}));
  if (a[0].kind == Kind::text) return wrong(name, "takes time series");
  if (a[0].kind == Kind::series) {
    std::vector<double> values;
    for (const auto& p : a[0].list[0].points) values.push_back(p.second);
    if (values.empty()) return Value::of(0);
    return Value::of(f(values));
  }
  std::map<Millis, std::vector<double>> columns;
  Series out{"", name, 60, {}, {}, false};
  for (const auto& s : a[0].list) {
    out.period = std::max(out.period, s.period);
    for (const auto& p : s.points) columns[p.first].push_back(p.second);
  }
  for (const auto& [t, values] : columns) out.points.emplace_back(t, f(values));
  return Value::of(std::move(out));
}

Result<Value> mapped(const std::string& name, const Arguments& a,
                     const std::function<Series(const Series&)>& f,
                     const std::function<double(double)>& number = {}) {
  if (a.empty()) return wrong(name, "takes an argument");
  if (a[0].kind == Kind::number && number) {
    const double v = number(a[0].number);
    if (!std::isfinite(v)) return wrong(name, "has no value here");
    return Value::of(v);
  }
  if (a[0].kind == Kind::number || a[0].kind == Kind::text) return wrong(name, "takes time series");
  Value out = a[0];
  for (auto& s : out.list) s = f(s);
  return out;
}

Result<Value> pointwise(const std::string& name, const Arguments& a, double (*f)(double)) {
  return mapped(
      name, a, [&](const Series& s) { return per_point(s, [&](const Point& p) { return f(p.second); }); }, f);
}

Series filled(const Series& s, const Value& how, const MathContext& c) {
  Series out{s.id, s.label, s.period, {}, {}, false};
  const Millis step = s.period * kSecond;
  std::map<Millis, double> known(s.points.begin(), s.points.end());
  Millis first = c.start;
  if (!s.points.empty()) first = s.points.front().first - (s.points.front().first - c.start) / step * step;
  for (Millis t = first; t < c.end && out.points.size() < 100'800; t += step) {
    if (const auto it = known.find(t); it != known.end()) {
      out.points.emplace_back(t, it->second);
    } else if (how.kind == Kind::number) {
      out.points.emplace_back(t, how.number);
    } else {
      const auto after = known.upper_bound(t);
      if (after == known.begin()) continue;  // nothing to repeat yet
      const auto before = std::prev(after);
      if (how.text == "REPEAT") {
        out.points.emplace_back(t, before->second);
      } else if (after != known.end()) {
        const double part =
            static_cast<double>(t - before->first) / static_cast<double>(after->first - before->first);
        out.points.emplace_back(t, before->second + (after->second - before->second) * part);
      }
    }
  }
  return out;
}

Result<Value> fill(const Arguments& a, const MathContext& c) {
  if (a.size() != 2 || a[0].list.empty()) {
    if (a.size() == 2 && a[0].kind == Kind::array) return Value::of(std::vector<Series>{});
    return wrong("FILL", "takes time series and a number, REPEAT or LINEAR");
  }
  if (a[1].kind == Kind::series) {  // another metric's points where the first has none
    Value out = a[0];
    for (auto& s : out.list) {
      std::map<Millis, double> all(a[1].list[0].points.begin(), a[1].list[0].points.end());
      for (const auto& p : s.points) all[p.first] = p.second;
      s.points.assign(all.begin(), all.end());
    }
    return out;
  }
  if (a[1].kind == Kind::text && a[1].text != "REPEAT" && a[1].text != "LINEAR")
    return wrong("FILL", "fills with a number, REPEAT or LINEAR");
  return mapped("FILL", a, [&](const Series& s) { return filled(s, a[1], c); });
}

Series differences(const Series& s, const std::function<double(const Point&, const Point&)>& f) {
  Series out{s.id, s.label, s.period, {}, {}, false};
  for (size_t i = 1; i < s.points.size(); ++i)
    out.points.emplace_back(s.points[i].first, f(s.points[i - 1], s.points[i]));
  return out;
}

Result<Value> choose(const Arguments& a) {
  if (a.size() != 2 && a.size() != 3) return wrong("IF", "takes a condition, a value and another value");
  for (const auto& v : a) {
    if (v.kind == Kind::text || v.kind == Kind::array)
      return wrong("IF", "takes numbers and single time series");
  }
  if (a[0].kind == Kind::number) {
    if (a[0].number != 0) return a[1];
    return a.size() == 3 ? a[2] : Value::of(Series{});
  }
  const Series& condition = a[0].list[0];
  auto at = [](const Value& v, Millis t) -> std::optional<double> {
    if (v.kind == Kind::number) return v.number;
    const auto& points = v.list[0].points;
    const auto it = std::lower_bound(points.begin(), points.end(), t,
                                     [](const Point& p, Millis x) { return p.first < x; });
    if (it == points.end() || it->first != t) return std::nullopt;
    return it->second;
  };
  return Value::of(per_point(condition, [&](const Point& p) -> std::optional<double> {
    if (p.second != 0) return at(a[1], p.first);
    return a.size() == 3 ? at(a[2], p.first) : std::nullopt;
  }));
}

std::tm calendar(Millis t) {
  const time_t seconds = static_cast<time_t>(t / kSecond);
  std::tm out{};
  ::gmtime_r(&seconds, &out);
  return out;
}

Result<Value> calendar_part(const std::string& name, const Arguments& a) {
  const std::map<std::string, double (*)(Millis)> parts = {
      {"MINUTE", [](Millis t) { return static_cast<double>(calendar(t).tm_min); }},
      {"HOUR", [](Millis t) { return static_cast<double>(calendar(t).tm_hour); }},
      {"DAY", [](Millis t) { return static_cast<double>((calendar(t).tm_wday + 6) % 7 + 1); }},
      {"DATE", [](Millis t) { return static_cast<double>(calendar(t).tm_mday); }},
      {"MONTH", [](Millis t) { return static_cast<double>(calendar(t).tm_mon + 1); }},
      {"YEAR", [](Millis t) { return static_cast<double>(calendar(t).tm_year + 1900); }},
      {"EPOCH", [](Millis t) { return static_cast<double>(t / kSecond); }}};
  const auto part = parts.at(name);
  return mapped(name, a,
                [&](const Series& s) { return per_point(s, [&](const Point& p) { return part(p.first); }); });
}

double order_of(const Series& s, const std::string& by) {
  std::vector<double> values;
  for (const auto& p : s.points) values.push_back(p.second);
  if (values.empty()) return -INFINITY;
  const auto it = reductions().find(by);
  return it == reductions().end() ? values.back() : it->second(values);
}

Result<Value> sorted(const Arguments& a) {
  if (a.size() < 3 || a.size() > 4 || a[0].kind != Kind::array || a[1].kind != Kind::text ||
      a[2].kind != Kind::text)
    return wrong("SORT", "takes an array, AVG, MIN, MAX or SUM, ASC or DESC, and a limit");
  Value out = a[0];
  const bool descending = a[2].text == "DESC";
  std::stable_sort(out.list.begin(), out.list.end(), [&](const Series& x, const Series& y) {
    const double l = order_of(x, a[1].text), r = order_of(y, a[1].text);
    return descending ? l > r : l < r;
  });
  if (a.size() == 4)
    out.list.resize(std::min(out.list.size(), static_cast<size_t>(std::max(0.0, a[3].number))));
  return out;
}

Result<Value> sliced(const Arguments& a) {
  if (a.empty() || a.size() > 3 || a[0].kind != Kind::array)
    return wrong("SLICE", "takes an array and one or two positions");
  const auto size = static_cast<double>(a[0].list.size());
  const double from = a.size() > 1 ? std::clamp(a[1].number, 0.0, size) : 0;
  const double to = a.size() > 2   ? std::clamp(a[2].number, from, size)
                    : a.size() > 1 ? std::min(from + 1, size)
                                   : size;
  std::vector<Series> out(a[0].list.begin() + static_cast<ptrdiff_t>(from),
                          a[0].list.begin() + static_cast<ptrdiff_t>(to));
  if (a.size() == 2 && out.size() == 1) return Value::of(std::move(out[0]));
  return Value::of(std::move(out));
}

using Function = std::function<Result<Value>(Arguments&, const MathContext&)>;

const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> all = [] {
    std::map<std::string, Function> f;
    for (const auto& [name, reduce] : reductions()) {
      f[name] = [n = name, r = reduce](Arguments& a, const MathContext&) { return reduced(n, r, a); };
    }
    f["ABS"] = [](Arguments& a, const MathContext&) { return pointwise("ABS", a, std::fabs); };
    f["CEIL"] = [](Arguments& a, const MathContext&) { return pointwise("CEIL", a, std::ceil); };
    f["FLOOR"] = [](Arguments& a, const MathContext&) { return pointwise("FLOOR", a, std::floor); };
    f["LOG"] = [](Arguments& a, const MathContext&) { return pointwise("LOG", a, std::log); };
    f["LOG10"] = [](Arguments& a, const MathContext&) { return pointwise("LOG10", a, std::log10); };
    f["FILL"] = fill;
    f["IF"] = [](Arguments& a, const MathContext&) { return choose(a); };
    f["SORT"] = [](Arguments& a, const MathContext&) { return sorted(a); };
    f["SLICE"] = [](Arguments& a, const MathContext&) { return sliced(a); };
    f["DIFF"] = [](Arguments& a, const MathContext&) {
      return mapped("DIFF", a, [](const Series& s) {
        return differences(s, [](const Point& x, const Point& y) { return y.second - x.second; });
      });
    };
    f["DIFF_TIME"] = [](Arguments& a, const MathContext&) {
      return mapped("DIFF_TIME", a, [](const Series& s) {
        return differences(s, [](const Point& x, const Point& y) {
          return static_cast<double>(y.first - x.first) / kSecond;
        });
      });
    };
    f["RATE"] = [](Arguments& a, const MathContext&) {
      return mapped("RATE", a, [](const Series& s) {
        return differences(s, [](const Point& x, const Point& y) {
          return (y.second - x.second) * kSecond / static_cast<double>(y.first - x.first);
        });
      });
    };
    f["RUNNING_SUM"] = [](Arguments& a, const MathContext&) {
      return mapped("RUNNING_SUM", a, [](const Series& s) {
        double sum = 0;
        return per_point(s, [&](const Point& p) { return sum += p.second; });
      });
    };
    f["FIRST"] = f["LAST"] = nullptr;
    for (const char* name : {"FIRST", "LAST"}) {
      f[name] = [name](Arguments& a, const MathContext&) -> Result<Value> {
        if (a.size() != 1 || a[0].kind != Kind::array || a[0].list.empty())
          return wrong(name, "takes an array of time series");
        return Value::of(std::string_view(name) == "FIRST" ? a[0].list.front() : a[0].list.back());
      };
    }
    f["METRIC_COUNT"] = [](Arguments& a, const MathContext&) -> Result<Value> {
      if (a.size() != 1 || a[0].kind != Kind::array)
        return wrong("METRIC_COUNT", "takes an array of time series");
      return Value::of(static_cast<double>(a[0].list.size()));
    };
    f["PERIOD"] = [](Arguments& a, const MathContext&) -> Result<Value> {
      if (a.size() != 1 || a[0].kind != Kind::series) return wrong("PERIOD", "takes one time series");
      return Value::of(static_cast<double>(a[0].list[0].period));
    };
    f["REMOVE_EMPTY"] = [](Arguments& a, const MathContext&) -> Result<Value> {
      if (a.size() != 1 || a[0].kind != Kind::array)
        return wrong("REMOVE_EMPTY", "takes an array of time series");
      std::erase_if(a[0].list, [](const Series& s) { return s.points.empty(); });
      return std::move(a[0]);
    };
    f["TIME_SERIES"] = [](Arguments& a, const MathContext& c) -> Result<Value> {
      if (a.size() != 1 || a[0].kind != Kind::number) return wrong("TIME_SERIES", "takes a number");
      Series s{"", "TIME_SERIES", c.period, {}, {}, false};
      for (Millis t = c.start; t < c.end && s.points.size() < 100'800; t += c.period * kSecond)
        s.points.emplace_back(t, a[0].number);
      return Value::of(std::move(s));
    };
    f["METRICS"] = [](Arguments& a, const MathContext& c) -> Result<Value> {
      if (a.size() > 1 || (a.size() == 1 && a[0].kind != Kind::text))
        return wrong("METRICS", "takes a part of an id");
      return c.metrics(a.empty() ? "" : a[0].text);
    };
    f["SEARCH"] = [](Arguments& a, const MathContext& c) -> Result<Value> {
      if (a.size() < 2 || a.size() > 3 || a[0].kind != Kind::text || a[1].kind != Kind::text)
        return wrong("SEARCH", "takes a search, a statistic and a period");
      return c.search(a[0].text, a[1].text, a.size() == 3 ? static_cast<int64_t>(a[2].number) : c.period);
    };
    f["ANOMALY_DETECTION_BAND"] = [](Arguments& a, const MathContext& c) -> Result<Value> {
      if (a.empty() || a.size() > 2 || a[0].kind != Kind::series)
        return wrong("ANOMALY_DETECTION_BAND", "takes one metric and a number");
      return c.band(a[0].list[0], a.size() == 2 ? a[1].number : 2);
    };
    for (const char* name : {"MINUTE", "HOUR", "DAY", "DATE", "MONTH", "YEAR", "EPOCH"}) {
      f[name] = [name](Arguments& a, const MathContext&) { return calendar_part(name, a); };
    }
    return f;
  }();
  return all;
}

}  // namespace

bool is_function(const std::string& name) { return functions().contains(name); }

Result<Value> call_function(const std::string& name, std::vector<Value> arguments,
                            const MathContext& context) {
  return functions().at(name)(arguments, context);
}

Result<Value> combine(const std::string& op, const Value& a, const Value& b) {
  if (a.kind == Kind::text || b.kind == Kind::text) return math_error("a text is no operand of " + op);
  if (a.kind == Kind::number && b.kind == Kind::number) {
    const auto v = apply(op, a.number, b.number);
    if (!v) return math_error("a division by zero");
    return Value::of(*v);
  }
  if (a.kind == Kind::number || b.kind == Kind::number) {
    const bool left = a.kind == Kind::number;
    Value out = left ? b : a;
    for (auto& s : out.list) {
      s = per_point(s, [&](const Point& p) {
        return left ? apply(op, a.number, p.second) : apply(op, p.second, b.number);
      });
    }
    return out;
  }
  if (a.kind == Kind::series && b.kind == Kind::series) return Value::of(join(op, a.list[0], b.list[0]));
  if (a.kind == Kind::array && b.kind == Kind::array && a.list.size() != b.list.size())
    return math_error("arrays of different sizes");
  Value out = a.kind == Kind::array ? a : b;
  for (size_t i = 0; i < out.list.size(); ++i) {
    const Series& l = a.kind == Kind::array ? a.list[i] : a.list[0];
    const Series& r = b.kind == Kind::array ? b.list[i] : b.list[0];
    Series joined = join(op, l, r);
    joined.label = out.list[i].label;
    out.list[i] = std::move(joined);
  }
  return out;
}

}  // namespace bastide::services::cw
