// Who makes a call, as AWS names them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "aws/policy.h"
#include "base/json.h"
#include "base/time.h"

namespace bastide::aws {

struct Principal {
  enum class Kind { root, user, assumed_role, federated_user, service, anonymous };
  Kind kind = Kind::anonymous;
  std::string account;   // twelve digits; empty for service and anonymous
  std::string arn;       // arn:aws:iam::A:user/N, arn:aws:sts::A:assumed-role/R/S, arn:aws:iam::A:root,
                         // a service's own name ("ecs-tasks.amazonaws.com")
  std::string id;        // AIDA..., AROA...:session, the account for root
  std::string name;      // user name, or role name
  std::string role_arn;  // of an assumed role: its role, path included
  std::string access_key_id;
  std::vector<PolicyDocument> session_policies;
  std::vector<std::pair<std::string, std::string>> tags;  // of the user or role
  std::vector<std::pair<std::string, std::string>> session_tags;
  std::vector<std::string> transitive_tags;
  std::string source_identity;
  std::string source_arn, source_account;  // of a service: the resource that it acts for (aws:SourceArn)
  std::vector<std::string> called_via;  // services that this call came through, first to last (aws:CalledVia)
  bool mfa = false;
  Millis mfa_at = 0;      // when the MFA was shown
  Millis issued_at = 0;   // of the session; 0 for long-term keys
  Millis expires_at = 0;  // 0: never

  static Principal service(std::string name);  // "cloudformation.amazonaws.com"
  static Principal root(std::string account);
};

}  // namespace bastide::aws
