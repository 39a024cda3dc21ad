// Whether an alarm's datapoints mean OK, ALARM or INSUFFICIENT_DATA. Pure.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace bastide::services::cw {

struct AlarmPoint {
  Millis time = 0;
  std::optional<double> value;
  std::optional<double> low, high;  // the band, where the threshold is one
};

struct AlarmRule {
  int evaluation_periods = 1, datapoints = 1;  // N, M
  std::string comparison;                      // GreaterThanThreshold, ...
  double threshold = 0;
  std::string missing = "missing";  // ignore, breaching, notBreaching
};

struct Verdict {
  std::string state;  // empty: keep the one it has
  int breaching = 0, considered = 0;
  std::vector<AlarmPoint> points;  // that were judged, newest first
};

bool breaches(const AlarmRule& rule, const AlarmPoint& point);
// How many points the evaluation looks at.
inline int evaluation_range(const AlarmRule& rule) { return rule.evaluation_periods + 2; }
Verdict judge(const AlarmRule& rule, const std::vector<AlarmPoint>& points);  // newest last

// A composite alarm's rule: ALARM(x) OK(x) INSUFFICIENT_DATA(x) AND OR NOT TRUE FALSE AT_LEAST(n, STATE, (x,
// y)). https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
class CompositeRule {
 public:
  struct Node;
  static Result<CompositeRule> parse(const std::string& text);            // ValidationError
  const std::vector<std::string>& children() const { return children_; }  // names or ARNs, each once
  // `state`: of a child, as the rule names it; empty: it is not there.
  bool holds(const std::function<std::string(const std::string& child)>& state) const;

 private:
  std::shared_ptr<const Node> root_;
  std::vector<std::string> children_;
};

}  // namespace bastide::services::cw
