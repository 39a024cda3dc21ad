#include "services/sts/sts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"

namespace bastide::services {

namespace op = model::sts::op;
using Kind = aws::Principal::Kind;

namespace {

constexpr int64_t kDefaultRoleSeconds = 3600;
constexpr int64_t kChainedRoleSeconds = 3600;
constexpr int64_t kDefaultUserSeconds = 43'200;
constexpr size_t kMaxSessionPolicy = 2048;
constexpr size_t kMaxSessionTags = 50;

Error denied(std::string message) { return fault("AccessDenied", std::move(message), 403); }
Error invalid(std::string message) { return fault("ValidationError", std::move(message), 400); }

model::sts::Credentials shape(const aws::Credentials& c) {
  return {c.access_key_id, c.secret_access_key, c.session_token, c.expires_at};
}

std::string session_arn(const aws::RoleInfo& role, const std::string& session) {
  return aws::make_arn("sts", "", role.account, "assumed-role/" + role.name + "/" + session);
}

// Tags of the request, and those that the caller's session passes on. Keys differ without regard to case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
Result<void> add_tags(aws::Principal& session, const aws::Principal& caller,
                      const op::AssumeRole::Request& q) {
  std::set<std::string> taken;
  for (const auto& key : caller.transitive_tags) {
    for (const auto& [name, value] : caller.session_tags) {
      if (!iequals(name, key)) continue;
      session.session_tags.emplace_back(name, value);
      session.transitive_tags.push_back(name);
      taken.insert(lower(name));
    }
  }
  if (q.tags) {
    if (q.tags->size() > kMaxSessionTags) return invalid("Session tags: at most 50");
    for (const auto& t : *q.tags) {
      if (lower(t.key).starts_with("aws:")) return invalid("Tag keys that begin with aws: are reserved");
      if (!taken.insert(lower(t.key)).second) {
        return fault("InvalidParameterValue",
                     fmt::format("Duplicate tag keys found, or a transitive tag is overridden: {}", t.key),
                     400);
      }
      session.session_tags.emplace_back(t.key, t.value);
    }
  }
  if (q.transitive_tag_keys) {
    for (const auto& key : *q.transitive_tag_keys) {
      if (!taken.contains(lower(key))) {
        return fault("InvalidParameterValue",
                     "The specified transitive tag key must be included in the requested tags.", 400);
      }
      session.transitive_tags.push_back(key);
    }
  }
  return {};
}

}  // namespace

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html
void Sts::offer(aws::Registry& r) {
  r.add<op::GetCallerIdentity>(this, &Sts::get_caller_identity, {""});
  r.add<op::GetSessionToken>(this, &Sts::get_session_token, {""});
  r.add<op::GetAccessKeyInfo>(this, &Sts::get_access_key_info, {""});
  r.add<op::DecodeAuthorizationMessage>(this, &Sts::decode_authorization_message,
                                        {"sts:DecodeAuthorizationMessage"});
  r.add_unauthenticated<op::AssumeRoleWithWebIdentity>(this, &Sts::assume_role_with_web_identity);
  r.add<op::AssumeRole>(this, &Sts::assume_role,
                        {"sts:AssumeRole", [this](const Call& call, const op::AssumeRole::Request& q) {
                           return assume_role_targets(call, q);
                         }});
}

Result<std::vector<aws::Target>> Sts::assume_role_targets(const Call& call,
                                                          const op::AssumeRole::Request& q) {
  auto arn = aws::parse_arn(q.role_arn);
  if (!arn || arn->service != "iam" || !arn->resource.starts_with("role/")) {
    return invalid(fmt::format("{} is invalid", q.role_arn));
  }
  const auto role = TRY(identities_.role(q.role_arn));
  aws::Target t;
  t.action = "sts:AssumeRole";
  t.resource = q.role_arn;
  t.owner = arn->account;
  t.mode = aws::PolicyMode::resource_only;
  // A role that does not exist is refused as one that does not trust the caller.
  if (role) t.policy = role->trust;
  t.context.emplace_back("sts:RoleSessionName", q.role_session_name);
  if (q.external_id) t.context.emplace_back("sts:ExternalId", *q.external_id);
  const std::string& source = q.source_identity ? *q.source_identity : call.principal.source_identity;
  if (!source.empty()) t.context.emplace_back("sts:SourceIdentity", source);
  if (role) {
    for (const auto& [key, value] : role->tags) {
      t.context.emplace_back("aws:ResourceTag/" + key, value);
      t.context.emplace_back("iam:ResourceTag/" + key, value);
    }
  }
  if (q.tags) {
    for (const auto& tag : *q.tags) {
      t.context.emplace_back("aws:RequestTag/" + tag.key, tag.value);
      t.context.emplace_back("aws:TagKeys", tag.key);
    }
  }
  if (q.transitive_tag_keys) {
    for (const auto& key : *q.transitive_tag_keys) t.context.emplace_back("sts:TransitiveTagKeys", key);
  }
  if (q.token_code.has_value() != q.serial_number.has_value()) {
    return denied(
        "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.");
  }
  if (q.token_code) {
    const bool right = call.principal.kind == Kind::user &&
                       TRY(identities_.verify_mfa(call.principal.account, call.principal.name,
                                                  *q.serial_number, *q.token_code));
    if (!right) return denied("MultiFactorAuthentication failed with invalid MFA one time pass code. ");
    t.context.emplace_back("aws:MultiFactorAuthPresent", "true");
    t.context.emplace_back("aws:MultiFactorAuthAge", "0");
  }
  std::vector<aws::Target> targets{t};
  if ((q.tags && !q.tags->empty()) || !call.principal.transitive_tags.empty()) {
    t.action = "sts:TagSession";
    targets.push_back(t);
  }
  if (!source.empty()) {
    t.action = "sts:SetSourceIdentity";
    targets.push_back(t);
  }
  return targets;
}

Result<std::vector<std::string>> Sts::session_policies(
    const std::string& account, const std::optional<std::string>& policy,
    const std::optional<std::vector<model::sts::PolicyDescriptorType>>& arns) {
  std::vector<std::string> texts;
  size_t size = 0;
  if (policy) {
    TRY(aws::check_identity_policy(*policy));
    size += policy->size();
    texts.push_back(*policy);
  }
  if (size > kMaxSessionPolicy) {
    return fault("PackedPolicyTooLarge",
                 fmt::format("Packed size of session policies exceeds {} bytes.", kMaxSessionPolicy), 400);
  }
  if (arns) {
    constexpr size_t kMaxArns = 10;
    if (arns->size() > kMaxArns) return invalid("PolicyArns: at most 10");
    for (const auto& p : *arns) {
      const auto text = TRY(identities_.policy_text(account, p.arn.value_or("")));
      if (!text)
        return invalid(fmt::format("Policy {} does not exist or is not attachable.", p.arn.value_or("")));
      texts.push_back(*text);
    }
  }
  return texts;
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
Result<op::AssumeRole::Response> Sts::assume_role(Call& call, const op::AssumeRole::Request& q) {
  if (call.principal.kind == Kind::root) return denied("Roles may not be assumed by root accounts.");
  const auto role = TRY(identities_.role(q.role_arn));
  if (!role) {
    return denied(fmt::format("User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
                              call.principal.arn, q.role_arn));
  }
  if (accounts_ && !accounts_->active(role->account)) return denied("The account of the role is closed.");
  const int64_t seconds = q.duration_seconds.value_or(kDefaultRoleSeconds);
  if (seconds > role->max_session_seconds) {
    return invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  }
  if (call.principal.kind == Kind::assumed_role && seconds > kChainedRoleSeconds) {
    return invalid(
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.");
  }
  Session session;
  auto& p = session.principal;
  p.kind = Kind::assumed_role;
  p.account = role->account;
  p.name = role->name;
  p.role_arn = role->arn;
  p.arn = session_arn(*role, q.role_session_name);
  p.id = role->id + ":" + q.role_session_name;
  if (!call.principal.source_identity.empty() && q.source_identity &&
      *q.source_identity != call.principal.source_identity) {
    return denied("Source identity cannot be changed once set.");
  }
  p.source_identity = q.source_identity ? *q.source_identity : call.principal.source_identity;
  TRY(add_tags(p, call.principal, q));
  p.issued_at = call.now;
  p.expires_at = call.now + seconds * kSecond;
  TRY(bind_to_origin(p, call.principal));
  session.policies = TRY(session_policies(role->account, q.policy, q.policy_arns));
  const auto credentials = mint(session);
  op::AssumeRole::Response out;
  out.credentials = shape(credentials);
  out.assumed_role_user = model::sts::AssumedRoleUser{p.id, p.arn};
  if (!p.source_identity.empty()) out.source_identity = p.source_identity;
  return out;
}

Result<void> Sts::bind_to_origin(aws::Principal& session, const aws::Principal& caller) {
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) session.session_tags.emplace_back(key, value);
  };
  put(aws::kAssumedByTag, aws::origin_of(caller));
  put(aws::kAssumedByIdTag,
      caller.kind == Kind::user ? caller.id : aws::session_tag(caller, aws::kAssumedByIdTag));
  std::string request = aws::session_tag(caller, aws::kAccessRequestTag);
  std::string until = aws::session_tag(caller, aws::kAccessUntilTag);
  if (request.empty() && grants_ && caller.kind == Kind::user) {
    const auto grant = TRY(grants_->grant_of(caller.arn, session.role_arn));
    if (grant) {
      request = grant->id;
      until = std::to_string(grant->ends);
    }
  }
  put(aws::kAccessRequestTag, request);
  put(aws::kAccessUntilTag, until);
  if (const auto ends = parse_int(until); ends)
    session.expires_at = std::min<Millis>(session.expires_at, *ends);
  return {};
}

Result<aws::Credentials> Sts::mint_user_session(const std::string& account, const std::string& name, bool mfa,
                                                Millis duration) {
  if (accounts_ && !accounts_->active(account)) return denied("The account is closed.");
  const auto user = TRY(identities_.user(account, name));
  if (!user) return denied("There is no such user.");
  Session session;
  auto& p = session.principal;
  p.kind = Kind::user;
  p.account = account;
  p.arn = user->arn;
  p.id = user->id;
  p.name = user->name;
  p.issued_at = clock_.wall();
  p.expires_at = p.issued_at + duration;
  p.mfa = mfa;
  p.mfa_at = mfa ? p.issued_at : 0;
  return mint(session);
}

Result<aws::Credentials> Sts::mint_role_session(const std::string& role_arn, const std::string& session_name,
                                                Millis duration, const std::string& service) {
  const auto role = TRY(identities_.role(role_arn));
  aws::Target t;
  t.action = "sts:AssumeRole";
  t.resource = role_arn;
  t.mode = aws::PolicyMode::resource_only;
  if (role) t.policy = role->trust;
  Call call;
  call.principal = aws::Principal::service(service);
  call.now = clock_.wall();
  call.secure = true;
  if (role) call.account = t.owner = role->account;
  const auto decision = aws::decide(call, t, {});
  if (!decision.allowed || !role) return denied(decision.message);
  if (accounts_ && !accounts_->active(role->account)) return denied("The account of the role is closed.");
  Session session;
  auto& p = session.principal;
  p.kind = Kind::assumed_role;
  p.account = role->account;
  p.name = role->name;
  p.role_arn = role->arn;
  p.arn = session_arn(*role, session_name);
  p.id = role->id + ":" + session_name;
  p.issued_at = call.now;
  p.expires_at = call.now + duration;
  return mint(session);
}

aws::Credentials Sts::mint_service_session(const std::string& service, const std::string& source_arn,
                                           const std::string& source_account, Millis duration) {
  Session session;
  auto& p = session.principal;
  p = aws::Principal::service(service);
  p.source_arn = source_arn;
  p.source_account = source_account;
  p.issued_at = clock_.wall();
  p.expires_at = p.issued_at + duration;
  return mint(session);
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
Result<op::GetSessionToken::Response> Sts::get_session_token(Call& call,
                                                             const op::GetSessionToken::Request& q) {
  const auto& caller = call.principal;
  if ((caller.kind != Kind::user && caller.kind != Kind::root) || caller.issued_at > 0) {
    return denied("Cannot call GetSessionToken with session credentials");
  }
  int64_t seconds = q.duration_seconds.value_or(kDefaultUserSeconds);
  if (caller.kind == Kind::root) seconds = std::min<int64_t>(seconds, 3600);
  Session session;
  session.principal = caller;
  auto& p = session.principal;
  p.tags.clear();
  if (q.serial_number || q.token_code) {
    const bool right =
        q.serial_number && q.token_code && caller.kind == Kind::user &&
        TRY(identities_.verify_mfa(caller.account, caller.name, *q.serial_number, *q.token_code));
    if (!right) return denied("MultiFactorAuthentication failed with invalid MFA one time pass code. ");
    p.mfa = true;
    p.mfa_at = call.now;
  }
  p.issued_at = call.now;
  p.expires_at = call.now + seconds * kSecond;
  op::GetSessionToken::Response out;
  out.credentials = shape(mint(session));
  return out;
}

Result<op::GetCallerIdentity::Response> Sts::get_caller_identity(Call& call,
                                                                 const op::GetCallerIdentity::Request&) {
  return op::GetCallerIdentity::Response{call.principal.id, call.principal.account, call.principal.arn};
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html
Result<op::GetAccessKeyInfo::Response> Sts::get_access_key_info(Call&,
                                                                const op::GetAccessKeyInfo::Request& q) {
  constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  unsigned __int128 bits = 0;
  bool valid = q.access_key_id.size() == 20 &&
               (q.access_key_id.starts_with("AKIA") || q.access_key_id.starts_with("ASIA"));
  for (size_t i = 4; valid && i < q.access_key_id.size(); ++i) {
    const size_t value = kBase32.find(q.access_key_id[i]);
    valid = value != std::string_view::npos;
    bits = (bits << 5) | value;
  }
  if (!valid) return invalid("Invalid type for parameter AccessKeyId");
  return op::GetAccessKeyInfo::Response{
      fmt::format("{:012}", static_cast<uint64_t>(bits >> 39) & ((uint64_t{1} << 40) - 1))};
}

}  // namespace bastide::services
