#include <fmt/format.h>

#include "base/crypto.h"
#include "net/loop.h"
#include "services/iam/iam_templates.h"
#include "services/iam/secrets.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

namespace {

constexpr size_t kMaxKeys = 2;

std::string owner_of(const std::string& account, const std::string& user) {
  return account + " " + lower(user);
}

Error no_key(const std::string& id) {
  return fault("NoSuchEntity", fmt::format("The Access Key with id {} cannot be found.", id));
}

Error no_login(const std::string& user) {
  return fault("NoSuchEntity", fmt::format("Login Profile for User {} cannot be found.", user));
}

// The root user's keys have no user; everybody else's default is the caller.
Result<std::string> key_owner(const aws::Call& call, const std::optional<std::string>& name) {
  if (name) return *name;
  if (call.principal.kind == aws::Principal::Kind::root) return std::string();
  if (call.principal.kind == aws::Principal::Kind::user) return call.principal.name;
  return fault("ValidationError", "Must specify userName when calling with non-User credentials");
}

Result<store::Resource> need_key(store::Reader& r, const std::string& account, const std::string& user,
                                 const std::string& id) {
  auto row = TRY(r.get({account, "", "iam.access-key", id}));
  if (!row || !iequals(row->body.get("user"), user)) return no_key(id);
  return std::move(*row);
}

}  // namespace

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html
Result<m::AccessKey> Iam::mint_access_key(store::Writer& w, const std::string& account,
                                          const std::string& user) {
  const auto existing = TRY(w.find("iam.access-key", "user", owner_of(account, user)));
  if (existing.size() >= kMaxKeys) {
    return fault("LimitExceeded", fmt::format("Cannot exceed quota for AccessKeysPerUser: {}", kMaxKeys));
  }
  m::AccessKey key;
  key.user_name = user;
  key.access_key_id = access_key_id("AKIA", account);
  key.status = "Active";
  key.secret_access_key = random_text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
  key.create_date = clock_.wall();
  const std::string sealed = keyring_.seal("iam.access-key", key.secret_access_key, key.access_key_id);
  TRY(w.put(
      {account, "", "iam.access-key", key.access_key_id},
      json::object(
          {{"user", user}, {"status", "Active"}, {"created", *key.create_date}, {"secret", base64(sealed)}}),
      {{"user", owner_of(account, user)}, {"id", key.access_key_id}}));
  return key;
}

Result<op::CreateAccessKey::Response> Iam::create_access_key(Call& call,
                                                             const op::CreateAccessKey::Request& q) {
  const auto name = TRY(key_owner(call, q.user_name));
  op::CreateAccessKey::Response out;
  TRY(writing([&](store::Writer& w) -> Result<void> {
    std::string user;
    if (!name.empty()) {
      const auto body = TRY(need(w, call.account, Kind::user, name));
      user = body.get("name");
    }
    out.access_key = TRY(mint_access_key(w, call.account, user));
    return {};
  }));
  if (name.empty()) out.access_key.user_name = "root";
  return out;
}

Result<op::ListAccessKeys::Response> Iam::list_access_keys(Call& call, const op::ListAccessKeys::Request& q) {
  const auto name = TRY(key_owner(call, q.user_name));
  if (!name.empty()) TRY(entity(call.account, Kind::user, name));
  std::vector<std::pair<std::string, m::AccessKeyMetadata>> items;
  const auto rows = TRY(db_.find("iam.access-key", "user", owner_of(call.account, name)));
  for (const auto& row : rows) {
    items.push_back(
        {fmt::format("{:015} {}", row.body.get_int("created"), row.key.id),
         {row.body.get("user"), row.key.id, row.body.get("status"), row.body.get_int("created")}});
  }
  return page<op::ListAccessKeys::Response>(
      std::move(items), q.marker, q.max_items, "keys " + call.account,
      [](op::ListAccessKeys::Response& r, auto told) { r.access_key_metadata = std::move(told); });
}

Result<op::UpdateAccessKey::Response> Iam::update_access_key(Call& call,
                                                             const op::UpdateAccessKey::Request& q) {
  const auto name = TRY(key_owner(call, q.user_name));
  if (q.status != "Active" && q.status != "Inactive") {
    return fault("ValidationError", "Status must be Active or Inactive.");
  }
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto row = TRY(need_key(w, call.account, name, q.access_key_id));
    row.body["status"] = q.status;
    return w.put(row.key, row.body, {{"user", owner_of(call.account, name)}, {"id", row.key.id}});
  }));
  return op::UpdateAccessKey::Response{};
}

Result<op::DeleteAccessKey::Response> Iam::delete_access_key(Call& call,
                                                             const op::DeleteAccessKey::Request& q) {
  const auto name = TRY(key_owner(call, q.user_name));
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto row = TRY(need_key(w, call.account, name, q.access_key_id));
    TRY(w.remove(row.key));
    return {};
  }));
  return op::DeleteAccessKey::Response{};
}

// --- passwords ---

