// What every call passes through: who is it, and what do policies say of them. From memory where it can.
#include "base/bytes.h"
#include "services/iam/iam.h"
#include "services/iam/managed.h"

namespace bastide::services {

using namespace iam_rows;

namespace {

constexpr size_t kMaxRemembered = 50'000;

Error unknown_token() {
  return fault("InvalidClientTokenId", "The security token included in the request is invalid.", 403);
}

std::vector<std::pair<std::string, std::string>> pairs(const json::Value& body) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [key, value] : body.get_object("tags")) out.emplace_back(key, value.string());
  return out;
}

std::string account_in(const std::string& arn) {
  const auto parts = split(arn, ':');
  return parts.size() > 5 ? std::string(parts[4]) : std::string();
}

}  // namespace

void Iam::changed() {
  ++generation_;
  keys_.clear();
  policies_.clear();
  roles_.clear();
}

Result<aws::Identity> Iam::identify(const std::string& access_key_id, const std::string& session_token) {
  if (!session_token.empty()) return unknown_token();
  const std::string account = account_of_access_key(access_key_id);
  if (account.empty()) return unknown_token();
  if (accounts_ && !accounts_->active(account)) return unknown_token();
  if (const auto it = keys_.find(access_key_id); it != keys_.end()) return it->second;
  aws::Identity identity;
  TRY(db_.read([&](store::Reader& r) -> Result<void> {
    auto key = TRY(r.get({account, "", "iam.access-key", access_key_id}));
    if (!key || key->body.get("status") != "Active") return unknown_token();
    auto sealed = unbase64(key->body.get("secret"));
    if (!sealed) return std::move(sealed).error().context("access key");
    identity.secret_access_key = TRY(keyring_.unseal("iam.access-key", *sealed, access_key_id));
    const std::string name = key->body.get("user");
    if (name.empty()) {
      identity.principal = aws::Principal::root(account);
    } else {
      auto user = TRY(r.get(key_of(account, Kind::user, name)));
      if (!user) return unknown_token();
      auto& p = identity.principal;
      p.kind = aws::Principal::Kind::user;
      p.account = account;
      p.arn = arn_of(account, Kind::user, user->body);
      p.id = user->body.get("id");
      p.name = user->body.get("name");
      p.tags = pairs(user->body);
    }
    identity.principal.access_key_id = access_key_id;
    return {};
  }));
  if (keys_.size() >= kMaxRemembered) keys_.clear();
  keys_[access_key_id] = identity;
  return identity;
}

Result<std::shared_ptr<const aws::IdentityPolicies>> Iam::policies_of(const aws::Principal& p) {
  static const auto kNone = std::make_shared<const aws::IdentityPolicies>();
  if (p.account.empty()) return kNone;
  if (accounts_ && accounts_->generation() != accounts_generation_) {
    accounts_generation_ = accounts_->generation();
    policies_.clear();
  }
  const bool role = p.kind == aws::Principal::Kind::assumed_role;
  const std::string& who = role ? p.role_arn : p.arn;
  if (const auto it = policies_.find(who); it != policies_.end()) return it->second;
  auto out = std::make_shared<aws::IdentityPolicies>();
  TRY(db_.read([&](store::Reader& r) -> Result<void> {
    if (role || p.kind == aws::Principal::Kind::user || p.kind == aws::Principal::Kind::federated_user) {
      auto row = TRY(r.get(key_of(p.account, role ? Kind::role : Kind::user, p.name)));
      if (!row) return {};
      const json::Value& body = row->body;
      TRY(add_policies(r, p.account, body, who, out->identity));
      for (const auto& g : body.get_array("groups")) {
        auto group = TRY(r.get(key_of(p.account, Kind::group, g.string())));
        if (group)
          TRY(add_policies(r, p.account, group->body, arn_of(p.account, Kind::group, group->body),
                           out->identity));
      }
      if (body.has("boundary")) {
        const std::string arn = body.get("boundary");
        auto text = TRY(text_of(r, p.account, arn));
        // A boundary that is gone allows nothing.
        out->boundary =
            aws::NamedPolicy{arn, text ? aws::PolicyDocument::of_text(*text) : aws::PolicyDocument()};
      }
    }
    return {};
  }));
  if (accounts_) {
    const auto controls = TRY(accounts_->controls_of(p.account));
    // SCPs do not bind service-linked roles.
    // https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
    if (!role || who.find(":role/aws-service-role/") == std::string::npos) out->control = controls->levels;
    out->context = controls->context;
  }
  if (policies_.size() >= kMaxRemembered) policies_.clear();
  policies_[who] = out;
  return std::shared_ptr<const aws::IdentityPolicies>(out);
}

Result<void> Iam::add_policies(store::Reader& r, const std::string& account, const json::Value& body,
                               const std::string& owner, std::vector<aws::NamedPolicy>& out) {
  for (const auto& [name, text] : body.get_object("inline")) {
    out.push_back({owner + "/" + name, aws::PolicyDocument::of_text(text.string())});
  }
  for (const auto& p : body.get_array("attached")) {
    auto text = TRY(text_of(r, account, p.string()));
    if (text) out.push_back({p.string(), aws::PolicyDocument::of_text(*text)});
  }
  return {};
}

Result<std::optional<std::string>> Iam::text_of(store::Reader& r, const std::string& account,
                                                const std::string& arn) {
  if (const auto* managed = managed_policy(arn)) return std::optional<std::string>(managed->text);
  auto row = TRY(r.get(key_of(account, Kind::policy, name_in_arn(arn))));
  if (!row || row->body.get("arn") != arn) return std::optional<std::string>();
  for (const auto& v : row->body.get_array("versions")) {
    if (v.get("id") == row->body.get("default")) return std::optional<std::string>(v.get("document"));
  }
  return std::optional<std::string>();
}

Result<std::optional<std::string>> Iam::policy_text(const std::string& account, const std::string& arn) {
  std::optional<std::string> text;
  TRY(db_.read([&](store::Reader& r) -> Result<void> {
    text = TRY(text_of(r, account, arn));
    return {};
  }));
  return text;
}

Result<std::shared_ptr<const aws::RoleInfo>> Iam::role(const std::string& arn) {
  if (const auto it = roles_.find(arn); it != roles_.end()) return it->second;
  const std::string account = account_in(arn);
  auto row = TRY(db_.get(key_of(account, Kind::role, name_in_arn(arn))));
  if (!row || arn_of(account, Kind::role, row->body) != arn) return std::shared_ptr<const aws::RoleInfo>();
  auto info = std::make_shared<aws::RoleInfo>();
  info->arn = arn;
  info->account = account;
  info->name = row->body.get("name");
  info->id = row->body.get("id");
  info->trust = aws::PolicyDocument::of_text(row->body.get("trust"));
  info->max_session_seconds = row->body.get_int("max_session", 3600);
  info->service_linked = row->body.get("path").starts_with("/aws-service-role/");
  info->tags = pairs(row->body);
  if (roles_.size() >= kMaxRemembered) roles_.clear();
  roles_[arn] = info;
  return std::shared_ptr<const aws::RoleInfo>(info);
}

Result<std::optional<aws::UserInfo>> Iam::user(const std::string& account, const std::string& name) {
  auto row = TRY(db_.get(key_of(account, Kind::user, name)));
  if (!row) return std::optional<aws::UserInfo>();
  return std::optional<aws::UserInfo>(aws::UserInfo{arn_of(account, Kind::user, row->body), account,
                                                    row->body.get("name"), row->body.get("id"),
                                                    pairs(row->body)});
}

}  // namespace bastide::services
