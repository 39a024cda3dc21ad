#include "services/ecr/token.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/json.h"

namespace bastide::services::ecr {
namespace {

constexpr size_t kMaxTokenBytes = 32u << 10;

json::Value pairs(const std::vector<std::pair<std::string, std::string>>& all) {
  json::Array out;
  for (const auto& [key, value] : all) out.push_back(json::array({key, value}));
  return out;
}

std::vector<std::pair<std::string, std::string>> pairs_from(const json::Value& value, std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& p : value.get_array(key)) {
    if (p.is_array() && p.array().size() == 2) out.emplace_back(p.array()[0].string(), p.array()[1].string());
  }
  return out;
}

json::Value to_json(const aws::Principal& p) {
  json::Array policies, transitive;
  for (const auto& policy : p.session_policies) policies.push_back(policy.source());
  for (const auto& tag : p.transitive_tags) transitive.emplace_back(tag);
  return json::object({{"kind", static_cast<int>(p.kind)},
                       {"account", p.account},
                       {"arn", p.arn},
                       {"id", p.id},
                       {"name", p.name},
                       {"role_arn", p.role_arn},
                       {"access_key_id", p.access_key_id},
                       {"session_policies", std::move(policies)},
                       {"tags", pairs(p.tags)},
                       {"session_tags", pairs(p.session_tags)},
                       {"transitive_tags", std::move(transitive)},
                       {"source_identity", p.source_identity},
                       {"mfa", p.mfa},
                       {"mfa_at", p.mfa_at},
                       {"issued_at", p.issued_at},
                       {"expires_at", p.expires_at}});
}

aws::Principal principal_from(const json::Value& v) {
  aws::Principal p;
  p.kind = static_cast<aws::Principal::Kind>(v.get_int("kind"));
  p.account = v.get("account");
  p.arn = v.get("arn");
  p.id = v.get("id");
  p.name = v.get("name");
  p.role_arn = v.get("role_arn");
  p.access_key_id = v.get("access_key_id");
  for (const auto& policy : v.get_array("session_policies")) p.session_policies.emplace_back(policy);
  p.tags = pairs_from(v, "tags");
  p.session_tags = pairs_from(v, "session_tags");
  for (const auto& tag : v.get_array("transitive_tags")) p.transitive_tags.push_back(tag.string());
  p.source_identity = v.get("source_identity");
  p.mfa = v.get_bool("mfa");
  p.mfa_at = v.get_int("mfa_at");
  p.issued_at = v.get_int("issued_at");
  p.expires_at = v.get_int("expires_at");
  return p;
}

}  // namespace

std::string seal_login(store::Keyring& keyring, const Login& login) {
  const json::Value body = json::object(
      {{"principal", to_json(login.principal)}, {"region", login.region}, {"expires_at", login.expires_at}});
  return base64url(keyring.seal("ecr.login", json::print(body), ""));
}

Result<Login> open_login(store::Keyring& keyring, std::string_view password, Millis now) {
  if (password.size() > kMaxTokenBytes) return error("Denied", "not a token of this registry");
  auto sealed = unbase64url(password);
  if (!sealed) return error("Denied", "not a token of this registry");
  auto text = keyring.unseal("ecr.login", sealed.value(), "");
  if (!text) return error("Denied", "not a token of this registry");
  const json::Value body = TRY(json::parse(text.value()));
  Login login;
  login.region = body.get("region");
  login.expires_at = body.get_int("expires_at");
  if (now >= login.expires_at) {
    return error("Expired", "Your authorization token has expired. Reauthenticate and try again.");
  }
  if (const auto* principal = body.find("principal")) login.principal = principal_from(*principal);
  return login;
}

std::string seal_ticket(store::Keyring& keyring, const RepositoryRef& ref, const std::string& digest,
                        Millis now) {
  const json::Value body = json::object({{"account", ref.account},
                                         {"region", ref.region},
                                         {"name", ref.name},
                                         {"expires_at", now + kTicketLife}});
  return base64url(keyring.seal("ecr.ticket", json::print(body), digest));
}

Result<RepositoryRef> open_ticket(store::Keyring& keyring, std::string_view ticket, const std::string& digest,
                                  Millis now) {
  if (ticket.size() > kMaxTokenBytes) return error("Denied", "not a ticket of this registry");
  auto sealed = unbase64url(ticket);
  if (!sealed) return error("Denied", "not a ticket of this registry");
  auto text = keyring.unseal("ecr.ticket", sealed.value(), digest);
  if (!text) return error("Denied", "not a ticket for this layer");
  const json::Value body = TRY(json::parse(text.value()));
  if (now >= body.get_int("expires_at")) return error("Expired", "The download URL has expired");
  return RepositoryRef{body.get("account"), body.get("region"), body.get("name")};
}

std::string seal_page(store::Keyring& keyring, const std::string& listing, const std::string& last) {
  return base64(keyring.seal("ecr.page", last, listing));
}

Result<std::string> open_page(store::Keyring& keyring, const std::string& listing, const std::string& token) {
  auto sealed = unbase64(token);
  if (sealed) {
    auto last = keyring.unseal("ecr.page", sealed.value(), listing);
    if (last) return std::move(last).value();
  }
  return invalid_parameter(
      "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Token is invalid'");
}

}  // namespace bastide::services::ecr
