#include "services/elbv2/access_logs.h"

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/log.h"
#include "internal/edge.h"

namespace bastide::services {

Result<void> AccessLogs::take(const json::Value& event) {
  auto source = event.get("source");
  auto sequence = event.get_int("sequence");
  if (source == source_ && sequence <= sequence_) return {};
  std::map<std::string, json::Array> by_balancer;
  for (const auto& value : event.get_array("entries")) {
    auto entry = internal::access_entry(value);
    if (!entry) continue;
    if (observe_) observe_(*entry);
    by_balancer[entry->balancer].push_back(
        json::object({{"timestamp", entry->time}, {"message", internal::log_line(*entry)}}));
  }
  for (auto& [arn, events] : by_balancer) {
    std::sort(events.begin(), events.end(), [](const json::Value& a, const json::Value& b) {
      return a.get_int("timestamp") < b.get_int("timestamp");
    });
    auto written = put(arn, std::move(events));
    // Logs that cannot be kept must not stop the load balancer's: said, and gone.
    if (!written) log::warn("elbv2: access log of {}: {}", arn, written.error().message);
  }
  if (source != source_) dropped_ = 0;
  if (event.get_int("dropped") > dropped_)
    log::warn("elbv2: edge dropped {} access entries", event.get_int("dropped") - dropped_);
  dropped_ = event.get_int("dropped");
  source_ = source;
  sequence_ = sequence;
  return {};
}

Result<void> AccessLogs::put(const std::string& balancer_arn, json::Array events) {
  auto arn = TRY(aws::parse_arn(balancer_arn));
  auto parts = split(arn.resource, '/');  // loadbalancer/app/<name>/<id>
  if (parts.size() != 4) return error("Invalid", "not the ARN of a load balancer");
  const auto group = "/aws/elb/" + std::string(parts[2]);
  const auto stream = "app." + std::string(parts[2]) + "." + std::string(parts[3]);
  const auto principal = aws::Principal::service("delivery.logs.amazonaws.com");
  auto call = [&](const char* operation, json::Value input) {
    input["logGroupName"] = group;
    return client_.call(principal, arn.account, arn.region, "logs", operation, input);
  };
  auto input = json::object({{"logStreamName", stream}, {"logEvents", std::move(events)}});
  auto written = call("PutLogEvents", input);
  if (written || written.error().code != "ResourceNotFoundException") {
    if (!written) return std::move(written).error();
    return {};
  }
  for (const auto& [operation, body] : {std::pair<const char*, json::Value>{"CreateLogGroup", json::object()},
                                        {"CreateLogStream", json::object({{"logStreamName", stream}})}}) {
    auto made = call(operation, body);
    if (!made && made.error().code != "ResourceAlreadyExistsException") return std::move(made).error();
  }
  TRY(call("PutLogEvents", input));
  return {};
}

}  // namespace bastide::services
