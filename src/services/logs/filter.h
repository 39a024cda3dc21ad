// CloudWatch Logs filter patterns: terms, "phrases", ?optional, -excluded, and JSON { $.a = 1 && $.b NOT
// EXISTS }. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
// Space-delimited patterns [..] and regular expressions %..% are refused. Pure; thread-safe once parsed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::services {

class LogFilter {
 public:
  struct Node;
  LogFilter() = default;                                  // matches everything
  static Result<LogFilter> parse(std::string_view text);  // InvalidParameterException
  bool matches(const std::string& message) const;

 private:
  std::shared_ptr<const Node> node_;
};

}  // namespace bastide::services
