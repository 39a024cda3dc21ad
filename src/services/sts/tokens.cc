// Session tokens: sealed JSON, bound to the access key id that they were made for.
#include <fmt/format.h>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/sts/sts.h"

namespace bastide::services {
namespace {

constexpr const char* kPurpose = "sts.session";
constexpr size_t kMaxToken = 65'536;
constexpr size_t kMaxRemembered = 20'000;
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

Error unknown() {
  return fault("InvalidClientTokenId", "The security token included in the request is invalid.", 403);
}
Error expired() {
  return fault("ExpiredToken", "The security token included in the request is expired", 403);
}

using Tags = std::vector<std::pair<std::string, std::string>>;

json::Value to_json(const Tags& tags) {
  json::Value out = json::object();
  for (const auto& [key, value] : tags) out[key] = value;
  return out;
}

// As iam's: the first 41 bits carry the account.
std::string access_key_id(const std::string& account) {
  uint64_t number = 0, low = 0;
  if (auto n = parse_int(account)) number = static_cast<uint64_t>(*n);
  const std::string random = random_bytes(5);
  for (const char c : random) low = (low << 8) | static_cast<uint8_t>(c);
  unsigned __int128 bits = (static_cast<unsigned __int128>(number) << 39) | (low & ((uint64_t{1} << 39) - 1));
  std::string out = "ASIA";
  for (int shift = 75; shift >= 0; shift -= 5) out += kBase32[static_cast<size_t>(bits >> shift) & 31];
  return out;
}

}  // namespace

aws::Credentials Sts::mint(const Session& session) {
  const auto& p = session.principal;
  aws::Credentials c;
  c.access_key_id = access_key_id(p.account);
  c.secret_access_key = random_text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
  c.expires_at = p.expires_at;
  json::Value policies = json::array(), transitive = json::array();
  for (const auto& text : session.policies) policies.push(text);
  for (const auto& key : p.transitive_tags) transitive.push(key);
  const json::Value body = json::object({
      {"secret", c.secret_access_key},
      {"kind", static_cast<int>(p.kind)},
      {"account", p.account},
      {"arn", p.arn},
      {"id", p.id},
      {"name", p.name},
      {"role", p.role_arn},
      {"policies", std::move(policies)},
      {"tags", to_json(p.session_tags)},
      {"transitive", std::move(transitive)},
      {"source", p.source_identity},
      {"for_arn", p.source_arn},
      {"for_account", p.source_account},
      {"mfa", p.mfa},
      {"mfa_at", p.mfa_at},
      {"issued", p.issued_at},
      {"expires", p.expires_at},
  });
  c.session_token = base64(keyring_.seal(kPurpose, json::print(body), c.access_key_id));
  return c;
}

Result<aws::Identity> Sts::open(const std::string& access_key_id, const std::string& token) {
  if (token.size() > kMaxToken) return unknown();
  const auto sealed = unbase64(token);
  if (!sealed) return unknown();
  const auto text = keyring_.unseal(kPurpose, *sealed, access_key_id);
  if (!text) return unknown();
  const auto body = json::parse(*text);
  if (!body) return unknown();
  aws::Identity identity;
  identity.secret_access_key = body->get("secret");
  auto& p = identity.principal;
  p.kind = static_cast<aws::Principal::Kind>(body->get_int("kind"));
  p.account = body->get("account");
  p.arn = body->get("arn");
  p.id = body->get("id");
  p.name = body->get("name");
  p.role_arn = body->get("role");
  p.access_key_id = access_key_id;
  for (const auto& policy : body->get_array("policies")) {
    p.session_policies.push_back(aws::PolicyDocument::of_text(policy.string()));
  }
  for (const auto& [key, value] : body->get_object("tags")) p.session_tags.emplace_back(key, value.string());
  for (const auto& key : body->get_array("transitive")) p.transitive_tags.push_back(key.string());
  p.source_identity = body->get("source");
  p.source_arn = body->get("for_arn");
  p.source_account = body->get("for_account");
  p.mfa = body->get_bool("mfa");
  p.mfa_at = body->get_int("mfa_at");
  p.issued_at = body->get_int("issued");
  p.expires_at = body->get_int("expires");
  return identity;
}

Result<void> Sts::revive(aws::Principal& p) {
  if (p.kind == aws::Principal::Kind::service) return {};
  if (accounts_ && !accounts_->active(p.account)) return unknown();
  if (p.kind == aws::Principal::Kind::assumed_role) {
    const auto role = TRY(identities_.role(p.role_arn));
    if (!role || !p.id.starts_with(role->id + ":")) return unknown();
    p.tags = role->tags;
    // Removing a user ends what the user has assumed, and the end of a grant what it gave.
    const std::string by = aws::session_tag(p, aws::kAssumedByIdTag),
                      arn = aws::session_tag(p, aws::kAssumedByTag);
    if (!by.empty()) {
      const auto parts = aws::parse_arn(arn);
      if (!parts) return unknown();
      const auto user = TRY(identities_.user(parts->account, arn.substr(arn.rfind('/') + 1)));
      if (!user || user->id != by) return unknown();
    }
    const std::string request = aws::session_tag(p, aws::kAccessRequestTag);
    if (!request.empty() && (!grants_ || !grants_->active(request))) return unknown();
  } else if (p.kind == aws::Principal::Kind::user) {
    const auto user = TRY(identities_.user(p.account, p.name));
    if (!user || user->id != p.id) return unknown();
    p.tags = user->tags;
  }
  return {};
}

Result<aws::Identity> Sts::identify(const std::string& access_key_id, const std::string& session_token) {
  if (session_token.empty()) {
    if (access_key_id.starts_with("ASIA")) return unknown();
    return long_term_.identify(access_key_id, session_token);
  }
  const Millis now = clock_.wall();
  const uint64_t generation = identities_.generation();
  const uint64_t accounts_generation = accounts_ ? accounts_->generation() : 0;
  auto it = sessions_.find(session_token);
  if (it == sessions_.end()) {
    auto identity = TRY(open(access_key_id, session_token));
    if (now >= identity.principal.expires_at) return expired();
    TRY(revive(identity.principal));
    if (sessions_.size() >= kMaxRemembered) sessions_.clear();
    sessions_[session_token] = {identity, generation, accounts_generation};
    return identity;
  }
  auto& remembered = it->second;
  if (remembered.identity.principal.access_key_id != access_key_id) return unknown();
  if (now >= remembered.identity.principal.expires_at) {
    sessions_.erase(it);
    return expired();
  }
  if (remembered.generation != generation || remembered.accounts_generation != accounts_generation) {
    auto revived = revive(remembered.identity.principal);
    if (!revived) {
      sessions_.erase(it);
      return std::move(revived).error();
    }
    remembered.generation = generation;
    remembered.accounts_generation = accounts_generation;
  }
  return remembered.identity;
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
std::string Sts::encode_authorization_message(const std::string& account, const json::Value& denial) {
  return base64url(keyring_.seal("sts.authorization-message", json::print(denial), account));
}

Result<model::sts::op::DecodeAuthorizationMessage::Response> Sts::decode_authorization_message(
    Call& call, const model::sts::op::DecodeAuthorizationMessage::Request& q) {
  const auto sealed = unbase64url(q.encoded_message);
  const auto text = sealed ? keyring_.unseal("sts.authorization-message", *sealed, call.account)
                           : Result<std::string>(error("not a message"));
  if (!text) return fault("InvalidAuthorizationMessageException", "Message is not valid", 400);
  return model::sts::op::DecodeAuthorizationMessage::Response{*text};
}

}  // namespace bastide::services
