// The compiled form of a policy document and its evaluation, statement by statement. For authorize.cc and the
// simulators; everyone else holds a PolicyDocument.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/policy_condition.h"
#include "aws/policy_pattern.h"
#include "base/json.h"
#include "base/result.h"

namespace bastide::aws {

struct Principal;

// How directly a resource's policy names the caller: the weaker kinds leave a say to other policies.
enum class Named : uint8_t { no, account, role, direct };

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
struct PrincipalSpec {
  bool everyone = false;
  std::vector<std::string> accounts;  // twelve digits
  std::vector<std::string> arns;      // roles, users, sessions
  std::vector<std::string> ids;       // AIDA..., AROA...: what AWS keeps of a deleted principal
  std::vector<std::string> services;
  std::vector<std::string> federated;
  Named names(const Principal& principal) const;
  // Whether NotPrincipal exempts the caller.
  bool excepts(const Principal& principal) const;
};
Result<PrincipalSpec> compile_principal(const json::Value& element);

struct Statement {
  std::string sid;
  size_t index = 0;
  bool deny = false;
  bool not_action = false;
  std::vector<Pattern> actions;  // lower case
  bool has_resource = false;
  bool not_resource = false;
  std::vector<Pattern> resources;
  enum class Who : uint8_t { anyone, principal, not_principal } who = Who::anyone;
  PrincipalSpec principal;
  std::vector<Condition> conditions;
};

struct Policy {
  json::Value source;
  std::string error;  // not empty: could not be compiled, denies everything
  std::vector<Statement> statements;
};

// A grammar error is described in IAM's words (code "Invalid").
Result<Policy> compile_policy(const json::Value& document);

struct PolicyRequest {
  std::string_view action;  // lower case
  std::string_view resource;
  const Principal* principal = nullptr;
  const KeySource* keys = nullptr;
};
bool applies(const Statement& statement, const PolicyRequest& request, Named& named);

struct Verdict {
  bool denied = false;
  bool allowed = false;
  Named named = Named::no;               // the strongest of the statements that allow
  const Statement* statement = nullptr;  // null with `denied`: the policy could not be compiled
};
Verdict evaluate(const Policy& policy, const PolicyRequest& request);

}  // namespace bastide::aws
