// Subscription filter policies. Pure.
// https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
#pragma once

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::sns {

Result<void> check_filter_policy(const json::Value& policy);  // InvalidParameter
// `attributes`: as Publish has them: name -> {DataType, StringValue}. `message`: the body, for MessageBody
// scope.
bool passes(const json::Value& policy, bool body_scope, const json::Value& attributes,
            const std::string& message);

}  // namespace bastide::services::sns
