// The account itself: alias, password policy, summary; and OpenID Connect providers.
#include <fmt/format.h>

#include "services/iam/iam_templates.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

namespace {

Result<json::Value> settings(store::Reader& r, const std::string& account) {
  auto row = TRY(r.get(account_key(account)));
  if (row) return std::move(row->body);
  return json::object();
}

Result<void> put_settings(store::Writer& w, const std::string& account, const json::Value& body) {
  std::vector<store::Index> indexes;
  if (body.has("alias")) indexes.push_back({"alias", body.get("alias")});
  return w.put(account_key(account), body, indexes);
}

Error no_password_policy(const std::string& account) {
  return fault("NoSuchEntity",
               fmt::format("The Password Policy with domain name {} cannot be found.", account));
}

}  // namespace

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccountAlias.html
Result<op::CreateAccountAlias::Response> Iam::create_account_alias(Call& call,
                                                                   const op::CreateAccountAlias::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto owners = TRY(w.find("iam.account", "alias", q.account_alias));
    for (const auto& row : owners) {
      if (row.key.account != call.account) {
        return fault("EntityAlreadyExists",
                     fmt::format("The account alias {} already exists.", q.account_alias));
      }
    }
    auto body = TRY(settings(w, call.account));
    body["alias"] = q.account_alias;
    return put_settings(w, call.account, body);
  }));
  return op::CreateAccountAlias::Response{};
}

Result<op::DeleteAccountAlias::Response> Iam::delete_account_alias(Call& call,
                                                                   const op::DeleteAccountAlias::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(settings(w, call.account));
    if (body.get("alias") != q.account_alias) {
      return fault("NoSuchEntity", fmt::format("The account alias {} does not exist.", q.account_alias));
    }
    body.remove("alias");
    return put_settings(w, call.account, body);
  }));
  return op::DeleteAccountAlias::Response{};
}

Result<op::ListAccountAliases::Response> Iam::list_account_aliases(Call& call,
                                                                   const op::ListAccountAliases::Request&) {
  auto row = TRY(db_.get(account_key(call.account)));
  op::ListAccountAliases::Response out;
  if (row && row->body.has("alias")) out.account_aliases.push_back(row->body.get("alias"));
  out.is_truncated = false;
  return out;
}

// Replaces the whole policy: what is not given goes back to its default.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccountPasswordPolicy.html
Result<op::UpdateAccountPasswordPolicy::Response> Iam::update_account_password_policy(
    Call& call, const op::UpdateAccountPasswordPolicy::Request& q) {
  json::Value p = json::object({
      {"MinimumPasswordLength", int64_t{q.minimum_password_length.value_or(6)}},
      {"RequireSymbols", q.require_symbols.value_or(false)},
      {"RequireNumbers", q.require_numbers.value_or(false)},
      {"RequireUppercaseCharacters", q.require_uppercase_characters.value_or(false)},
      {"RequireLowercaseCharacters", q.require_lowercase_characters.value_or(false)},
      {"AllowUsersToChangePassword", q.allow_users_to_change_password.value_or(false)},
      {"HardExpiry", q.hard_expiry.value_or(false)},
  });
  if (q.max_password_age) p["MaxPasswordAge"] = int64_t{*q.max_password_age};
  if (q.password_reuse_prevention) {
    return fault("InvalidInput",
                 "PasswordReusePrevention is not supported: only the current password is kept.");
  }
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(settings(w, call.account));
    body["password_policy"] = p;
    return put_settings(w, call.account, body);
  }));
  return op::UpdateAccountPasswordPolicy::Response{};
}

Result<op::GetAccountPasswordPolicy::Response> Iam::get_account_password_policy(
    Call& call, const op::GetAccountPasswordPolicy::Request&) {
  auto row = TRY(db_.get(account_key(call.account)));
  const json::Value* p = row ? row->body.find("password_policy") : nullptr;
  if (!p) return no_password_policy(call.account);
  op::GetAccountPasswordPolicy::Response out;
  auto& s = out.password_policy;
  s.minimum_password_length = static_cast<int32_t>(p->get_int("MinimumPasswordLength"));
  s.require_symbols = p->get_bool("RequireSymbols");
  s.require_numbers = p->get_bool("RequireNumbers");
  s.require_uppercase_characters = p->get_bool("RequireUppercaseCharacters");
  s.require_lowercase_characters = p->get_bool("RequireLowercaseCharacters");
  s.allow_users_to_change_password = p->get_bool("AllowUsersToChangePassword");
  s.hard_expiry = p->get_bool("HardExpiry");
  s.expire_passwords = p->has("MaxPasswordAge");
  if (p->has("MaxPasswordAge")) s.max_password_age = static_cast<int32_t>(p->get_int("MaxPasswordAge"));
  return out;
}

