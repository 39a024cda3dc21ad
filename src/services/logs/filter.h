// CloudWatch Logs filter patterns: terms, "phrases", ?optional, -excluded, regular expressions %..%, JSON {
// $.a = 1
// && $.b NOT EXISTS }, and space-delimited [ip, ..., status=5*].
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
// Pure; thread-safe once parsed.
#pragma once

#include <map>
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
  // `fields`: what a space-delimited pattern found, "$name" -> value.
  bool matches(const std::string& message, std::map<std::string, std::string>* fields = nullptr) const;

 private:
  std::shared_ptr<const Node> node_;
};

}  // namespace bastide::services
