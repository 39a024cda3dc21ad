// Why a statement has a say in a decision, or has none: for the simulators and `auth why`.
#pragma once

#include <string>
#include <vector>

#include "aws/authorize.h"
#include "aws/policy_compiled.h"

namespace bastide::aws {

struct ExplainedStatement {
  std::string policy_kind, policy, statement;  // statement: its Sid, else its index
  bool deny = false;
  bool applies = false;
  std::string reason;  // where it does not apply: which element, and what the request had instead
  json::Value source;
};

// Every statement of every policy that takes part, in the order of evaluation.
std::vector<ExplainedStatement> explain_statements(const Call& call, const Target& target,
                                                   const IdentityPolicies& policies);

// Condition keys that the policies ask for and the request does not have, sorted.
std::vector<std::string> missing_keys(const Call& call, const Target& target,
                                      const IdentityPolicies& policies);

}  // namespace bastide::aws