Result<op::DeleteAccountPasswordPolicy::Response> Iam::delete_account_password_policy(
    Call& call, const op::DeleteAccountPasswordPolicy::Request&) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(settings(w, call.account));
    if (!body.remove("password_policy")) return no_password_policy(call.account);
    return put_settings(w, call.account, body);
  }));
  return op::DeleteAccountPasswordPolicy::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html
Result<op::GetAccountSummary::Response> Iam::get_account_summary(Call& call,
                                                                 const op::GetAccountSummary::Request&) {
  std::map<std::string, int32_t> map{{"AccessKeysPerUserQuota", 2},
                                     {"AssumeRolePolicySizeQuota", 2048},
                                     {"AttachedPoliciesPerGroupQuota", 10},
                                     {"AttachedPoliciesPerRoleQuota", 10},
                                     {"AttachedPoliciesPerUserQuota", 10},
                                     {"GroupPolicySizeQuota", 5120},
                                     {"GroupsPerUserQuota", 10},
                                     {"PolicySizeQuota", 6144},
                                     {"RolePolicySizeQuota", 10240},
                                     {"UserPolicySizeQuota", 2048},
                                     {"VersionsPerPolicyQuota", 5},
                                     {"AccountMFAEnabled", 0}};
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const std::pair<const char*, const char*> kinds[] = {{"iam.user", "Users"},
                                                         {"iam.group", "Groups"},
                                                         {"iam.role", "Roles"},
                                                         {"iam.policy", "Policies"},
                                                         {"iam.profile", "InstanceProfiles"},
                                                         {"iam.mfa", "MFADevices"},
                                                         {"iam.oidc", "Providers"}};
    for (const auto& [kind, name] : kinds) {
      const auto rows = TRY(r.list(call.account, "", kind));
      map[name] = static_cast<int32_t>(rows.size());
      if (std::string_view(kind) == "iam.mfa") {
        map["MFADevicesInUse"] = static_cast<int32_t>(
            std::count_if(rows.begin(), rows.end(), [](const auto& row) { return row.body.has("user"); }));
      }
    }
    const auto root_keys = TRY(r.find("iam.access-key", "user", call.account + " "));
    map["AccountAccessKeysPresent"] = static_cast<int32_t>(root_keys.size());
    return {};
  }));
  return op::GetAccountSummary::Response{std::move(map)};
}

// --- OpenID Connect providers: who AssumeRoleWithWebIdentity trusts ---

namespace {

store::Key oidc_key(const std::string& arn) {
  const auto parts = split(arn, ':');
  return {parts.size() > 5 ? std::string(parts[4]) : "", "", "iam.oidc", arn};
}

Result<store::Resource> need_oidc(store::Reader& r, const aws::Call& call, const std::string& arn) {
  std::optional<store::Resource> row;
  if (oidc_key(arn).account == call.account) row = TRY(r.get(oidc_key(arn)));
  if (!row) return fault("NoSuchEntity", fmt::format("OpenIDConnect Provider not found for arn {}", arn));
  return std::move(*row);
}

json::Value texts(const std::vector<std::string>& list) {
  json::Value out = json::array();
  for (const auto& t : list) out.push(t);
  return out;
}

std::vector<std::string> texts(const json::Array& list) {
  std::vector<std::string> out;
  for (const auto& t : list) out.push_back(t.string());
  return out;
}

}  // namespace

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
Result<op::CreateOpenIDConnectProvider::Response> Iam::create_open_id_connect_provider(
    Call& call, const op::CreateOpenIDConnectProvider::Request& q) {
  if (!q.url.starts_with("https://") || q.url.size() > 255 ||
      q.url.find_first_of("?#") != std::string::npos) {
    return fault("ValidationError", "Invalid Open ID Connect Provider URL");
  }
  std::string host = q.url.substr(8);
  while (host.ends_with('/')) host.pop_back();
  const std::string arn = fmt::format("arn:aws:iam::{}:oidc-provider/{}", call.account, host);
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto old = TRY(w.get(oidc_key(arn)));
    if (old) return fault("EntityAlreadyExists", fmt::format("Provider with url {} already exists.", q.url));
    json::Value body =
        json::object({{"url", host},
                      {"created", call.now},
                      {"clients", texts(q.client_id_list.value_or(std::vector<std::string>()))},
                      {"thumbprints", texts(q.thumbprint_list.value_or(std::vector<std::string>()))}});
    if (q.tags) TRY(merge_tags(body, *q.tags, "TagsPerResource"));
    return w.put(oidc_key(arn), body);
  }));
  op::CreateOpenIDConnectProvider::Response out;
  out.open_id_connect_provider_arn = arn;
  out.tags = q.tags;
  return out;
}

Result<op::GetOpenIDConnectProvider::Response> Iam::get_open_id_connect_provider(
    Call& call, const op::GetOpenIDConnectProvider::Request& q) {
  op::GetOpenIDConnectProvider::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto row = TRY(need_oidc(r, call, q.open_id_connect_provider_arn));
    out.url = row.body.get("url");
    out.client_id_list = texts(row.body.get_array("clients"));
    out.thumbprint_list = texts(row.body.get_array("thumbprints"));
    out.create_date = row.body.get_int("created");
    out.tags = optional_tags(row.body);
    return {};
  }));
  return out;
}

