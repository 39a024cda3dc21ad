// Resource policies and tags.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
#include "services/secretsmanager/secretsmanager.h"

namespace bastide::services {

namespace m = model::secretsmanager;

namespace {

bool everyone(const json::Value& principal) {
  if (principal.is_string()) return principal.string() == "*";
  if (principal.is_array()) {
    for (const auto& one : principal.array()) {
      if (everyone(one)) return true;
    }
  }
  const json::Value* aws = principal.find("AWS");
  return aws != nullptr && everyone(*aws);
}

// Broad access: somebody whom no condition narrows.
bool is_public(const std::string& text) {
  const auto document = json::parse(text);
  if (!document) return false;
  const json::Value* statements = document->find("Statement");
  if (statements == nullptr) return false;
  const json::Array list = statements->is_array() ? statements->array() : json::Array{*statements};
  for (const auto& s : list) {
    const json::Value* principal = s.find("Principal");
    if (s.get("Effect") == "Allow" && !s.has("Condition") &&
        (s.has("NotPrincipal") || (principal != nullptr && everyone(*principal)))) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<m::GetResourcePolicyResponse> SecretsManager::get_policy(Call& call,
                                                                const m::GetResourcePolicyRequest& q) {
  const auto s = TRY(find_usable(call, q.secret_id));
  m::GetResourcePolicyResponse out;
  out.arn = s.arn;
  out.name = s.name;
  if (!s.policy.empty()) out.resource_policy = s.policy;
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
Result<m::PutResourcePolicyResponse> SecretsManager::put_policy(Call& call,
                                                                const m::PutResourcePolicyRequest& q) {
  const auto secret = TRY(find_usable(call, q.secret_id));
  if (const auto checked = aws::check_resource_policy(q.resource_policy); !checked) {
    return fault("MalformedPolicyDocumentException",
                 "This resource policy contains a malformed policy: " + checked.error().message);
  }
  if (q.block_public_policy.value_or(false) && is_public(q.resource_policy)) {
    return fault("PublicPolicyException",
                 "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent "
                 "broad access to the secret.");
  }
  TRY(change(secret, [&](store::Writer&, Secret& s) -> Result<void> {
    s.policy = q.resource_policy;
    return {};
  }));
  return m::PutResourcePolicyResponse{secret.arn, secret.name};
}

Result<m::DeleteResourcePolicyResponse> SecretsManager::delete_policy(
    Call& call, const m::DeleteResourcePolicyRequest& q) {
  const auto secret = TRY(find_usable(call, q.secret_id));
  TRY(change(secret, [&](store::Writer&, Secret& s) -> Result<void> {
    s.policy.clear();
    return {};
  }));
  return m::DeleteResourcePolicyResponse{secret.arn, secret.name};
}

Result<m::ValidateResourcePolicyResponse> SecretsManager::validate_policy(
    Call& call, const m::ValidateResourcePolicyRequest& q) {
  if (q.secret_id) TRY(find(call, *q.secret_id));
  m::ValidateResourcePolicyResponse out;
  out.validation_errors.emplace();
  if (const auto checked = aws::check_resource_policy(q.resource_policy); !checked) {
    out.validation_errors->push_back({"POLICY_SYNTAX", checked.error().message});
  } else if (is_public(q.resource_policy)) {
    out.validation_errors->push_back(
        {"PUBLIC_POLICY", "The resource policy gives broad access to the secret."});
  }
  out.policy_validation_passed = out.validation_errors->empty();
  return out;
}

Result<model::Empty> SecretsManager::tag(Call& call, const m::TagResourceRequest& q) {
  const auto secret = TRY(find_usable(call, q.secret_id));
  TRY(change(secret, [&](store::Writer&, Secret& s) { return add_secret_tags(call, s.tags, q.tags); }));
  return model::Empty{};
}

Result<model::Empty> SecretsManager::untag(Call& call, const m::UntagResourceRequest& q) {
  const auto secret = TRY(find_usable(call, q.secret_id));
  TRY(change(secret, [&](store::Writer&, Secret& s) -> Result<void> {
    for (const auto& key : q.tag_keys) s.tags.erase(key);
    return {};
  }));
  return model::Empty{};
}

Result<m::GetRandomPasswordResponse> SecretsManager::password(Call&, const m::GetRandomPasswordRequest& q) {
  PasswordWish wish;
  wish.length = q.password_length.value_or(wish.length);
  wish.exclude = q.exclude_characters.value_or("");
  wish.numbers = !q.exclude_numbers.value_or(false);
  wish.punctuation = !q.exclude_punctuation.value_or(false);
  wish.upper = !q.exclude_uppercase.value_or(false);
  wish.lower = !q.exclude_lowercase.value_or(false);
  wish.space = q.include_space.value_or(false);
  wish.each = q.require_each_included_type.value_or(true);
  m::GetRandomPasswordResponse out;
  out.random_password = TRY(random_password(wish));
  return out;
}

}  // namespace bastide::services
