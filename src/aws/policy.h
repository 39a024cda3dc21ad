// IAM policy documents: parsed and compiled once, then cheap to copy and to evaluate.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
//
// Thread-safe. Compiled policies are shared by documents with the same content (a bounded memo).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace bastide::aws {

struct Policy;  // policy_compiled.h

class PolicyDocument {
 public:
  PolicyDocument() = default;  // no policy
  PolicyDocument(std::nullopt_t) {}
  // A document that cannot be compiled denies everything; write paths refuse it first with check_*().
  PolicyDocument(const json::Value& document);
  PolicyDocument(const std::optional<json::Value>& document);
  static PolicyDocument of_text(std::string_view text);

  bool has_value() const { return policy_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  const Policy* get() const { return policy_.get(); }
  json::Value source() const;  // the document as it was given; null where there is none

 private:
  std::shared_ptr<const Policy> policy_;
};

// What a write accepts. Faults are MalformedPolicyDocument in IAM's wording; a service with another code for
// the same thing translates it.
Result<PolicyDocument> check_identity_policy(std::string_view text);
Result<PolicyDocument> check_trust_policy(std::string_view text);
Result<PolicyDocument> check_resource_policy(std::string_view text);
Result<PolicyDocument> check_scp(std::string_view text);

// Characters that count towards IAM's size quotas: white space does not.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
size_t policy_size(std::string_view text);

}  // namespace bastide::aws
