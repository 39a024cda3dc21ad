// What clients call a parameter: a name, an ARN, either with :VERSION or :LABEL behind it; and which names,
// paths and labels may be given. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::services::ssm {

struct Selected {
  std::string account, region;  // empty: the caller's own
  std::string name;
  bool by_arn = false;  // an ARN does not tell "name" from "/name"
  std::optional<int64_t> version;
  std::string label;
  std::string selector;  // ":3", ":live", or empty
};

Result<Selected> select_parameter(std::string_view text);

// What PutParameter accepts.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
Result<void> check_name(const std::string& name);
Result<void> check_path(const std::string& path);

// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html
bool valid_label(std::string_view label);

}  // namespace bastide::services::ssm
