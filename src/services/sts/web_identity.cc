// Sessions for whoever an OpenID Connect provider vouches for.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "aws/web_token.h"
#include "base/bytes.h"
#include "services/sts/sts.h"

namespace bastide::services {

namespace op = model::sts::op;
using Kind = aws::Principal::Kind;

namespace {

constexpr Millis kClockSkew = 5 * kMinute;
constexpr size_t kMaxClaimTags = 50;
constexpr const char* kTagsClaim = "https://aws.amazon.com/tags";
constexpr const char* kSourceClaim = "https://aws.amazon.com/source_identity";

Error invalid_token(std::string message) { return fault("InvalidIdentityToken", std::move(message), 400); }
Error not_authorized() {
  return fault("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403);
}

std::string text_of(const json::Value& v) {
  return v.is_string() ? v.string() : v.is_bool() || v.is_number() ? json::print(v) : "";
}

}  // namespace

Result<aws::WebIdentity> Sts::verify_web_identity(const std::string& account, const std::string& text) {
  if (!oidc_ || !web_keys_) return invalid_token("No OpenIDConnect provider found in your account");
  const auto token = aws::parse_web_token(text);
  if (!token)
    return invalid_token(
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)");
  if (!token->issuer.starts_with("https://")) return invalid_token("Issuer must be a valid URL");
  std::string issuer = token->issuer.substr(8);
  while (issuer.ends_with('/')) issuer.pop_back();
  const auto providers = TRY(oidc_->oidc_providers(account));
  const auto provider =
      std::find_if(providers.begin(), providers.end(), [&](const auto& p) { return p.issuer == issuer; });
  if (provider == providers.end()) {
    return invalid_token(
        fmt::format("No OpenIDConnect provider found in your account for {}", token->issuer));
  }
  const json::Value keys = TRY(web_keys_->keys_of("https://" + issuer, false));
  auto checked = aws::verify_web_token(*token, keys);
  if (!checked && checked.error().code == "NotFound") {
    const json::Value fresh = TRY(web_keys_->keys_of("https://" + issuer, true));
    checked = aws::verify_web_token(*token, fresh);
  }
  if (!checked) return invalid_token("Couldn't verify the token: " + checked.error().message);
  const Millis now = clock_.wall();
  if (token->expires_at == 0 || token->issued_at == 0)
    return invalid_token("Missing a required claim: exp or iat");
  if (now >= token->expires_at) {
    return fault("ExpiredTokenException",
                 fmt::format("Token expired: current date/time {} must be before the expiration date/time {}",
                             now / 1000, token->expires_at / 1000),
                 400);
  }
  if (token->not_before > now + kClockSkew || token->issued_at > now + kClockSkew)
    return invalid_token("The token is not valid yet");
  if (token->subject.empty()) return invalid_token("Missing a required claim: sub");
  aws::WebIdentity identity;
  identity.audience = token->authorized_party;
  if (identity.audience.empty() && !token->audience.empty()) identity.audience = token->audience.front();
  // With azp that is the client; else any of the audiences may be.
  const auto known = [&](const std::string& client) {
    return std::find(provider->clients.begin(), provider->clients.end(), client) != provider->clients.end();
  };
  if (token->authorized_party.empty()) {
    const auto mine = std::find_if(token->audience.begin(), token->audience.end(), known);
    if (mine == token->audience.end()) return invalid_token("Incorrect token audience");
    identity.audience = *mine;
  } else if (!known(token->authorized_party)) {
    return invalid_token("Incorrect token audience");
  }
  identity.provider_arn = provider->arn;
  identity.issuer = issuer;
  identity.subject = token->subject;
  identity.claims = token->claims;
  return identity;
}

Result<op::AssumeRoleWithWebIdentity::Response> Sts::assume_role_with_web_identity(
    Call& call, const op::AssumeRoleWithWebIdentity::Request& q) {
  const auto arn = aws::parse_arn(q.role_arn);
  if (!arn || arn->service != "iam" || !arn->resource.starts_with("role/")) {
    return fault("ValidationError", fmt::format("{} is invalid", q.role_arn), 400);
  }
  call.account = arn->account;
  if (q.provider_id) {
    return fault(
        "ValidationError",
        "ProviderId is for OAuth 2.0 access tokens of Facebook and Amazon; only OpenID Connect is supported",
        400);
  }
  if (accounts_ && !accounts_->active(arn->account)) return not_authorized();
  const auto identity = TRY(verify_web_identity(arn->account, q.web_identity_token));
  call.principal.kind = Kind::federated_user;
  call.principal.account.clear();
  call.principal.arn = identity.provider_arn;
  call.principal.id = identity.issuer + ":" + identity.audience + ":" + identity.subject;

  const auto role = TRY(identities_.role(q.role_arn));
  if (!role) return not_authorized();
  Session session;
  auto& p = session.principal;
  aws::Target t;
  t.action = "sts:AssumeRoleWithWebIdentity";
  t.resource = q.role_arn;
  t.owner = arn->account;
  t.mode = aws::PolicyMode::resource_only;
  t.policy = role->trust;
  const std::string prefix = identity.issuer + ":";
  t.context.emplace_back(prefix + "aud", identity.audience);
  t.context.emplace_back(prefix + "sub", identity.subject);
  for (const char* claim : {"email", "oaud"}) {
    const json::Value* v = identity.claims.find(claim);
    if (v && v->is_string()) t.context.emplace_back(prefix + claim, v->string());
  }
  for (const auto& one : identity.claims.get_array("amr"))
    t.context.emplace_back(prefix + "amr", text_of(one));
  t.context.emplace_back("aws:FederatedProvider", identity.provider_arn);
  t.context.emplace_back("sts:RoleSessionName", q.role_session_name);
  for (const auto& [key, value] : role->tags) {
    t.context.emplace_back("aws:ResourceTag/" + key, value);
    t.context.emplace_back("iam:ResourceTag/" + key, value);
  }
  p.source_identity = identity.claims.get(kSourceClaim);
  if (!p.source_identity.empty()) t.context.emplace_back("sts:SourceIdentity", p.source_identity);
  // Tags in the token:
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
  if (const json::Value* tags = identity.claims.find(kTagsClaim)) {
    for (const auto& [key, values] : tags->get_object("principal_tags")) {
      const std::string value =
          values.is_array() && values.array().size() == 1 ? text_of(values.array()[0]) : text_of(values);
      if (lower(key).starts_with("aws:") || key.size() > 128 || value.size() > 256 ||
          p.session_tags.size() >= kMaxClaimTags) {
        return fault("IDPRejectedClaim", "The token's tags are not valid session tags", 403);
      }
      p.session_tags.emplace_back(key, value);
      t.context.emplace_back("aws:RequestTag/" + key, value);
      t.context.emplace_back("aws:TagKeys", key);
    }
    for (const auto& key : tags->get_array("transitive_tag_keys")) {
      p.transitive_tags.push_back(text_of(key));
      t.context.emplace_back("sts:TransitiveTagKeys", text_of(key));
    }
  }
  std::vector<std::string> actions{t.action};
  if (!p.session_tags.empty()) actions.emplace_back("sts:TagSession");
  if (!p.source_identity.empty()) actions.emplace_back("sts:SetSourceIdentity");
  for (const auto& action : actions) {
    t.action = action;
    if (!aws::decide(call, t, {}).allowed) return not_authorized();
  }
  constexpr int64_t kDefaultSeconds = 3600;
  const int64_t seconds = q.duration_seconds.value_or(kDefaultSeconds);
  if (seconds > role->max_session_seconds) {
    return fault("ValidationError",
                 "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 400);
  }
  p.kind = Kind::assumed_role;
  p.account = role->account;
  p.name = role->name;
  p.role_arn = role->arn;
  p.arn = aws::make_arn("sts", "", role->account, "assumed-role/" + role->name + "/" + q.role_session_name);
  p.id = role->id + ":" + q.role_session_name;
  p.issued_at = call.now;
  p.expires_at = call.now + seconds * kSecond;
  session.policies = TRY(session_policies(role->account, q.policy, q.policy_arns));
  p.session_tags.emplace_back(aws::kAssumedByTag, call.principal.id);
  const auto credentials = mint(session);
  op::AssumeRoleWithWebIdentity::Response out;
  out.credentials = model::sts::Credentials{credentials.access_key_id, credentials.secret_access_key,
                                            credentials.session_token, credentials.expires_at};
  out.subject_from_web_identity_token = identity.subject;
  out.assumed_role_user = model::sts::AssumedRoleUser{p.id, p.arn};
  out.provider = "https://" + identity.issuer;
  out.audience = identity.audience;
  if (!p.source_identity.empty()) out.source_identity = p.source_identity;
  return out;
}

}  // namespace bastide::services
