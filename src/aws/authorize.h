// Deciding whether a principal may do an action on a resource: the whole evaluation logic.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/call.h"
#include "aws/policy.h"
#include "base/json.h"
#include "base/result.h"

namespace bastide::aws {

// How a resource's own policy takes part in the decision.
enum class PolicyMode {
  ordinary,       // same account: identity policy or resource policy allows; across accounts: both must
  resource_only,  // the resource policy must allow; identity policies count only where it names the account
                  // (KMS key policies, role trust policies)
};

// What an operation touches, as policies see it. An operation may touch several.
struct Target {
  std::string action;          // "kms:Encrypt"; filled from the rule where empty
  std::string resource = "*";  // an ARN, or "*"
  std::string owner;           // account that owns the resource; empty: the caller's
  PolicyDocument policy;       // the resource's own policy; assign a json::Value, or keep a compiled one
  PolicyMode mode = PolicyMode::ordinary;
  std::vector<std::pair<std::string, std::string>> context;  // condition keys; repeat one for several values
  bool granted = false;  // something outside policies allows it already (a KMS grant); denies still count
};

// What the decision needs to know of a principal. Implemented by the services iam and organizations.
struct NamedPolicy {
  std::string name;  // ARN, or inline name
  PolicyDocument document;
};
struct IdentityPolicies {
  std::vector<NamedPolicy> identity;  // inline, managed, through groups
  std::optional<NamedPolicy> boundary;
  // One list a level (root, OUs along the path, account): every level must allow. Empty: none apply
  // (the management account, or no organisation).
  std::vector<std::vector<NamedPolicy>> control;
  std::vector<std::pair<std::string, std::string>> context;  // aws:PrincipalOrgID, ...
};
class PolicySource {
 public:
  virtual ~PolicySource() = default;
  // Never null.
  virtual Result<std::shared_ptr<const IdentityPolicies>> policies_of(const Principal& principal) = 0;
};

struct Decision {
  bool allowed = false;
  bool explicit_deny = false;
  std::string policy_kind;  // "identity-based policy", "resource-based policy", "service control policy", ...
  std::string statement;  // which statement decided: "POLICY#SID" or "POLICY#INDEX", for audit and `auth why`
  std::string message;    // of a denial: AWS's AccessDenied wording
};

// How every policy took part: for the simulators and `auth why`.
struct Explanation {
  struct Match {
    std::string policy_kind, policy, statement;  // statement: its Sid, else its index
    bool deny = false;
  };
  std::vector<Match> matches;
  bool identity = false, boundary = true, session = true, control = true, resource = false;  // who allows
};

// A service principal acts inside an account as its service-linked role would: what no policy denies is
// allowed, unless the target is `resource_only`. SCPs do not bind it.
Decision decide(const Call& call, const Target& target, const IdentityPolicies& policies,
                Explanation* explanation = nullptr);

// What `sts decode-authorization-message` shows of a denial; the caller seals it.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
json::Value denial_document(const Call& call, const Target& target, const Decision& decision);

}  // namespace bastide::aws
