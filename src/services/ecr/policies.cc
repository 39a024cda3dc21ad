// ECR's repository policies and the authorization token.
#include <fmt/format.h>

#include "base/bytes.h"
#include "services/ecr/ecr.h"
#include "services/ecr/token.h"

namespace bastide::services {

namespace m = model::ecr;
using ecr::invalid_parameter;
using ecr::Repository;
using ecr::RepositoryRef;

namespace {

constexpr size_t kMaxPolicyBytes = 10'240;

Result<void> check_policy(const std::string& text) {
  const auto bad = [](std::string_view why) {
    return invalid_parameter(
        fmt::format("Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository "
                    "policy provided: {}'",
                    why));
  };
  if (text.size() > kMaxPolicyBytes) return bad("larger than 10,240 bytes");
  auto parsed = json::parse(text);
  if (!parsed) return bad(parsed.error().message);
  const json::Value& policy = parsed.value();
  if (!policy.is_object() || !policy.has("Statement")) return bad("it has no Statement");
  const json::Value& statement = *policy.find("Statement");
  const json::Array all = statement.is_array() ? statement.array() : json::Array{statement};
  if (all.empty()) return bad("it has no Statement");
  for (const auto& s : all) {
    if (!s.is_object()) return bad("a statement is not an object");
    if (s.get("Effect") != "Allow" && s.get("Effect") != "Deny") return bad("Effect must be Allow or Deny");
    if (!s.has("Principal") && !s.has("NotPrincipal")) return bad("a statement has no Principal");
    if (!s.has("Action") && !s.has("NotAction")) return bad("a statement has no Action");
    if (s.has("Resource") || s.has("NotResource")) return bad("a repository policy has no Resource");
  }
  return {};
}

Error no_policy(const RepositoryRef& ref) {
  return fault(
      "RepositoryPolicyNotFoundException",
      fmt::format("Repository policy does not exist for the repository with name '{}' in the registry with "
                  "id '{}'",
                  ref.name, ref.account));
}

}  // namespace

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html
Result<m::SetRepositoryPolicyResponse> Ecr::set_repository_policy(
    Call& call, const m::SetRepositoryPolicyRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  TRY(check_policy(request.policy_text));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    Repository r = TRY(ecr::load_repository(w, ref));
    r.policy_text = request.policy_text;
    return ecr::save_repository(w, r);
  }));
  m::SetRepositoryPolicyResponse response;
  response.registry_id = ref.account;
  response.repository_name = ref.name;
  response.policy_text = request.policy_text;
  return response;
}

Result<m::GetRepositoryPolicyResponse> Ecr::get_repository_policy(
    Call& call, const m::GetRepositoryPolicyRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  m::GetRepositoryPolicyResponse response;
  TRY(database_.read([&](store::Reader& reader) -> Result<void> {
    const Repository r = TRY(ecr::load_repository(reader, ref));
    if (r.policy_text.empty()) return no_policy(ref);
    response.policy_text = r.policy_text;
    return {};
  }));
  response.registry_id = ref.account;
  response.repository_name = ref.name;
  return response;
}

Result<m::DeleteRepositoryPolicyResponse> Ecr::delete_repository_policy(
    Call& call, const m::DeleteRepositoryPolicyRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  m::DeleteRepositoryPolicyResponse response;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    Repository r = TRY(ecr::load_repository(w, ref));
    if (r.policy_text.empty()) return no_policy(ref);
    response.policy_text = r.policy_text;
    r.policy_text.clear();
    return ecr::save_repository(w, r);
  }));
  response.registry_id = ref.account;
  response.repository_name = ref.name;
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
Result<m::GetAuthorizationTokenResponse> Ecr::get_authorization_token(
    Call& call, const m::GetAuthorizationTokenRequest&) {
  ecr::Login login{call.principal, call.region, call.now + ecr::kTokenLife};
  m::GetAuthorizationTokenResponse response;
  auto& data = response.authorization_data.emplace().emplace_back();
  data.authorization_token = base64("AWS:" + ecr::seal_login(keyring_, login));
  data.expires_at = login.expires_at;
  data.proxy_endpoint = call.endpoint;
  return response;
}

}  // namespace bastide::services
