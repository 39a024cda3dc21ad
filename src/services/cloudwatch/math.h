// Metric math: expressions over time series. Pure.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace bastide::services::cw {

using Point = std::pair<Millis, double>;

struct Series {
  std::string id, label;
  int64_t period = 60;
  std::vector<Point> points;  // by time
  std::vector<double> sample_counts;
  bool whole_metric = false;  // comes straight from one metric
};

// A number, one series, an array of series, or a text (the arguments of some functions).
struct Value {
  enum class Kind { number, series, array, text } kind = Kind::number;
  double number = 0;
  std::vector<Series> list;
  std::string text;
  static Value of(double n) { return {Kind::number, n, {}, {}}; }
  static Value of(Series s) {
    Value v;
    v.kind = Kind::series;
    v.list.push_back(std::move(s));
    return v;
  }
  static Value of(std::vector<Series> all) {
    Value v;
    v.kind = Kind::array;
    v.list = std::move(all);
    return v;
  }
};

struct MathContext {
  std::function<Result<Value>(const std::string& id)> variable;
  // METRICS("text"): every metric of the request that is not an expression and whose id contains it.
  std::function<Result<Value>(const std::string& contains)> metrics;
  std::function<Result<Value>(const std::string& expression, const std::string& statistic, int64_t period)>
      search;
  // The band around a metric: lower and upper series.
  std::function<Result<Value>(const Series& metric, double width)> band;
  Millis start = 0, end = 0;
  int64_t period = 60;
};

class MathExpression {
 public:
  struct Node;
  static Result<MathExpression> parse(const std::string& text);  // ValidationError
  Result<Value> evaluate(const MathContext& context) const;
  const std::vector<std::string>& variables() const { return variables_; }

 private:
  std::shared_ptr<const Node> root_;
  std::vector<std::string> variables_;
};

Error math_error(const std::string& why);

}  // namespace bastide::services::cw
