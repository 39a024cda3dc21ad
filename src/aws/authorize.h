// Deciding whether a principal may do an action on a resource: the whole evaluation logic.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/call.h"
#include "base/json.h"
#include "base/result.h"

namespace bastide::aws {

// How a resource's own policy takes part in the decision.
enum class PolicyMode {
  ordinary,        // same account: identity policy or resource policy allows; across accounts: both must
  resource_only,   // the resource policy must allow; identity policies count only where it names the account
                   // (KMS key policies, role trust policies)
};

// What an operation touches, as policies see it. An operation may touch several.
struct Target {
  std::string action;              // "kms:Encrypt"; filled from the rule where empty
  std::string resource = "*";      // an ARN, or "*"
  std::string owner;               // account that owns the resource; empty: the caller's
  std::optional<json::Value> policy;  // the resource's own policy
  PolicyMode mode = PolicyMode::ordinary;
  std::vector<std::pair<std::string, std::string>> context;  // condition keys; repeat one for several values
  bool granted = false;            // something outside policies allows it already (a KMS grant); denies still count
};

// What the decision needs to know of a principal. Implemented by the services iam and organizations.
struct NamedPolicy {
  std::string name;       // ARN, or inline name
  json::Value document;
};
struct IdentityPolicies {
  std::vector<NamedPolicy> identity;            // inline, managed, through groups
  std::optional<NamedPolicy> boundary;
  // One list a level (root, OUs along the path, account): every level must allow. Empty: none apply
  // (the management account, or no organisation).
  std::vector<std::vector<NamedPolicy>> control;
  std::vector<std::pair<std::string, std::string>> context;  // aws:PrincipalOrgID, ...
};
class PolicySource {
 public:
  virtual ~PolicySource() = default;
  virtual Result<IdentityPolicies> policies_of(const Principal& principal) = 0;
};

struct Decision {
  bool allowed = false;
  bool explicit_deny = false;
  std::string policy_kind;   // "identity-based policy", "resource-based policy", "service control policy", ...
  std::string statement;     // which statement decided, for audit and `auth why`
  std::string message;       // of a denial: AWS's AccessDenied wording
};

Decision decide(const Call& call, const Target& target, const IdentityPolicies& policies);

}  // namespace bastide::aws
