// The values of condition keys for one target of one call.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
#pragma once

#include <string>
#include <vector>

#include "aws/authorize.h"
#include "aws/policy_pattern.h"

namespace bastide::aws {

// Borrows all three.
class RequestContext final : public KeySource {
 public:
  RequestContext(const Call& call, const Target& target, const IdentityPolicies& policies)
      : call_(call), target_(target), policies_(policies) {}
  void find(const ConditionKey& key, std::vector<std::string>& values) const override;

 private:
  const Call& call_;
  const Target& target_;
  const IdentityPolicies& policies_;
};

}  // namespace bastide::aws
