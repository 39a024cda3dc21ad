// Signatures, MACs and data key pairs. Waits: the work is offloaded.
// https://docs.aws.amazon.com/kms/latest/developerguide/symmetric-asymmetric.html
#include "base/bytes.h"
#include "base/crypto.h"
#include "net/loop.h"
#include "services/kms/asymmetric.h"
#include "services/kms/kms.h"

namespace bastide::services {

namespace m = model::kms;
namespace op = model::kms::op;

namespace {

Result<bool> is_digest(const std::optional<std::string>& type) {
  if (type && *type == "EXTERNAL_MU") {
    return fault("UnsupportedOperationException", "The message type EXTERNAL_MU is not supported.");
  }
  return type && *type == "DIGEST";
}

struct Pair {
  std::string private_key, public_key;
};

Result<Pair> make_pair(const std::string& spec) {
  Pair out;
  out.private_key = TRY(make_private_material(spec));
  out.public_key = TRY(public_key_of(out.private_key));
  return out;
}

Result<void> pair_spec(const std::string& spec) {
  const auto* facts = find_spec(spec);
  if (facts && !facts->signing.empty()) return {};
  return fault("UnsupportedOperationException", "The key pair spec " + spec + " is not supported.");
}

}  // namespace

// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
Result<m::SignResponse> Kms::sign_message(Call& call, const m::SignRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  TRY(usable(*found, "SIGN_VERIFY", q.signing_algorithm));
  const bool digest = TRY(is_digest(q.message_type));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  const std::string& material = found->opened.at(found->current);
  auto signature =
      net::offload_result([&] { return sign(material, q.signing_algorithm, q.message, digest); });
  if (!signature) return std::move(signature).error();
  return m::SignResponse{found->key.arn(), std::move(*signature), q.signing_algorithm};
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html
Result<m::VerifyResponse> Kms::verify_message(Call& call, const m::VerifyRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  TRY(usable(*found, "SIGN_VERIFY", q.signing_algorithm));
  const bool digest = TRY(is_digest(q.message_type));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  const std::string& material = found->opened.at(found->current);
  auto valid = net::offload_result(
      [&] { return verify(material, q.signing_algorithm, q.message, digest, q.signature); });
  if (!valid) return std::move(valid).error();
  if (!*valid) return fault("KMSInvalidSignatureException", "");
  return m::VerifyResponse{found->key.arn(), true, q.signing_algorithm};
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html
Result<m::GetPublicKeyResponse> Kms::get_public_key(Call& call, const m::GetPublicKeyRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  TRY(usable(*found));
  const KmsKey& k = found->key;
  const auto* facts = find_spec(k.spec);
  if (k.symmetric() || k.usage == "GENERATE_VERIFY_MAC") {
    return fault("UnsupportedOperationException", k.arn() + " is not an asymmetric key.");
  }
  const auto described = metadata(k);
  m::GetPublicKeyResponse out;
  out.key_id = k.arn();
  out.public_key = TRY(public_key_of(found->opened.at(found->current)));
  out.customer_master_key_spec = facts->spec;
  out.key_spec = facts->spec;
  out.key_usage = k.usage;
  out.encryption_algorithms = described.encryption_algorithms;
  out.signing_algorithms = described.signing_algorithms;
  return out;
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
Result<m::GenerateMacResponse> Kms::generate_mac(Call& call, const m::GenerateMacRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  TRY(usable(*found, "GENERATE_VERIFY_MAC", q.mac_algorithm));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  m::GenerateMacResponse out;
  out.mac = TRY(mac(found->opened.at(found->current), q.mac_algorithm, q.message));
  out.mac_algorithm = q.mac_algorithm;
  out.key_id = found->key.arn();
  return out;
}

Result<m::VerifyMacResponse> Kms::verify_mac(Call& call, const m::VerifyMacRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  TRY(usable(*found, "GENERATE_VERIFY_MAC", q.mac_algorithm));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  const auto right = TRY(mac(found->opened.at(found->current), q.mac_algorithm, q.message));
  if (!equal_constant_time(right, q.mac)) return fault("KMSInvalidMacException", "");
  return m::VerifyMacResponse{found->key.arn(), true, q.mac_algorithm};
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPair.html
Result<m::GenerateDataKeyPairResponse> Kms::data_key_pair(Call& call,
                                                          const m::GenerateDataKeyPairRequest& q) {
  if (q.recipient)
    return fault("UnsupportedOperationException", "Attestation documents (Recipient) are not supported.");
  const auto found = TRY(find(call, q.key_id));
  TRY(usable(*found, "ENCRYPT_DECRYPT", kSymmetric));
  TRY(pair_spec(q.key_pair_spec));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  auto pair = net::offload_result([&] { return make_pair(q.key_pair_spec); });
  if (!pair) return std::move(pair).error();
  m::GenerateDataKeyPairResponse out;
  out.private_key_ciphertext_blob =
      TRY(seal_text(*found, kSymmetric, pair->private_key, q.encryption_context));
  out.private_key_plaintext = std::move(pair->private_key);
  out.public_key = std::move(pair->public_key);
  out.key_id = found->key.arn();
  out.key_pair_spec = q.key_pair_spec;
  out.key_material_id = hex(found->current);
  return out;
}

Result<m::GenerateDataKeyPairWithoutPlaintextResponse> Kms::data_key_pair_without(
    Call& call, const m::GenerateDataKeyPairWithoutPlaintextRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  TRY(usable(*found, "ENCRYPT_DECRYPT", kSymmetric));
  TRY(pair_spec(q.key_pair_spec));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  auto pair = net::offload_result([&] { return make_pair(q.key_pair_spec); });
  if (!pair) return std::move(pair).error();
  m::GenerateDataKeyPairWithoutPlaintextResponse out;
  auto blob = seal_text(*found, kSymmetric, pair->private_key, q.encryption_context);
  wipe(pair->private_key);
  if (!blob) return std::move(blob).error();
  out.private_key_ciphertext_blob = std::move(*blob);
  out.public_key = std::move(pair->public_key);
  out.key_id = found->key.arn();
  out.key_pair_spec = q.key_pair_spec;
  out.key_material_id = hex(found->current);
  return out;
}

void Kms::offer_asymmetric(aws::Registry& registry) {
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto plain = [this](const char* action) {
    return [this, action](const aws::Call& call, const auto& q) -> Targets {
      const auto found = TRY(find(call, q.key_id));
      return std::vector<Target>{target(call, *found, action, {}, q.key_id)};
    };
  };
  auto signing = [this](const char* action) {
    return [this, action](const aws::Call& call, const auto& q) -> Targets {
      const auto found = TRY(find(call, q.key_id));
      auto t = target(call, *found, action, {}, q.key_id);
      t.context.emplace_back("kms:SigningAlgorithm", q.signing_algorithm);
      t.context.emplace_back("kms:MessageType", q.message_type.value_or("RAW"));
      return std::vector<Target>{std::move(t)};
    };
  };
  auto macs = [this](const char* action) {
    return [this, action](const aws::Call& call, const auto& q) -> Targets {
      const auto found = TRY(find(call, q.key_id));
      auto t = target(call, *found, action, {}, q.key_id);
      t.context.emplace_back("kms:MacAlgorithm", q.mac_algorithm);
      return std::vector<Target>{std::move(t)};
    };
  };
  auto pairs = [this](const char* action) {
    return [this, action](const aws::Call& call, const auto& q) -> Targets {
      const auto found = TRY(find(call, q.key_id));
      auto t = target(call, *found, action, q.encryption_context, q.key_id);
      t.context.emplace_back("kms:DataKeyPairSpec", q.key_pair_spec);
      return std::vector<Target>{std::move(t)};
    };
  };
  registry.add<op::Sign>(this, &Kms::sign_message, {"kms:Sign", signing("Sign")});
  registry.add<op::Verify>(this, &Kms::verify_message, {"kms:Verify", signing("Verify")});
  registry.add<op::GetPublicKey>(this, &Kms::get_public_key, {"kms:GetPublicKey", plain("GetPublicKey")});
  registry.add<op::GenerateMac>(this, &Kms::generate_mac, {"kms:GenerateMac", macs("GenerateMac")});
  registry.add<op::VerifyMac>(this, &Kms::verify_mac, {"kms:VerifyMac", macs("VerifyMac")});
  registry.add<op::GenerateDataKeyPair>(this, &Kms::data_key_pair,
                                        {"kms:GenerateDataKeyPair", pairs("GenerateDataKeyPair")});
  registry.add<op::GenerateDataKeyPairWithoutPlaintext>(
      this, &Kms::data_key_pair_without,
      {"kms:GenerateDataKeyPairWithoutPlaintext", pairs("GenerateDataKeyPairWithoutPlaintext")});
}

}  // namespace bastide::services
