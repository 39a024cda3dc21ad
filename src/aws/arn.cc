#include "aws/arn.h"

#include <fmt/format.h>

#include <algorithm>

namespace bastide::aws {

std::string Arn::text() const {
  return fmt::format("arn:{}:{}:{}:{}:{}", partition, service, region, account, resource);
}

Result<Arn> parse_arn(std::string_view text) {
  std::string parts[5];
  std::string_view rest = text;
  for (auto& part : parts) {
    const size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return error("Invalid", "not an ARN: " + std::string(text));
    part = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  if (parts[0] != "arn" || parts[1].empty() || parts[2].empty() || rest.empty()) {
    return error("Invalid", "not an ARN: " + std::string(text));
  }
  return Arn{parts[1], parts[2], parts[3], parts[4], std::string(rest)};
}

std::string make_arn(std::string_view service, std::string_view region, std::string_view account,
                     std::string_view resource) {
  return fmt::format("arn:aws:{}:{}:{}:{}", service, region, account, resource);
}

bool valid_account_id(std::string_view text) {
  return text.size() == 12 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace bastide::aws
