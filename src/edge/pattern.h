// ELB's condition patterns: * stands for any number of characters, ? for exactly one.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
#pragma once

#include <string>
#include <string_view>

namespace bastide::edge {

bool matches(std::string_view pattern, std::string_view text, bool ignore_case);

// What #{...} in a redirect stands for.
struct Placeholders {
  std::string_view protocol, host, path, query;  // path without its first '/', query without '?'
  uint16_t port = 0, https_port = 0, http_port = 0;
};
std::string expand(std::string_view location, const Placeholders& values);

}  // namespace bastide::edge
