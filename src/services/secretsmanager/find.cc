#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/secretsmanager/secretsmanager.h"

namespace bastide::services {
namespace {

constexpr std::string_view kResource = "secret:";

}  // namespace

SecretValue::~SecretValue() { wipe(bytes); }

Error no_such_secret() {
  return fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
}

std::string secret_uuid() {
  std::string raw = random_bytes(16);
  raw[6] = static_cast<char>((raw[6] & 0x0f) | 0x40);
  raw[8] = static_cast<char>((raw[8] & 0x3f) | 0x80);
  std::string text = hex(raw);
  for (const size_t at : {20u, 16u, 12u, 8u}) text.insert(at, "-");
  return text;
}

SecretsManager::Maybe<Secret> SecretsManager::load(const Call& call, const std::string& id) {
  std::optional<Secret> out;
  if (!id.starts_with("arn:")) {
    const auto row = TRY(database_.get({call.account, call.region, kSecretKind, id}));
    if (row) out = secret_from_json(call.account, call.region, id, row->body);
    return out;
  }
  const auto arn = aws::parse_arn(id);
  if (!arn || arn->service != "secretsmanager" || !arn->resource.starts_with(kResource)) {
    return fault("InvalidParameterException", "Invalid ARN: " + id.substr(0, 200));
  }
  if (arn->region != call.region) return out;
  const auto whole = TRY(database_.find(kSecretKind, "arn", id));
  if (!whole.empty()) {
    const auto& key = whole[0].key;
    out = secret_from_json(key.account, key.region, key.id, whole[0].body);
    return out;
  }
  // Without its six characters at the end.
  const std::string name = arn->resource.substr(kResource.size());
  const auto row = TRY(database_.get({arn->account, arn->region, kSecretKind, name}));
  if (row) out = secret_from_json(arn->account, arn->region, name, row->body);
  return out;
}

Result<Secret> SecretsManager::find(const Call& call, const std::string& id) {
  auto found = TRY(load(call, id));
  if (!found) return no_such_secret();
  return std::move(*found);
}

Result<Secret> SecretsManager::find_usable(const Call& call, const std::string& id) {
  auto found = TRY(find(call, id));
  if (found.deleted == 0) return found;
  return fault("InvalidRequestException",
               "You can't perform this operation on the secret because it was marked for deletion.");
}

SecretsManager::Maybe<Secret> SecretsManager::reread(store::Reader& r, const Secret& s) {
  const auto row = TRY(r.get({s.account, s.region, kSecretKind, s.name}));
  if (!row || row->body.get("arn") != s.arn) return std::optional<Secret>{};
  return std::optional(secret_from_json(s.account, s.region, s.name, row->body));
}

Result<void> SecretsManager::put(store::Writer& w, const Secret& s) {
  return w.put({s.account, s.region, kSecretKind, s.name}, to_json(s), {{"arn", s.arn}});
}

Result<void> SecretsManager::change(const Secret& secret,
                                    const std::function<Result<void>(store::Writer&, Secret&)>& f) {
  return database_.write([&](store::Writer& w) -> Result<void> {
    auto now = TRY(reread(w, secret));
    if (!now) return no_such_secret();
    TRY(f(w, *now));
    return put(w, *now);
  });
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
aws::Target SecretsManager::target(const Call& call, const std::string& id, const char* action) {
  aws::Target t;
  t.action = action;
  t.context.emplace_back("secretsmanager:SecretId", id);
  const auto found = load(call, id);
  if (!found || !*found) {
    const auto arn = aws::parse_arn(id);
    t.resource = arn ? id : aws::make_arn("secretsmanager", call.region, call.account, "secret:" + id);
    t.owner = arn ? arn->account : call.account;
    return t;
  }
  const Secret& s = **found;
  t.resource = s.arn;
  t.owner = s.account;
  if (!s.policy.empty()) t.policy = aws::PolicyDocument::of_text(s.policy);
  for (const auto& [key, value] : s.tags) {
    t.context.emplace_back("aws:ResourceTag/" + key, value);
    t.context.emplace_back("secretsmanager:ResourceTag/" + key, value);
  }
  if (!s.rotation.function.empty()) {
    t.context.emplace_back("secretsmanager:resource/AllowRotationLambdaArn", s.rotation.function);
  }
  return t;
}

Result<std::string> SecretsManager::version_of(const Secret& s, const std::optional<std::string>& version,
                                               const std::optional<std::string>& stage) const {
  if (!version) {
    const std::string label = stage.value_or(kCurrent);
    const auto id = s.staged(label);
    if (id) return *id;
    return fault("ResourceNotFoundException",
                 "Secrets Manager can't find the specified secret value for staging label: " + label);
  }
  const auto it = s.versions.find(*version);
  if (it == s.versions.end()) {
    return fault("ResourceNotFoundException",
                 "Secrets Manager can't find the specified secret value for VersionId: " + *version);
  }
  if (stage && s.staged(*stage) != *version) {
    return fault("InvalidRequestException",
                 "You provided a VersionStage that is not associated to the provided VersionId.");
  }
  return *version;
}

std::string SecretsManager::scope(const Call& call, const std::string& more) const {
  return call.operation + "/" + call.account + "/" + call.region + "/" + more;
}

SecretsManager::Actor SecretsManager::actor(const Call& call) const {
  Actor a{call.principal, call.account};
  a.principal.called_via.emplace_back("secretsmanager.amazonaws.com");
  return a;
}

SecretsManager::SecretsManager(store::Database& database, store::Keyring& keyring, aws::LocalClient& client,
                               Clock& clock)
    : database_(database), keyring_(keyring), client_(client), clock_(clock) {
  rotators_["bastide-rotate-password"].next = [](const std::string& current) -> Result<std::string> {
    PasswordWish wish;
    wish.exclude = "\"'\\/@";  // safe in URLs, shells and JSON
    std::string fresh = TRY(random_password(wish));
    auto document = json::parse(current);
    if (!document || !document->is_object()) return fresh;
    if (!document->has("password")) {
      return fault("InvalidRequestException", "The secret is a JSON object without a password to rotate.");
    }
    (*document)["password"] = fresh;
    return json::print(*document);
  };
}

}  // namespace bastide::services
