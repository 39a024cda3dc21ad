// What tasks use, as the metrics of AWS/ECS and ECS/ContainerInsights.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cloudwatch-metrics.html
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "store/metrics.h"

namespace bastide::agent {

struct TaskRow {  // of ECS's store
  std::string account, region, id;
  json::Value body;
};

class Tasks {
 public:
  // `usage`: what runner answers to task.usage: [{id, cpu_us, throttled_us, memory, processes}].
  std::vector<store::MetricSample> collect(const std::vector<TaskRow>& rows, const json::Array& usage, Millis now);

 private:
  struct Before {
    Millis at = 0;
    int64_t cpu_us = 0, throttled_us = 0;
  };
  std::map<std::string, Before> before_;  // by task
  std::set<std::string> counted_;         // tasks whose end is counted
  bool first_ = true;
};

}  // namespace bastide::agent
