#include "services/cloudwatch/alarm.h"

#include <algorithm>

namespace bastide::services::cw {

bool breaches(const AlarmRule& r, const AlarmPoint& p) {
  if (!p.value) return false;
  const double v = *p.value;
  if (r.comparison == "GreaterThanOrEqualToThreshold") return v >= r.threshold;
  if (r.comparison == "GreaterThanThreshold") return v > r.threshold;
  if (r.comparison == "LessThanThreshold") return v < r.threshold;
  if (r.comparison == "LessThanOrEqualToThreshold") return v <= r.threshold;
  const bool above = p.high && v > *p.high, below = p.low && v < *p.low;
  if (r.comparison == "GreaterThanUpperThreshold") return above;
  if (r.comparison == "LessThanLowerThreshold") return below;
  return above || below;
}

Verdict judge(const AlarmRule& rule, const std::vector<AlarmPoint>& points) {
  Verdict out;
  const int n = rule.evaluation_periods, m = rule.datapoints;
  bool only_breaching = true;
  int oldest_breaching = 0;  // its age: 1 is the newest
  for (size_t i = 0; i < points.size() && out.considered < n; ++i) {
    const AlarmPoint& p = points[points.size() - 1 - i];
    if (!p.value) continue;
    ++out.considered;
    out.points.push_back(p);
    if (breaches(rule, p)) {
      ++out.breaching;
      if (only_breaching) oldest_breaching = static_cast<int>(i) + 1;
    } else {
      only_breaching = false;
    }
  }
  const int filled = n - out.considered;
  const bool enough = out.breaching >= m;
  if (filled == 0 || enough) {
    out.state = enough ? "ALARM" : "OK";
  } else if (rule.missing == "breaching") {
    out.state = out.breaching + filled >= m ? "ALARM" : "OK";
  } else if (rule.missing == "notBreaching" || (out.considered > 0 && !only_breaching)) {
    out.state = "OK";
  } else if (rule.missing == "missing") {
    // Some breach and the rest is missing: an alarm when the oldest of them is M old, so that an alarm cannot
    // be held back by data that stops to come.
    if (out.considered == 0) {
      out.state = "INSUFFICIENT_DATA";
    } else if (oldest_breaching >= m) {
      out.state = "ALARM";
    }
  }
  return out;
}

}  // namespace bastide::services::cw