Result<op::ListOpenIDConnectProviders::Response> Iam::list_open_id_connect_providers(
    Call& call, const op::ListOpenIDConnectProviders::Request&) {
  op::ListOpenIDConnectProviders::Response out;
  out.open_id_connect_provider_list.emplace();
  const auto rows = TRY(db_.list(call.account, "", "iam.oidc"));
  for (const auto& row : rows) out.open_id_connect_provider_list->push_back({row.key.id});
  return out;
}

Result<op::DeleteOpenIDConnectProvider::Response> Iam::delete_open_id_connect_provider(
    Call& call, const op::DeleteOpenIDConnectProvider::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    if (oidc_key(q.open_id_connect_provider_arn).account == call.account) {
      TRY(w.remove(oidc_key(q.open_id_connect_provider_arn)));  // AWS's deletion is idempotent
    }
    return {};
  }));
  return op::DeleteOpenIDConnectProvider::Response{};
}

Result<op::UpdateOpenIDConnectProviderThumbprint::Response> Iam::update_open_id_connect_provider_thumbprint(
    Call& call, const op::UpdateOpenIDConnectProviderThumbprint::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto row = TRY(need_oidc(w, call, q.open_id_connect_provider_arn));
    row.body["thumbprints"] = texts(q.thumbprint_list);
    return w.put(row.key, row.body);
  }));
  return op::UpdateOpenIDConnectProviderThumbprint::Response{};
}

Result<op::AddClientIDToOpenIDConnectProvider::Response> Iam::add_client_id_to_open_id_connect_provider(
    Call& call, const op::AddClientIDToOpenIDConnectProvider::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto row = TRY(need_oidc(w, call, q.open_id_connect_provider_arn));
    for (const auto& c : row.body.get_array("clients")) {
      if (c.string() == q.client_id) return {};
    }
    row.body["clients"].push(q.client_id);
    return w.put(row.key, row.body);
  }));
  return op::AddClientIDToOpenIDConnectProvider::Response{};
}

Result<op::RemoveClientIDFromOpenIDConnectProvider::Response>
Iam::remove_client_id_from_open_id_connect_provider(
    Call& call, const op::RemoveClientIDFromOpenIDConnectProvider::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto row = TRY(need_oidc(w, call, q.open_id_connect_provider_arn));
    json::Value left = json::array();
    for (const auto& c : row.body.get_array("clients")) {
      if (c.string() != q.client_id) left.push(c);
    }
    row.body["clients"] = std::move(left);
    return w.put(row.key, row.body);
  }));
  return op::RemoveClientIDFromOpenIDConnectProvider::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagOpenIDConnectProvider.html
Result<op::TagOpenIDConnectProvider::Response> Iam::tag_open_id_connect_provider(
    Call& call, const op::TagOpenIDConnectProvider::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto row = TRY(need_oidc(w, call, q.open_id_connect_provider_arn));
    TRY(merge_tags(row.body, q.tags, "TagsPerResource"));
    return w.put(row.key, row.body);
  }));
  return op::TagOpenIDConnectProvider::Response{};
}

Result<op::UntagOpenIDConnectProvider::Response> Iam::untag_open_id_connect_provider(
    Call& call, const op::UntagOpenIDConnectProvider::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto row = TRY(need_oidc(w, call, q.open_id_connect_provider_arn));
    if (auto* tags = row.body.find("tags")) {
      for (const auto& k : q.tag_keys) tags->remove(k);
    }
    return w.put(row.key, row.body);
  }));
  return op::UntagOpenIDConnectProvider::Response{};
}

Result<op::ListOpenIDConnectProviderTags::Response> Iam::list_open_id_connect_provider_tags(
    Call& call, const op::ListOpenIDConnectProviderTags::Request& q) {
  std::vector<std::pair<std::string, m::Tag>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto row = TRY(need_oidc(r, call, q.open_id_connect_provider_arn));
    for (auto& t : tags_of(row.body)) items.emplace_back(t.key, t);
    return {};
  }));
  return page<op::ListOpenIDConnectProviderTags::Response>(
      std::move(items), q.marker, q.max_items, "tags " + q.open_id_connect_provider_arn,
      [](op::ListOpenIDConnectProviderTags::Response& r, auto told) { r.tags = std::move(told); });
}

Result<std::vector<aws::OidcProvider>> Iam::oidc_providers(const std::string& account) {
  std::vector<aws::OidcProvider> out;
  const auto rows = TRY(db_.list(account, "", "iam.oidc"));
  for (const auto& row : rows)
    out.push_back({row.key.id, row.body.get("url"), texts(row.body.get_array("clients"))});
  return out;
}

}  // namespace bastide::services
