// Metrics out of log events: metric filters, and the embedded metric format (EMF).
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/service.h"
#include "gen/logs.h"
#include "model/body.h"
#include "services/logs/filter.h"
#include "store/database.h"
#include "store/logs.h"
#include "store/metrics.h"

namespace bastide::services {

class LogMetrics {
 public:
  LogMetrics(store::Database& database, store::Metrics& metrics, Clock& clock);
  void offer(aws::Registry& registry);

  struct Filter;
  using Filters = std::shared_ptr<const std::vector<Filter>>;
  // Of a group; on the loop.
  Filters of(const std::string& account, const std::string& region, const std::string& group);
  size_t count(const std::string& account, const std::string& region, const std::string& group);
  // What events of the group say; any thread. Writes to the metric store: through net::offload.
  void observe(const std::string& account, const std::string& region, const Filters& filters,
               const std::vector<store::LogEvent>& events);

 private:
  using Call = aws::Call;
  using Json = json::Value;
  template <class Op, Result<Json> (LogMetrics::*F)(Call&, const Json&)>
  Result<typename Op::Response> typed(Call& call, const typename Op::Request& request) {
    const Json body = TRY((this->*F)(call, model::request_body<Op>(request)));
    return model::response_of<Op>(body);
  }
  Result<Json> put_filter(Call&, const Json&);
  Result<Json> describe_filters(Call&, const Json&);
  Result<Json> delete_filter(Call&, const Json&);
  Result<Json> test_filter(Call&, const Json&);

  store::Database& database_;
  store::Metrics& metrics_;
  Clock& clock_;
  const std::atomic<int64_t>& changes_;
  int64_t cached_at_ = -1;
  std::map<std::string, Filters> cache_;  // by group
};

// The samples of one EMF message; empty where it is none or breaks the format. Pure.
std::vector<store::MetricSample> emf_samples(const std::string& message, const std::string& account,
                                             const std::string& region, Millis time, Millis now);

}  // namespace bastide::services
