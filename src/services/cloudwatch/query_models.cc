// Metrics Insights and the anomaly band.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "base/bytes.h"
#include "services/cloudwatch/query.h"

namespace bastide::services::cw {
namespace {

constexpr Millis kLearning = 14 * kDay;  // how far back the band learns
constexpr int64_t kBandPeriod = 300;     // and in what steps

Error bad(const std::string& why) { return fault("ValidationError", "Metrics Insights: " + why); }

struct Select {
  std::string statistic, metric, space;
  std::vector<std::string> schema;
  bool has_schema = false;
  struct Condition {
    std::string key, value;
    bool equal = true;
  };
  std::vector<Condition> where;
  std::vector<std::string> group;
  std::string order;
  bool descending = false;
  size_t limit = 500;
};

// SELECT F(metric) FROM space | SCHEMA(space, dimension...) [WHERE k = 'v' AND ...] [GROUP BY k, ...]
// [ORDER BY F() [ASC|DESC]] [LIMIT n]
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) { next(); }

  Result<Select> read() {
    Select s;
    if (!word("SELECT")) return bad("SELECT expected");
    s.statistic = upper(take());
    if (!symbol("(")) return bad("( expected after the function");
    s.metric = take();
    if (!symbol(")") || !word("FROM")) return bad("FROM expected");
    if (upper(token_) == "SCHEMA" && !quoted_) {
      next();
      s.has_schema = true;
      if (!symbol("(")) return bad("( expected after SCHEMA");
      s.space = take();
      while (symbol(",")) s.schema.push_back(take());
      if (!symbol(")")) return bad(") expected after SCHEMA");
      std::sort(s.schema.begin(), s.schema.end());
    } else {
      s.space = take();
    }
    if (word("WHERE")) {
      do {
        Select::Condition c;
        c.key = take();
        if (symbol("!")) c.equal = false;
        if (!symbol("=")) return bad("= or != expected");
        c.value = take();
        s.where.push_back(std::move(c));
      } while (word("AND"));
    }
    if (word("GROUP")) {
      if (!word("BY")) return bad("BY expected after GROUP");
      do {
        s.group.push_back(take());
      } while (symbol(","));
    }
    if (word("ORDER")) {
      if (!word("BY")) return bad("BY expected after ORDER");
      s.order = upper(take());
      if (!symbol("(") || !symbol(")")) return bad("() expected after the function of ORDER BY");
      s.descending = word("DESC");
      if (!s.descending) (void)word("ASC");
    }
    if (word("LIMIT")) {
      const auto n = parse_int(take());
      if (!n || *n < 1 || *n > 500) return bad("LIMIT is a number from 1 to 500");
      s.limit = static_cast<size_t>(*n);
    }
    if (!token_.empty()) return bad("unexpected '" + token_ + "'");
    return s;
  }

 private:
  static std::string upper(std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::toupper(c); });
    return s;
  }
  void next() {
    token_.clear();
    quoted_ = false;
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    if (at_ == text_.size()) return;
    const char c = text_[at_];
    if (c == '\'' || c == '"') {
      quoted_ = true;
      for (++at_; at_ < text_.size() && text_[at_] != c; ++at_) token_ += text_[at_];
      ++at_;
      return;
    }
    if (std::string_view("(),=!").find(c) != std::string_view::npos) {
      token_ = c;
      ++at_;
      return;
    }
    while (at_ < text_.size() && !std::isspace(static_cast<unsigned char>(text_[at_])) &&
           std::string_view("(),=!'\"").find(text_[at_]) == std::string_view::npos) {
      token_ += text_[at_++];
    }
  }
  std::string take() {
    std::string out = token_;
    next();
    return out;
  }
  bool word(std::string_view w) {
    if (quoted_ || upper(token_) != w) return false;
    next();
    return true;
  }
  bool symbol(std::string_view s) {
    if (quoted_ || token_ != s) return false;
    next();
    return true;
  }
  std::string_view text_;
  size_t at_ = 0;
  std::string token_;
  bool quoted_ = false;
};

std::string dimension_of(const store::MetricName& n, const std::string& key) {
  if (key == "MetricName") return n.name;
  for (const auto& [k, v] : n.dimensions) {
    if (k == key) return v;
  }
  return "";
}

}  // namespace

