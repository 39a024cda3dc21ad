// MetricDataQueries: metrics, expressions over them, searches. Pure but for reading the store; blocks:
// through net::offload.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "services/cloudwatch/math.h"
#include "services/cloudwatch/statistics.h"
#include "store/metrics.h"

namespace bastide::services::cw {

struct Scope {  // whose metrics, and when
  std::string account, region;
  Millis start = 0, end = 0;  // inclusive, exclusive
  Millis now = 0;
};

struct QueryResult {
  std::string id, label;
  int64_t period = 0;
  std::vector<Point> points;          // by time
  std::vector<double> sample_counts;  // beside `points`, where the query is one metric
};

// {Namespace, MetricName, Dimensions} of `account`; dimensions sorted. InvalidParameterValue.
Result<store::MetricName> metric_name(const Scope& scope, const json::Value& metric);
// 1, 5, 10, 20, 30 or a multiple of 60, up to a day.
Result<int64_t> checked_period(const json::Value* period);
// Down to a minute within 15 days, to 5 minutes within 63, else to an hour.
Millis rounded_start(Millis start, int64_t period, Millis now);

class QueryEngine {
 public:
  QueryEngine(store::Metrics& metrics, Scope scope) : metrics_(metrics), scope_(std::move(scope)) {}

  // Those that return data, in the order of the queries. `queries`: as the model has them.
  Result<std::vector<QueryResult>> run(const json::Array& queries);

 private:
  Result<Value> value_of(const std::string& id, int depth);
  Result<Value> metric(const json::Value& query, const json::Value& stat);
  Result<std::vector<QueryResult>> series(const store::MetricName& name, const Statistic& statistic,
                                          int64_t period);
  Result<Value> search(const std::string& expression, const std::string& statistic, int64_t period);
  Result<Value> insights(const std::string& text, int64_t period);
  Result<Value> band(const Series& metric, double width);
  std::string label(const std::string& text, const store::MetricName& name, const Statistic& stat,
                    const std::vector<Point>& points) const;

  store::Metrics& metrics_;
  Scope scope_;
  std::map<std::string, const json::Value*> queries_;
  std::vector<std::string> order_;
  std::map<std::string, Value> done_;
  std::vector<std::string> path_;  // of ids that are being evaluated
  int64_t points_ = 0;
};

}  // namespace bastide::services::cw