Result<json::Value> Iam::new_password(const std::string& password) {
  return net::offload_result([&] { return hash_password(password); });
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html
Result<void> Iam::check_password_rules(const std::string& account, const std::string& user,
                                       const std::string& password) {
  const auto violation = [](std::string message) {
    return fault("PasswordPolicyViolation", std::move(message));
  };
  bool upper = false, lower_case = false, digit = false, symbol = false;
  for (const char c : password) {
    if (c >= 'A' && c <= 'Z')
      upper = true;
    else if (c >= 'a' && c <= 'z')
      lower_case = true;
    else if (c >= '0' && c <= '9')
      digit = true;
    else
      symbol = true;
  }
  auto row = TRY(db_.get(account_key(account)));
  const json::Value* rules = row ? row->body.find("password_policy") : nullptr;
  const int64_t minimum = rules ? rules->get_int("MinimumPasswordLength", 6) : 8;
  if (static_cast<int64_t>(password.size()) < minimum) {
    return violation(fmt::format("Password should have a minimum length of {}", minimum));
  }
  if (!rules) {
    if (upper + lower_case + digit + symbol < 3) {
      return violation(
          "Password must include at least three of the following character types: uppercase, lowercase, "
          "numbers, and non-alphanumeric characters");
    }
    if (iequals(password, user)) return violation("Password must not be identical to the user name");
    return {};
  }
  if (rules->get_bool("RequireUppercaseCharacters") && !upper) {
    return violation("Password should have at least one uppercase letter");
  }
  if (rules->get_bool("RequireLowercaseCharacters") && !lower_case) {
    return violation("Password should have at least one lowercase letter");
  }
  if (rules->get_bool("RequireNumbers") && !digit)
    return violation("Password should have at least one number");
  if (rules->get_bool("RequireSymbols") && !symbol)
    return violation("Password should have at least one symbol");
  return {};
}

Result<op::CreateLoginProfile::Response> Iam::create_login_profile(Call& call,
                                                                   const op::CreateLoginProfile::Request& q) {
  const auto name = TRY(user_or_caller(call, q.user_name));
  if (!q.password) return fault("ValidationError", "Password is required.");
  TRY(entity(call.account, Kind::user, name));
  TRY(check_password_rules(call.account, name, *q.password));
  const json::Value hashed = TRY(new_password(*q.password));
  op::CreateLoginProfile::Response out;
  TRY(change(call.account, Kind::user, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    if (body.has("login")) {
      return fault("EntityAlreadyExists", fmt::format("Login Profile for user {} already exists.", name));
    }
    body["login"] = json::object({{"password", hashed},
                                  {"created", call.now},
                                  {"changed", call.now},
                                  {"reset", q.password_reset_required.value_or(false)}});
    out.login_profile = {body.get("name"), call.now, q.password_reset_required.value_or(false)};
    return {};
  }));
  return out;
}

Result<op::GetLoginProfile::Response> Iam::get_login_profile(Call& call,
                                                             const op::GetLoginProfile::Request& q) {
  const auto name = TRY(user_or_caller(call, q.user_name));
  const auto body = TRY(entity(call.account, Kind::user, name));
  const auto* login = body.find("login");
  if (!login) return no_login(name);
  return op::GetLoginProfile::Response{
      {body.get("name"), login->get_int("created"), login->get_bool("reset")}};
}

Result<op::UpdateLoginProfile::Response> Iam::update_login_profile(Call& call,
                                                                   const op::UpdateLoginProfile::Request& q) {
  json::Value hashed;
  if (q.password) {
    TRY(check_password_rules(call.account, q.user_name, *q.password));
    hashed = TRY(new_password(*q.password));
  }
  TRY(change(call.account, Kind::user, q.user_name, [&](store::Writer&, json::Value& body) -> Result<void> {
    auto* login = body.find("login");
    if (!login) return no_login(q.user_name);
    if (q.password) {
      (*login)["password"] = hashed;
      (*login)["changed"] = call.now;
    }
    if (q.password_reset_required) (*login)["reset"] = *q.password_reset_required;
    return {};
  }));
  return op::UpdateLoginProfile::Response{};
}

Result<op::DeleteLoginProfile::Response> Iam::delete_login_profile(Call& call,
                                                                   const op::DeleteLoginProfile::Request& q) {
  const auto name = TRY(user_or_caller(call, q.user_name));
  TRY(change(call.account, Kind::user, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    if (!body.remove("login")) return no_login(name);
    return {};
  }));
  return op::DeleteLoginProfile::Response{};
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ChangePassword.html
Result<op::ChangePassword::Response> Iam::change_password(Call& call, const op::ChangePassword::Request& q) {
  if (call.principal.kind != aws::Principal::Kind::user) {
    return fault("InvalidUserType", "Only IAM Users can change their own password");
  }
  const std::string& name = call.principal.name;
  const auto body = TRY(entity(call.account, Kind::user, name));
  if (!body.has("login")) return no_login(name);
  const bool right = TRY(verify_password(call.account, name, q.old_password));
  if (!right) return fault("AccessDenied", "The old password was incorrect.", 403);
  TRY(check_password_rules(call.account, name, q.new_password));
  const json::Value hashed = TRY(new_password(q.new_password));
  TRY(change(call.account, Kind::user, name, [&](store::Writer&, json::Value& user) -> Result<void> {
    auto* login = user.find("login");
    if (!login) return no_login(name);
    (*login)["password"] = hashed;
    (*login)["changed"] = call.now;
    (*login)["reset"] = false;
    return {};
  }));
  return op::ChangePassword::Response{};
}

Result<bool> Iam::verify_password(const std::string& account, const std::string& user,
                                  const std::string& password) {
  auto row = TRY(db_.get(key_of(account, Kind::user, user)));
  const json::Value* login = row ? row->body.find("login") : nullptr;
  // An unknown user takes as long as a wrong password.
  const json::Value hashed = login ? *login->find("password")
                                   : json::object({{"salt", base64(std::string(16, 'x'))},
                                                   {"hash", base64(std::string(32, 'x'))},
                                                   {"cost", int64_t{1} << 15}});
  return net::offload_result([&]() -> bool { return password_matches(hashed, password); }) &&
         login != nullptr;
}

}  // namespace bastide::services
