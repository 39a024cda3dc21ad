// Stack policies: which resources an update may change.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
// Plain values; any thread.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::cfn {

inline constexpr size_t kMaxPolicyBytes = 16'384;

Result<json::Value> parse_stack_policy(const std::string& text);

// Why an action ("Update:Modify", "Update:Replace", "Update:Delete") on a resource is denied; empty: it is
// allowed. What no statement allows is denied.
std::string denied_by(const json::Value& policy, const std::string& action, const std::string& logical,
                      const std::string& type);

}  // namespace bastide::services::cfn
