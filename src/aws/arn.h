// Amazon Resource Names: arn:partition:service:region:account:resource.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::aws {

struct Arn {
  std::string partition = "aws";
  std::string service;
  std::string region;
  std::string account;
  std::string resource;  // everything after the fifth colon
  std::string text() const;
};

Result<Arn> parse_arn(std::string_view text);
std::string make_arn(std::string_view service, std::string_view region, std::string_view account,
                     std::string_view resource);
bool valid_account_id(std::string_view text);

}  // namespace bastide::aws
