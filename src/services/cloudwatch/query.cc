#include "services/cloudwatch/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"

namespace bastide::services::cw {
namespace {

constexpr size_t kMaxQueries = 500;
constexpr size_t kMaxFound = 500;          // metrics of one search
constexpr int64_t kMaxPoints = 2'000'000;  // that one request may read
constexpr int kMaxDepth = 32;

Error bad(const std::string& why) { return fault("ValidationError", why); }

int64_t default_period(Millis start, Millis now) {
  if (now - start > store::kFiveMinuteRetention) return 3600;
  return now - start > store::kMinuteRetention ? 300 : 60;
}

}  // namespace

Result<store::MetricName> metric_name(const Scope& scope, const json::Value& metric) {
  store::MetricName name{
      scope.account, scope.region, metric.get("Namespace"), metric.get("MetricName"), {}, ""};
  if (name.space.empty() || name.name.empty()) return bad("A metric needs Namespace and MetricName");
  for (const auto& d : metric.get_array("Dimensions"))
    name.dimensions.emplace_back(d.get("Name"), d.get("Value"));
  std::sort(name.dimensions.begin(), name.dimensions.end());
  return name;
}

Result<int64_t> checked_period(const json::Value* period) {
  const int64_t p = period != nullptr && period->is_int() ? period->integer() : 0;
  if (p == 1 || p == 5 || p == 10 || p == 20 || p == 30 || (p > 0 && p % 60 == 0)) {
    if (p <= 86'400 * 7) return p;
    return fault("InvalidParameterValue", "The parameter Period must be at most 604800 seconds.");
  }
  return fault("InvalidParameterValue",
               "The parameter Period must be a value in the set [ 1, 5, 10, 20, 30 ], or a multiple of 60.");
}

Millis rounded_start(Millis start, int64_t period, Millis now) {
  Millis step = kMinute;
  if (now - start > store::kFiveMinuteRetention) {
    step = kHour;
  } else if (now - start > store::kMinuteRetention) {
    step = 5 * kMinute;
  } else if (period < 60) {
    step = period * kSecond;
  }
  return start - start % step;
}

Result<std::vector<QueryResult>> QueryEngine::series(const store::MetricName& name,
                                                     const Statistic& statistic, int64_t period) {
  const Millis start = rounded_start(scope_.start, period, scope_.now);
  auto rows = TRY(metrics_.read(name, start, scope_.end, period));
  // Without a unit, the values of all units are one series.
  std::vector<store::MetricCell> cells;
  for (auto& row : rows) {
    if (cells.empty()) {
      cells = std::move(row.cells);
      continue;
    }
    std::vector<store::MetricCell> merged;
    size_t i = 0, k = 0;
    while (i < cells.size() || k < row.cells.size()) {
      if (k == row.cells.size() || (i < cells.size() && cells[i].time < row.cells[k].time)) {
        merged.push_back(std::move(cells[i++]));
      } else if (i == cells.size() || row.cells[k].time < cells[i].time) {
        merged.push_back(std::move(row.cells[k++]));
      } else {
        merged.push_back(std::move(cells[i++]));
        merged.back().merge(row.cells[k++]);
      }
    }
    cells = std::move(merged);
  }
  points_ += static_cast<int64_t>(cells.size());
  if (points_ > kMaxPoints) return fault("LimitExceeded", "The request reads too many datapoints.");
  std::vector<QueryResult> out(1);
  out[0].period = period;
  for (const auto& c : cells) {
    if (const auto v = statistic.of(c); v && std::isfinite(*v)) {
      out[0].points.emplace_back(c.time, *v);
      out[0].sample_counts.push_back(c.count);
    }
  }
  return out;
}

std::string QueryEngine::label(const std::string& text, const store::MetricName& name, const Statistic& stat,
                               const std::vector<Point>& points) const {
  if (text.empty()) return name.name;
  if (text.find("${") == std::string::npos) return text;
  double sum = 0, low = INFINITY, high = -INFINITY;
  for (const auto& [t, v] : points) {
    sum += v;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  auto word = [&](std::string_view key) -> std::string {
    if (key == "LABEL" || key == "PROP('MetricName')") return name.name;
    if (key == "PROP('Namespace')") return name.space;
    if (key == "PROP('Stat')") return stat.text();
    if (key == "PROP('AccountId')") return name.account;
    if (key == "PROP('Region')") return name.region;
    if (key.starts_with("PROP('Dim.") && key.ends_with("')")) {
      const auto dimension = key.substr(10, key.size() - 12);
      for (const auto& [k, v] : name.dimensions) {
        if (k == dimension) return v;
      }
      return "";
    }
    if (key == "DATAPOINT_COUNT") return std::to_string(points.size());
    if (points.empty())
      return key == "SUM" || key == "AVG" || key == "MIN" || key == "MAX" || key == "LAST" || key == "FIRST"
                 ? "--"
                 : "";
    if (key == "SUM") return fmt::format("{:g}", sum);
    if (key == "AVG") return fmt::format("{:g}", sum / static_cast<double>(points.size()));
    if (key == "MIN") return fmt::format("{:g}", low);
    if (key == "MAX") return fmt::format("{:g}", high);
    if (key == "LAST") return fmt::format("{:g}", points.back().second);
    if (key == "FIRST") return fmt::format("{:g}", points.front().second);
    return "";
  };
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = text.compare(i, 2, "${") == 0 ? text.find('}', i) : std::string::npos;
    if (end == std::string::npos) {
      out += text[i++];
    } else {
      out += word(std::string_view(text).substr(i + 2, end - i - 2));
      i = end + 1;
    }
  }
  return out;
}

Result<cw::Value> QueryEngine::metric(const json::Value& query, const json::Value& stat) {
  const json::Value* m = stat.find("Metric");
  if (m == nullptr) return bad("MetricStat needs Metric");
  if (const auto account = query.get("AccountId"); !account.empty() && account != scope_.account)
    return bad("Metrics of other accounts are not linked to this one");
  auto name = TRY(metric_name(scope_, *m));
  name.unit = stat.get("Unit");
  const auto statistic = TRY(Statistic::parse(stat.get("Stat")));
  const int64_t period = TRY(checked_period(stat.find("Period")));
  auto found = TRY(series(name, statistic, period));
  Series s;
  s.id = query.get("Id");
  s.period = period;
  s.points = std::move(found[0].points);
  s.sample_counts = std::move(found[0].sample_counts);
  s.label = label(query.get("Label"), name, statistic, s.points);
  s.whole_metric = true;
  return cw::Value::of(std::move(s));
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
Result<cw::Value> QueryEngine::search(const std::string& expression, const std::string& statistic,
                                      int64_t period) {
  const auto stat = TRY(Statistic::parse(statistic));
  std::string_view rest = trim(expression);
  std::string space;
  std::vector<std::string> schema;
  bool has_schema = false;
  auto unquote = [](std::string_view t) {
    t = trim(t);
    if (t.size() > 1 && t.front() == '"' && t.back() == '"') t = t.substr(1, t.size() - 2);
    return std::string(t);
  };
  if (rest.starts_with("{")) {
    const size_t end = rest.find('}');
    if (end == std::string_view::npos) return bad("SEARCH: } is missing");
    has_schema = true;
    for (const auto part : split(rest.substr(1, end - 1), ',')) {
      if (space.empty()) {
        space = unquote(part);
      } else {
        schema.push_back(unquote(part));
      }
    }
    std::sort(schema.begin(), schema.end());
    rest = rest.substr(end + 1);
  }
  struct Term {
    std::string key, text;
    bool negated = false, exact = false;
    int group = 0;  // terms of one group are alternatives
  };
  std::vector<Term> terms;
  int group = 0;
  bool negated = false, alternative = false;
  for (size_t i = 0; i < rest.size();) {
    if (rest[i] == ' ' || rest[i] == '(' || rest[i] == ')') {
      ++i;
      continue;
    }
    std::string token;
    bool quoted = false;
    while (i < rest.size() && rest[i] != ' ' && rest[i] != '(' && rest[i] != ')') {
      if (rest[i] == '"') {
        quoted = true;
        for (++i; i < rest.size() && rest[i] != '"'; ++i) token += rest[i];
        if (i++ >= rest.size()) return bad("SEARCH: a quotation mark is missing");
      } else {
        token += rest[i++];
      }
    }
    if (!quoted && (token == "AND" || token == "OR" || token == "NOT")) {
      negated = token == "NOT" || (negated && token == "AND");
      alternative = token == "OR";
      continue;
    }
    Term t;
    const size_t equals = token.find('=');
    if (equals != std::string::npos) {
      t.key = token.substr(0, equals);
      if (lower(t.key) == "metricname") t.key = "MetricName";
      if (lower(t.key) == "namespace") t.key = "Namespace";
      token = token.substr(equals + 1);
    }
    t.exact = quoted;
    t.text = token;
    t.negated = std::exchange(negated, false);
    t.group = std::exchange(alternative, false) ? group : ++group;
    if (!t.text.empty()) terms.push_back(std::move(t));
  }
  auto fits = [](const Term& t, const store::MetricName& n) {
    auto same = [&](const std::string& value) {
      return t.exact ? value == t.text : lower(value).find(lower(t.text)) != std::string::npos;
    };
    bool found = false;
    if (t.key.empty() || t.key == "MetricName") found |= same(n.name);
    if (t.key == "Namespace" || (t.key.empty() && !t.exact)) found |= same(n.space);
    for (const auto& [k, v] : n.dimensions) {
      if (t.key.empty() || t.key == k) found |= same(v);
    }
    return found != t.negated;
  };
  auto wanted = [&](const store::MetricName& n) {
    if (has_schema) {
      if (!space.empty() && n.space != space) return false;
      if (n.dimensions.size() != schema.size()) return false;
      for (size_t i = 0; i < schema.size(); ++i) {
        if (n.dimensions[i].first != schema[i]) return false;
      }
    }
    for (size_t i = 0; i < terms.size();) {
      bool any = false;
      const int g = terms[i].group;
      for (; i < terms.size() && terms[i].group == g; ++i) any |= fits(terms[i], n);
      if (!any) return false;
    }
    return true;
  };
  auto listed = metrics_.list(scope_.account, scope_.region, wanted);
  std::vector<Series> all;
  std::string last_key;
  for (auto& [name, last] : listed) {
    if (last < scope_.now - 14 * kDay || all.size() >= kMaxFound) continue;
    auto found = TRY(series(name, stat, period));
    if (found[0].points.empty()) continue;
    Series s;
    s.period = period;
    s.points = std::move(found[0].points);
    s.label = name.name;
    for (const auto& [k, v] : name.dimensions) s.label += " " + v;
    all.push_back(std::move(s));
  }
  return cw::Value::of(std::move(all));
}

Result<cw::Value> QueryEngine::value_of(const std::string& id, int depth) {
  if (const auto it = done_.find(id); it != done_.end()) return it->second;
  const auto at = queries_.find(id);
  if (at == queries_.end()) return math_error("no query has the id " + id);
  if (depth > kMaxDepth || std::find(path_.begin(), path_.end(), id) != path_.end())
    return math_error("the expression of " + id + " refers to itself");
  const json::Value& query = *at->second;
  if (const json::Value* stat = query.find("MetricStat")) {
    auto v = TRY(metric(query, *stat));
    done_[id] = v;
    return v;
  }
  const std::string text = query.get("Expression");
  if (lower(text.substr(0, 7)) == "select ") {
    auto v = TRY(insights(text, query.get_int("Period", 60)));
    done_[id] = v;
    return v;
  }
  const auto expression = TRY(MathExpression::parse(text));
  path_.push_back(id);
  MathContext context;
  context.start = scope_.start;
  context.end = scope_.end;
  context.period = query.get_int("Period");
  if (context.period == 0) {
    for (const auto& name : expression.variables()) {
      auto v = TRY(value_of(name, depth + 1));
      for (const auto& s : v.list) context.period = std::max(context.period, s.period);
    }
    if (context.period == 0) context.period = default_period(scope_.start, scope_.now);
  }
  context.start = rounded_start(scope_.start, context.period, scope_.now);
  context.variable = [this, depth](const std::string& name) { return value_of(name, depth + 1); };
  context.metrics = [this, depth](const std::string& contains) -> Result<cw::Value> {
    std::vector<Series> all;
    for (const auto& name : order_) {
      if (!queries_.at(name)->has("MetricStat") || name.find(contains) == std::string::npos) continue;
      auto v = TRY(value_of(name, depth + 1));
      for (auto& s : v.list) all.push_back(std::move(s));
    }
    return cw::Value::of(std::move(all));
  };
  context.search = [this](const std::string& e, const std::string& s, int64_t p) { return search(e, s, p); };
  context.band = [this](const Series& s, double width) { return band(s, width); };
  auto value = TRY(expression.evaluate(context));
  path_.pop_back();
  done_[id] = value;
  return value;
}

Result<std::vector<QueryResult>> QueryEngine::run(const json::Array& queries) {
  if (queries.size() > kMaxQueries) return bad("At most 500 MetricDataQueries are allowed");
  for (const auto& q : queries) {
    const std::string id = q.get("Id");
    if (id.empty() || id[0] < 'a' || id[0] > 'z' ||
        !std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; })) {
      return bad("The value '" + id +
                 "' for parameter MetricDataQueries.Id is not valid: it begins with a lower-case letter");
    }
    if (!queries_.emplace(id, &q).second) return bad("The id '" + id + "' is used by more than one query");
    if (q.has("MetricStat") == q.has("Expression"))
      return bad("The query '" + id + "' needs exactly one of MetricStat and Expression");
    order_.push_back(id);
  }
  std::vector<QueryResult> out;
  for (const auto& q : queries) {
    if (!q.get_bool("ReturnData", true)) continue;
    auto value = TRY(value_of(q.get("Id"), 0));
    if (value.kind == cw::Value::Kind::number || value.kind == cw::Value::Kind::text)
      return math_error("the result of '" + q.get("Id") + "' is no time series");
    for (auto& s : value.list) {
      QueryResult r;
      r.id = q.get("Id");
      const bool alone = value.kind == cw::Value::Kind::series;
      r.label = q.has("Expression") && alone && !q.get("Label").empty() ? q.get("Label") : s.label;
      if (q.has("Expression") && alone && q.get("Label").empty()) r.label = r.id;
      if (q.has("Expression") && !alone && !q.get("Label").empty()) r.label = q.get("Label") + " " + s.label;
      r.period = s.period;
      r.points = std::move(s.points);
      r.sample_counts = std::move(s.sample_counts);
      out.push_back(std::move(r));
    }
  }
  return out;
}

}  // namespace bastide::services::cw
