// AWS managed policies: those of models/managed-policies.json.
// https://docs.aws.amazon.com/aws-managed-policy/
#pragma once

#include <string>
#include <vector>

#include "aws/policy.h"
#include "base/json.h"

namespace bastide::services {

struct ManagedPolicy {
  json::Value
      body;  // a policy row as the store has them: name, path, id, arn, default, created, versions, ...
  std::string text;
  aws::PolicyDocument document;
};
const std::vector<ManagedPolicy>& managed_policies();  // sorted by ARN
const ManagedPolicy* managed_policy(std::string_view arn);

}  // namespace bastide::services
