#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/secretsmanager/secretsmanager.h"

namespace bastide::services {

namespace m = model::secretsmanager;

namespace {

constexpr size_t kMaxTags = 50;
constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr int64_t kShortestWindow = 7, kLongestWindow = 30;

Error invalid(std::string message) { return fault("InvalidParameterException", std::move(message)); }

Result<void> check_name(const std::string& name) {
  const bool good = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/_+=.@-!").find(c) != std::string_view::npos;
  });
  if (good) return {};
  return fault("ValidationException",
               "Invalid name. Must be a valid name containing alphanumeric characters, or any of the "
               "following: -/_+=.@!");
}

}  // namespace

Result<void> add_secret_tags(const aws::Call& call, std::map<std::string, std::string>& tags,
                             const std::vector<m::Tag>& added) {
  for (const auto& tag : added) {
    const std::string key = tag.key.value_or("");
    if (lower(key).starts_with("aws:") && call.principal.called_via.empty()) {
      return invalid("Tag keys can't start with aws:. That prefix is reserved for AWS use.");
    }
    tags[key] = tag.value.value_or("");
  }
  if (tags.size() > kMaxTags) return invalid("The request has more than 50 tags.");
  return {};
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
Result<m::CreateSecretResponse> SecretsManager::create(Call& call, const m::CreateSecretRequest& q) {
  TRY(check_name(q.name));
  if (q.add_replica_regions) return invalid("Replication to other regions is not supported by Bastide.");
  if (q.type && !q.type->empty())
    return invalid("Managed external secrets (Type) are not supported by Bastide.");
  const auto value = TRY(given(q.secret_string, q.secret_binary));
  const std::string version = q.client_request_token.value_or(secret_uuid());
  auto answer = [&](const Secret& s) {
    m::CreateSecretResponse out;
    out.arn = s.arn;
    out.name = s.name;
    if (value) out.version_id = version;
    return out;
  };
  const auto there = TRY(database_.get({call.account, call.region, kSecretKind, q.name}));
  if (there) {
    const Secret s = secret_from_json(call.account, call.region, q.name, there->body);
    if (s.deleted != 0) {
      return fault(
          "InvalidRequestException",
          "You can't create this secret because a secret with this name is already scheduled for deletion.");
    }
    if (value && s.versions.contains(version)) {
      const bool same = TRY(same_value(s, version, *value));
      if (same) return answer(s);
    }
    return fault("ResourceExistsException",
                 "The operation failed because the secret " + q.name + " already exists.");
  }
  Secret s;
  s.account = call.account;
  s.region = call.region;
  s.name = q.name;
  s.arn = aws::make_arn("secretsmanager", s.region, s.account,
                        "secret:" + s.name + "-" + random_text(6, kLetters));
  s.description = q.description.value_or("");
  s.key_id = q.kms_key_id.value_or("");
  s.created = s.changed = call.now;
  if (q.tags) TRY(add_secret_tags(call, s.tags, *q.tags));
  Sealed sealed;
  if (value) {
    sealed = TRY(seal_value(actor(call), s, version, *value));
    keep_version(s, version, sealed.key, {kCurrent}, call.now);
  }
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto meanwhile = TRY(w.get({s.account, s.region, kSecretKind, s.name}));
    if (meanwhile) {
      return fault("ResourceExistsException",
                   "The operation failed because the secret " + q.name + " already exists.");
    }
    if (value)
      TRY(w.put({s.account, s.region, kSecretValueKind, secret_value_id(s.name, version)}, sealed.row));
    return put(w, s);
  }));
  return answer(s);
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
Result<m::UpdateSecretResponse> SecretsManager::update(Call& call, const m::UpdateSecretRequest& q) {
  if (q.type && !q.type->empty())
    return invalid("Managed external secrets (Type) are not supported by Bastide.");
  const auto value = TRY(given(q.secret_string, q.secret_binary));
  Secret secret = TRY(find_usable(call, q.secret_id));
  const bool another_key = q.kms_key_id && *q.kms_key_id != secret.key_id;
  Secret with_key = secret;
  if (q.kms_key_id) with_key.key_id = *q.kms_key_id;
  // The labelled versions move to the new key.
  std::map<std::string, Sealed> moved;
  for (const auto& [id, v] : secret.versions) {
    if (!another_key || v.stages.empty()) continue;
    const auto old = TRY(open_value(actor(call), secret, id));
    auto sealed = TRY(seal_value(actor(call), with_key, id, old));
    moved.emplace(id, std::move(sealed));
  }
  auto apply = [&](store::Writer& w, Secret& s) -> Result<void> {
    if (q.description) s.description = *q.description;
    if (q.kms_key_id) s.key_id = *q.kms_key_id;
    for (const auto& [id, sealed] : moved) {
      const auto it = s.versions.find(id);
      if (it == s.versions.end()) continue;
      it->second.key = sealed.key;
      TRY(w.put({s.account, s.region, kSecretValueKind, secret_value_id(s.name, id)}, sealed.row));
    }
    s.changed = call.now;
    return {};
  };
  m::UpdateSecretResponse out;
  out.arn = secret.arn;
  out.name = secret.name;
  if (value) {
    const std::string version = q.client_request_token.value_or(secret_uuid());
    if (another_key) TRY(change(secret, apply));
    TRY(add_version(actor(call), with_key, version, *value, {kCurrent}, apply));
    out.version_id = version;
    return out;
  }
  TRY(change(secret, apply));
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
Result<m::DeleteSecretResponse> SecretsManager::remove(Call& call, const m::DeleteSecretRequest& q) {
  const bool force = q.force_delete_without_recovery.value_or(false);
  if (force && q.recovery_window_in_days) {
    return invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
  }
  const int64_t days = q.recovery_window_in_days.value_or(kLongestWindow);
  if (days < kShortestWindow || days > kLongestWindow) {
    return invalid("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
  }
  const auto found = TRY(load(call, q.secret_id));
  if (!found) {
    if (!force || q.secret_id.starts_with("arn:")) return no_such_secret();
    const std::string arn = aws::make_arn("secretsmanager", call.region, call.account,
                                          "secret:" + q.secret_id + "-" + random_text(6, kLetters));
    return m::DeleteSecretResponse{arn, q.secret_id, call.now};
  }
  m::DeleteSecretResponse out;
  out.arn = found->arn;
  out.name = found->name;
  if (force) {
    TRY(database_.write([&](store::Writer& w) -> Result<void> {
      const auto s = TRY(reread(w, *found));
      if (!s) return {};
      return erase(w, *s);
    }));
    out.deletion_date = call.now;
    return out;
  }
  if (found->deleted != 0) {
    return fault(
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was already scheduled for deletion.");
  }
  const Millis when = call.now + days * kDay;
  TRY(change(*found, [&](store::Writer& w, Secret& s) -> Result<void> {
    s.deleted = call.now;
    s.remove_at = when;
    return w.enqueue("secretsmanager.deletion", s.account + "/" + s.region + "/" + s.name, json::object(),
                     when);
  }));
  out.deletion_date = when;
  return out;
}

Result<m::RestoreSecretResponse> SecretsManager::restore(Call& call, const m::RestoreSecretRequest& q) {
  const auto secret = TRY(find(call, q.secret_id));
  TRY(change(secret, [&](store::Writer&, Secret& s) -> Result<void> {
    s.deleted = s.remove_at = 0;
    return {};
  }));
  return m::RestoreSecretResponse{secret.arn, secret.name};
}

Result<void> SecretsManager::erase(store::Writer& w, const Secret& s) {
  const auto values = TRY(w.list(s.account, s.region, kSecretValueKind, "", 1'000'000, s.name + "|"));
  for (const auto& value : values) TRY(w.remove(value.key));
  TRY(w.remove({s.account, s.region, kSecretKind, s.name}));
  return {};
}

SecretsManager::Maybe<Secret> SecretsManager::of_job(const store::Job& job) {
  const size_t first = job.key.find('/'), second = job.key.find('/', first + 1);
  if (second == std::string::npos) return std::optional<Secret>{};
  const std::string account = job.key.substr(0, first),
                    region = job.key.substr(first + 1, second - first - 1);
  const std::string name = job.key.substr(second + 1);
  const auto row = TRY(database_.get({account, region, kSecretKind, name}));
  if (!row) return std::optional<Secret>{};
  return std::optional(secret_from_json(account, region, name, row->body));
}

Result<std::optional<Millis>> SecretsManager::run_deletion(store::Job& job) {
  const auto secret = TRY(of_job(job));
  std::optional<Millis> again;
  if (!secret) return again;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto s = TRY(reread(w, *secret));
    if (!s || s->deleted == 0) return {};
    const Millis now = clock_.wall();
    if (s->remove_at <= now) return erase(w, *s);
    again = s->remove_at - now;
    return {};
  }));
  return again;
}

}  // namespace bastide::services
