// Access entries of edge as log events: group /aws/elb/<name> of the load balancer's account and region, made
// where it is missing. A batch that came before is taken without being written again.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "aws/local_client.h"
#include "base/json.h"
#include "base/result.h"
#include "internal/edge.h"

namespace bastide::services {

class AccessLogs {
 public:
  // `observe` sees each entry once.
  using Observer = std::function<void(const internal::AccessEntry&)>;
  explicit AccessLogs(aws::LocalClient& client, Observer observe = {}) : client_(client), observe_(std::move(observe)) {}
  Result<void> take(const json::Value& event);  // waits

 private:
  Result<void> put(const std::string& balancer_arn, json::Array events);

  aws::LocalClient& client_;
  Observer observe_;
  std::string source_;
  int64_t sequence_ = 0;
  int64_t dropped_ = 0;
};

}  // namespace bastide::services
