// Requests of load balancers as the metrics of AWS/ApplicationELB, gathered by the minute.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
#pragma once

#include <map>
#include <string>
#include <vector>

#include "internal/edge.h"
#include "store/metrics.h"

namespace bastide::agent {

class Balancer {
 public:
  void add(const internal::AccessEntry& entry);
  // What was gathered since the last call.
  std::vector<store::MetricSample> take();

 private:
  void count(const internal::AccessEntry& entry, const char* name, const char* unit, double value,
             bool of_target = true);
  std::map<std::string, store::MetricSample> gathered_;  // by key and minute
};

}  // namespace bastide::agent
