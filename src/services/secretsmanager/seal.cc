// Envelope encryption as AWS does it: one data key a version.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/secretsmanager/secretsmanager.h"

namespace bastide::services {
namespace {

constexpr const char* kManagedKey = "alias/aws/secretsmanager";
constexpr const char* kPurpose = "secretsmanager";

json::Value context_of(const Secret& s, const std::string& version) {
  return json::object({{"SecretARN", s.arn}, {"SecretVersionId", version}});
}

std::string bound_to(const Secret& s, const std::string& version, bool binary) {
  return s.arn + "|" + version + (binary ? "|binary" : "|text");
}

Error of_kms(Error e, const char* code, const char* message) {
  if (!e.fault) return e;
  if (e.code.starts_with("AccessDenied"))
    return fault("AccessDeniedException", "Access to KMS is not allowed", 400);
  return fault(code, std::string(message) + " (" + e.code + ": " + e.message + ")");
}

}  // namespace

Result<SecretsManager::Sealed> SecretsManager::seal_value(const Actor& actor, const Secret& s,
                                                          const std::string& version,
                                                          const SecretValue& value) {
  if (s.key_id.empty() && actor.account != s.account) {
    return fault("InvalidRequestException",
                 "You can't access a secret from a different AWS account if you encrypt the secret with the "
                 "default KMS "
                 "service key.");
  }
  auto made = client_.call(actor.principal, actor.account, s.region, "kms", "GenerateDataKey",
                           json::object({{"KeyId", s.key_id.empty() ? kManagedKey : s.key_id},
                                         {"KeySpec", "AES_256"},
                                         {"EncryptionContext", context_of(s, version)}}));
  if (!made) {
    return of_kms(std::move(made).error(), "EncryptionFailure",
                  "Secrets Manager can't encrypt the protected secret text using the provided KMS key.");
  }
  std::string key = TRY(unbase64(made->get("Plaintext")));
  const std::string bound = bound_to(s, version, value.binary);
  Sealed out;
  out.key = made->get("KeyId");
  out.row = json::object({{"binary", value.binary},
                          {"key", made->get("CiphertextBlob")},
                          {"sealed", base64(seal(key, value.bytes, bound))},
                          {"digest", base64(keyring_.seal(kPurpose, sha256(value.bytes), bound))}});
  wipe(key);
  return out;
}

Result<SecretValue> SecretsManager::open_value(const Actor& actor, const Secret& s,
                                               const std::string& version) {
  const auto row =
      TRY(database_.get({s.account, s.region, kSecretValueKind, secret_value_id(s.name, version)}));
  if (!row) return error("secret " + s.arn + ": its value is missing");
  auto opened = client_.call(actor.principal, actor.account, s.region, "kms", "Decrypt",
                             json::object({{"CiphertextBlob", row->body.get("key")},
                                           {"EncryptionContext", context_of(s, version)}}));
  if (!opened) {
    return of_kms(std::move(opened).error(), "DecryptionFailure",
                  "Secrets Manager can't decrypt the protected secret text using the provided KMS key.");
  }
  std::string key = TRY(unbase64(opened->get("Plaintext")));
  const std::string sealed = TRY(unbase64(row->body.get("sealed")));
  const bool binary = row->body.get_bool("binary");
  auto bytes = unseal(key, sealed, bound_to(s, version, binary));
  wipe(key);
  if (!bytes) return std::move(bytes).error();
  return SecretValue(binary, std::move(*bytes));
}

Result<bool> SecretsManager::same_value(const Secret& s, const std::string& version,
                                        const SecretValue& value) {
  const auto row =
      TRY(database_.get({s.account, s.region, kSecretValueKind, secret_value_id(s.name, version)}));
  if (!row || row->body.get_bool("binary") != value.binary) return false;
  const std::string sealed = TRY(unbase64(row->body.get("digest")));
  const std::string digest = TRY(keyring_.unseal(kPurpose, sealed, bound_to(s, version, value.binary)));
  return equal_constant_time(digest, sha256(value.bytes));
}

}  // namespace bastide::services
