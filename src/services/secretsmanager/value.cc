#include <algorithm>

#include "base/crypto.h"
#include "services/secretsmanager/secretsmanager.h"

namespace bastide::services {

namespace m = model::secretsmanager;
namespace op = model::secretsmanager::op;

namespace {

constexpr size_t kMaxValue = 65'536;

Millis day_of(Millis t) { return t - t % kDay; }

}  // namespace

Result<std::optional<SecretValue>> SecretsManager::given(const std::optional<std::string>& text,
                                                         const std::optional<std::string>& binary) {
  std::optional<SecretValue> out;
  if (text && binary) {
    return fault(
        "InvalidParameterException",
        "You can't specify both a binary secret value and a string secret value in the same secret.");
  }
  if (text) out.emplace(false, *text);
  if (binary) out.emplace(true, *binary);
  if (out && out->bytes.size() > kMaxValue) {
    return fault("InvalidParameterException", "The secret value is longer than 65536 bytes.");
  }
  return out;
}

void SecretsManager::keep_version(Secret& s, const std::string& version, const std::string& key,
                                  const std::vector<std::string>& stages, Millis now) {
  SecretVersion& v = s.versions[version];
  v.created = now;
  v.key = key;
  for (const auto& stage : stages) s.stage(version, stage);
  s.changed = now;
}

Result<Secret> SecretsManager::add_version(const Actor& actor, const Secret& secret,
                                           const std::string& version, const SecretValue& value,
                                           const std::vector<std::string>& stages,
                                           const std::function<Result<void>(store::Writer&, Secret&)>& also) {
  if (secret.versions.contains(version)) {
    const bool same = TRY(same_value(secret, version, value));
    if (same) return Secret(secret);
    return fault("ResourceExistsException",
                 "You can't use ClientRequestToken " + version +
                     " because that value is already in use for a version of secret " + secret.arn + ".");
  }
  auto sealed = TRY(seal_value(actor, secret, version, value));
  Secret out;
  const Millis now = clock_.wall();
  TRY(change(secret, [&](store::Writer& w, Secret& s) -> Result<void> {
    if (s.deleted != 0) return no_such_secret();
    if (s.versions.contains(version)) {
      return fault("ResourceExistsException", "A version with this ClientRequestToken was made meanwhile.");
    }
    keep_version(s, version, sealed.key, stages, now);
    for (const auto& id : s.prune(now)) {
      TRY(w.remove({s.account, s.region, kSecretValueKind, secret_value_id(s.name, id)}));
    }
    TRY(w.put({s.account, s.region, kSecretValueKind, secret_value_id(s.name, version)}, sealed.row));
    if (also) TRY(also(w, s));
    out = s;
    return {};
  }));
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
Result<m::PutSecretValueResponse> SecretsManager::put_value(Call& call, const m::PutSecretValueRequest& q) {
  const auto value = TRY(given(q.secret_string, q.secret_binary));
  if (!value)
    return fault("InvalidRequestException", "You must provide either SecretString or SecretBinary.");
  const auto secret = TRY(find_usable(call, q.secret_id));
  const std::string version = q.client_request_token.value_or(secret_uuid());
  const auto kept = TRY(add_version(actor(call), secret, version, *value,
                                    q.version_stages.value_or(std::vector<std::string>{kCurrent})));
  m::PutSecretValueResponse out;
  out.arn = kept.arn;
  out.name = kept.name;
  out.version_id = version;
  out.version_stages = kept.versions.at(version).stages;
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
Result<m::GetSecretValueResponse> SecretsManager::get_value(Call& call, const m::GetSecretValueRequest& q) {
  const auto secret = TRY(find_usable(call, q.secret_id));
  const std::string id = TRY(version_of(secret, q.version_id, q.version_stage));
  auto value = TRY(open_value(actor(call), secret, id));
  const Millis today = day_of(call.now);
  if (secret.accessed != today || secret.versions.at(id).accessed != today) {
    TRY(change(secret, [&](store::Writer&, Secret& s) -> Result<void> {
      s.accessed = today;
      if (const auto it = s.versions.find(id); it != s.versions.end()) it->second.accessed = today;
      return {};
    }));
  }
  m::GetSecretValueResponse out;
  out.arn = secret.arn;
  out.name = secret.name;
  out.version_id = id;
  (value.binary ? out.secret_binary : out.secret_string) = std::move(value.bytes);
  out.version_stages = secret.versions.at(id).stages;
  if (out.version_stages->empty()) out.version_stages.reset();
  out.created_date = secret.versions.at(id).created;
  return out;
}

// Each secret is authorised, and told of in the audit trail, by itself.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
Result<m::BatchGetSecretValueResponse> SecretsManager::batch_get(Call& call,
                                                                 const m::BatchGetSecretValueRequest& q) {
  const bool by_filter = q.filters && !q.filters->empty();
  if (by_filter == q.secret_id_list.has_value()) {
    return fault("InvalidParameterException",
                 "You must include either Filters or SecretIdList, but not both.");
  }
  m::BatchGetSecretValueResponse out;
  std::vector<std::string> ids;
  if (by_filter) {
    m::ListSecretsRequest list;
    list.filters = q.filters;
    list.max_results = q.max_results.value_or(20);
    list.next_token = q.next_token;
    const auto found = TRY(client_.call<op::ListSecrets>(call.principal, call.account, call.region, list));
    out.next_token = found.next_token;
    for (const auto& one : *found.secret_list) ids.push_back(*one.arn);
  } else {
    ids = *q.secret_id_list;
  }
  out.secret_values.emplace();
  out.errors.emplace();
  for (const auto& id : ids) {
    m::GetSecretValueRequest get;
    get.secret_id = id;
    auto got = client_.call<op::GetSecretValue>(call.principal, call.account, call.region, get);
    if (!got) {
      if (!got.error().fault) return std::move(got).error();
      const std::string& code = got.error().code;
      out.errors->push_back(
          {id, code == "AccessDenied" ? "AccessDeniedException" : code, got.error().message});
      continue;
    }
    out.secret_values->push_back({got->arn, got->name, got->version_id, got->secret_binary,
                                  got->secret_string, got->version_stages, got->created_date});
  }
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
Result<m::UpdateSecretVersionStageResponse> SecretsManager::move_stage(
    Call& call, const m::UpdateSecretVersionStageRequest& q) {
  const auto secret = TRY(find_usable(call, q.secret_id));
  TRY(change(secret, [&](store::Writer&, Secret& s) -> Result<void> {
    for (const auto& id : {q.move_to_version_id, q.remove_from_version_id}) {
      if (id) TRY(version_of(s, id, std::nullopt));
    }
    const auto holder = s.staged(q.version_stage);
    if (q.remove_from_version_id && holder != *q.remove_from_version_id) {
      return fault("InvalidParameterException",
                   "The version specified in RemoveFromVersionId does not have the staging label " +
                       q.version_stage + ".");
    }
    if (!q.move_to_version_id) {
      if (q.version_stage == kCurrent) {
        return fault("InvalidParameterException",
                     "You can only move staging label AWSCURRENT to a different secret version. It can't be "
                     "completely removed.");
      }
      if (!q.remove_from_version_id) {
        return fault("InvalidParameterException", "You must specify MoveToVersionId or RemoveFromVersionId.");
      }
      s.unstage(*holder, q.version_stage);
    } else {
      if (holder && *holder != *q.move_to_version_id && !q.remove_from_version_id) {
        return fault("InvalidParameterException",
                     "The parameter RemoveFromVersionId can't be empty. Staging label " + q.version_stage +
                         " is currently attached to version " + *holder +
                         ", so you must explicitly reference that version in RemoveFromVersionId.");
      }
      s.stage(*q.move_to_version_id, q.version_stage);
    }
    s.changed = call.now;
    return {};
  }));
  return m::UpdateSecretVersionStageResponse{secret.arn, secret.name};
}

}  // namespace bastide::services
