// A standard SecureString is one KMS ciphertext; an advanced one is an envelope: the length of the encrypted
// data key (2 bytes), that key, and the value sealed under it. The encryption context is PARAMETER_ARN.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "services/ssm/ssm.h"

namespace bastide::services {
namespace {

constexpr const char* kPurpose = "ssm";
constexpr const char* kService = "ssm.amazonaws.com";

aws::Principal through(const aws::Call& call) {
  aws::Principal p = call.principal;
  p.called_via.emplace_back(kService);
  return p;
}

json::Value context_of(const std::string& arn) { return json::object({{"PARAMETER_ARN", arn}}); }

Error of_kms(Error e) {
  if (!e.fault || e.code.starts_with("AccessDenied")) return e;
  return fault("InvalidKeyId",
               fmt::format("{} (Service: AWSKMS; Status Code: 400; Error Code: {})", e.message, e.code));
}

std::string plain_context(const std::string& arn, int64_t number) {
  return arn + ":" + std::to_string(number);
}

}  // namespace

std::string Ssm::keep_plain(const std::string& arn, int64_t number, const std::string& plain) {
  return base64(keyring_.seal(kPurpose, plain, plain_context(arn, number)));
}

Result<std::string> Ssm::encrypt(const Call& call, const std::string& arn, const Version& v,
                                 const std::string& plain) {
  if (v.tier != "Advanced") {
    auto out = client_.call(
        through(call), call.account, call.region, "kms", "Encrypt",
        json::object(
            {{"KeyId", v.key_id}, {"Plaintext", base64(plain)}, {"EncryptionContext", context_of(arn)}}));
    if (!out) return of_kms(std::move(out).error());
    return out->get("CiphertextBlob");
  }
  auto out = client_.call(
      through(call), call.account, call.region, "kms", "GenerateDataKey",
      json::object({{"KeyId", v.key_id}, {"KeySpec", "AES_256"}, {"EncryptionContext", context_of(arn)}}));
  if (!out) return of_kms(std::move(out).error());
  const std::string blob = TRY(unbase64(out->get("CiphertextBlob")));
  std::string key = TRY(unbase64(out->get("Plaintext")));
  std::string kept{static_cast<char>(blob.size() >> 8), static_cast<char>(blob.size() & 0xff)};
  kept += blob;
  kept += seal(key, plain, arn);
  wipe(key);
  return base64(kept);
}

Result<std::string> Ssm::reveal(const Call& call, const Parameter& p, const Version& v, bool decrypt) {
  const std::string arn = p.arn();
  if (!v.secure()) {
    const std::string sealed = TRY(unbase64(v.value));
    return keyring_.unseal(kPurpose, sealed, plain_context(arn, v.number));
  }
  if (!decrypt) return v.value;
  std::string blob = v.value, sealed;
  if (v.tier == "Advanced") {
    const std::string kept = TRY(unbase64(v.value));
    const size_t length =
        kept.size() < 2 ? 0 : static_cast<uint8_t>(kept[0]) * 256u + static_cast<uint8_t>(kept[1]);
    if (kept.size() < 2 + length) return error("parameter " + arn + ": its value is cut off");
    blob = base64(kept.substr(2, length));
    sealed = kept.substr(2 + length);
  }
  auto out = client_.call(through(call), call.account, call.region, "kms", "Decrypt",
                          json::object({{"CiphertextBlob", blob}, {"EncryptionContext", context_of(arn)}}));
  if (!out) return of_kms(std::move(out).error());
  std::string plain = TRY(unbase64(out->get("Plaintext")));
  if (v.tier != "Advanced") return plain;
  auto value = unseal(plain, sealed, arn);
  wipe(plain);
  return value;
}

}  // namespace bastide::services