Result<Value> QueryEngine::insights(const std::string& text, int64_t period) {
  Reader reader(text);
  const Select s = TRY(reader.read());
  static const std::map<std::string, std::string> names = {
      {"AVG", "Average"}, {"SUM", "Sum"}, {"MIN", "Minimum"}, {"MAX", "Maximum"}, {"COUNT", "SampleCount"}};
  const auto name = names.find(s.statistic);
  if (name == names.end()) return bad("the function is AVG, COUNT, MAX, MIN or SUM");
  const auto statistic = TRY(Statistic::parse(name->second));
  const auto listed = metrics_.list(scope_.account, scope_.region, [&](const store::MetricName& n) {
    if (n.name != s.metric || n.space != s.space) return false;
    if (s.has_schema) {
      if (n.dimensions.size() != s.schema.size()) return false;
      for (size_t i = 0; i < s.schema.size(); ++i) {
        if (n.dimensions[i].first != s.schema[i]) return false;
      }
    }
    return std::all_of(s.where.begin(), s.where.end(),
                       [&](const auto& c) { return (dimension_of(n, c.key) == c.value) == c.equal; });
  });
  std::map<std::vector<std::string>, std::map<Millis, store::MetricCell>> groups;
  const Millis start = rounded_start(scope_.start, period, scope_.now);
  for (const auto& [metric, last] : listed) {
    if (last < scope_.start) continue;
    std::vector<std::string> key;
    for (const auto& g : s.group) key.push_back(dimension_of(metric, g));
    auto& group = groups[key];
    for (const auto& row : TRY(metrics_.read(metric, start, scope_.end, period))) {
      for (const auto& c : row.cells) {
        auto& cell = group[c.time];
        cell.time = c.time;
        cell.merge(c);
      }
    }
  }
  std::vector<Series> all;
  for (const auto& [key, cells] : groups) {
    Series out;
    out.period = period;
    out.label = key.empty() ? s.metric : join(key, " ");
    for (const auto& [t, c] : cells) {
      if (const auto v = statistic.of(c)) out.points.emplace_back(t, *v);
    }
    if (!out.points.empty()) all.push_back(std::move(out));
  }
  if (!s.order.empty()) {
    auto rank = [&](const Series& x) {
      double sum = 0, low = INFINITY, high = -INFINITY;
      for (const auto& [t, v] : x.points) {
        sum += v;
        low = std::min(low, v);
        high = std::max(high, v);
      }
      if (s.order == "MIN") return low;
      if (s.order == "MAX") return high;
      if (s.order == "COUNT") return static_cast<double>(x.points.size());
      return s.order == "SUM" ? sum : sum / static_cast<double>(x.points.size());
    };
    std::stable_sort(all.begin(), all.end(), [&](const Series& a, const Series& b) {
      return s.descending ? rank(a) > rank(b) : rank(a) < rank(b);
    });
  }
  if (all.size() > s.limit) all.resize(s.limit);
  return Value::of(std::move(all));
}

// Our own model, simple enough to be foretold: the mean and the standard deviation of the metric over the
// last two weeks at the same time of day (an hour around it), or of all of it while there are fewer than two
// days.
Result<Value> QueryEngine::band(const Series& s, double width) {
  if (!s.whole_metric) return math_error("ANOMALY_DETECTION_BAND takes a metric, not an expression");
  const auto at = queries_.find(s.id);
  if (at == queries_.end()) return math_error("ANOMALY_DETECTION_BAND takes a metric of this request");
  const json::Value* stat = at->second->find("MetricStat");
  auto name = TRY(metric_name(scope_, *stat->find("Metric")));
  name.unit = stat->get("Unit");
  const auto statistic = TRY(Statistic::parse(stat->get("Stat")));
  const int64_t period = std::max(s.period, kBandPeriod);
  const Millis from = scope_.start - kLearning;
  struct Moments {
    double n = 0, sum = 0, squares = 0;
    void add(double v) {
      n += 1;
      sum += v;
      squares += v * v;
    }
  };
  std::map<int64_t, Moments> hours;
  Moments all;
  Millis first = INT64_MAX, last = 0;
  for (const auto& row : TRY(metrics_.read(name, from - from % (period * kSecond), scope_.end, period))) {
    for (const auto& c : row.cells) {
      auto v = statistic.of(c);
      if (!v) continue;
      if ((statistic.text() == "Sum" || statistic.text() == "SampleCount") && s.period < period)
        *v *= static_cast<double>(s.period) / static_cast<double>(period);
      all.add(*v);
      const int64_t hour = c.time / kHour % 24;
      for (const int64_t near : {hour + 23, hour, hour + 1}) hours[near % 24].add(*v);
      first = std::min(first, c.time);
      last = std::max(last, c.time);
    }
  }
  const bool daily = last - first >= 2 * kDay;
  Series low{"", s.label + " lower", s.period, {}, {}, false},
      high{"", s.label + " upper", s.period, {}, {}, false};
  for (const auto& [t, v] : s.points) {
    const Moments& m = daily ? hours[t / kHour % 24] : all;
    if (m.n < 3) continue;
    const double mean = m.sum / m.n, deviation = std::sqrt(std::max(0.0, m.squares / m.n - mean * mean));
    low.points.emplace_back(t, mean - width * deviation);
    high.points.emplace_back(t, mean + width * deviation);
  }
  return Value::of(std::vector<Series>{std::move(low), std::move(high)});
}

}  // namespace bastide::services::cw
