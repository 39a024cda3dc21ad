// The section Rules: what must hold of parameters before a stack is made or changed.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
#pragma once

#include "services/cloudformation/evaluate.h"

namespace bastide::services::cfn {

// A fault that names the rule and tells its description.
Result<void> check_rules(const Scope& scope, const json::Value& rules);

}  // namespace bastide::services::cfn
