// Encrypt, Decrypt and data keys. https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html
#include "base/crypto.h"
#include "base/bytes.h"
#include "net/loop.h"
#include "services/kms/asymmetric.h"
#include "services/kms/kms.h"

namespace bastide::services {

namespace m = model::kms;
namespace op = model::kms::op;

namespace {

constexpr size_t kMaxDataKey = 1024;
const EncryptionContext kNoContext;

Error no_recipient() {
  return fault("UnsupportedOperationException", "Attestation documents (Recipient) are not supported.");
}

}  // namespace

Result<std::string> Kms::seal_text(const Entry& entry, const std::string& algorithm, std::string_view text,
                                   const Context& context) const {
  TRY(usable(entry, "ENCRYPT_DECRYPT", algorithm));
  const std::string& material = entry.opened.at(entry.current);
  if (entry.key.symmetric()) {
    return make_ciphertext(entry.key.id, entry.current, material, text, context ? *context : kNoContext);
  }
  if (context && !context->empty()) {
    return fault("ValidationException", "An encryption context is not valid with an asymmetric key.");
  }
  auto sealed = net::offload_result([&] { return asymmetric_encrypt(material, algorithm, text); });
  if (!sealed)
    return fault("ValidationException", "The plaintext is too long for the algorithm " + algorithm + ".");
  return sealed;
}

Result<std::string> Kms::open_text(const Entry& entry, const std::string& algorithm, const std::string& blob,
                                   const Context& context) const {
  TRY(usable(entry, "ENCRYPT_DECRYPT", algorithm));
  const Error bad = fault("InvalidCiphertextException", "");
  if (!entry.key.symmetric()) {
    auto text = net::offload_result(
        [&] { return asymmetric_decrypt(entry.opened.at(entry.current), algorithm, blob); });
    if (!text) return bad;
    return text;
  }
  const auto head = read_head(blob);
  if (!head) return bad;
  const auto material = entry.opened.find(head->material);
  if (head->key_id != entry.key.id || material == entry.opened.end()) return bad;
  auto text = open_ciphertext(blob, material->second, context ? *context : kNoContext);
  if (!text) return bad;
  return text;
}

// The key a ciphertext asks for; with `key_id`, it must be that one.
Result<Kms::Found> Kms::find_to_open(const Call& call, const std::optional<std::string>& blob,
                                     const std::optional<std::string>& key_id) {
  if (!key_id) {
    if (!blob) return fault("ValidationException", "CiphertextBlob or KeyId is required.");
    return find_of_blob(call, *blob);
  }
  auto found = TRY(find(call, *key_id));
  if (!found->key.symmetric() || !blob) return found;
  const auto head = read_head(*blob);
  if (!head) return fault("InvalidCiphertextException", "");
  if (head->key_id == found->key.id) return found;
  return fault("IncorrectKeyException",
               "The key ID in the request does not identify a CMK that can perform this operation.");
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
Result<m::EncryptResponse> Kms::encrypt(Call& call, const m::EncryptRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  const std::string algorithm = q.encryption_algorithm.value_or(kSymmetric);
  auto blob = TRY(seal_text(*found, algorithm, q.plaintext, q.encryption_context));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  return m::EncryptResponse{std::move(blob), found->key.arn(), algorithm};
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
Result<m::DecryptResponse> Kms::decrypt(Call& call, const m::DecryptRequest& q) {
  if (q.recipient) return no_recipient();
  if (!q.ciphertext_blob) return fault("ValidationException", "CiphertextBlob is required.");
  const auto found = TRY(find_to_open(call, q.ciphertext_blob, q.key_id));
  const std::string algorithm = q.encryption_algorithm.value_or(kSymmetric);
  auto text = TRY(open_text(*found, algorithm, *q.ciphertext_blob, q.encryption_context));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  m::DecryptResponse out;
  out.key_id = found->key.arn();
  out.plaintext = std::move(text);
  out.encryption_algorithm = algorithm;
  if (found->key.symmetric()) out.key_material_id = hex(read_head(*q.ciphertext_blob)->material);
  return out;
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html
Result<m::ReEncryptResponse> Kms::re_encrypt(Call& call, const m::ReEncryptRequest& q) {
  if (!q.ciphertext_blob) return fault("ValidationException", "CiphertextBlob is required.");
  const auto from = TRY(find_to_open(call, q.ciphertext_blob, q.source_key_id));
  const auto to = TRY(find(call, q.destination_key_id));
  m::ReEncryptResponse out;
  out.source_encryption_algorithm = q.source_encryption_algorithm.value_or(kSymmetric);
  out.destination_encryption_algorithm = q.destination_encryption_algorithm.value_or(kSymmetric);
  auto text = TRY(
      open_text(*from, *out.source_encryption_algorithm, *q.ciphertext_blob, q.source_encryption_context));
  auto blob = seal_text(*to, *out.destination_encryption_algorithm, text, q.destination_encryption_context);
  wipe(text);
  if (!blob) return std::move(blob).error();
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  out.ciphertext_blob = std::move(*blob);
  out.source_key_id = from->key.arn();
  out.key_id = to->key.arn();
  if (from->key.symmetric()) out.source_key_material_id = hex(read_head(*q.ciphertext_blob)->material);
  if (to->key.symmetric()) out.destination_key_material_id = hex(to->current);
  return out;
}

Result<size_t> Kms::data_key_bytes(const std::optional<int32_t>& bytes,
                                   const std::optional<std::string>& spec) const {
  if (bytes.has_value() == spec.has_value()) {
    return fault("ValidationException", "Please specify either number of bytes or key spec.");
  }
  if (spec) return size_t{*spec == "AES_128" ? 16u : 32u};
  if (*bytes < 1 || static_cast<size_t>(*bytes) > kMaxDataKey) {
    return fault("ValidationException", "NumberOfBytes must be between 1 and 1024.");
  }
  return static_cast<size_t>(*bytes);
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
Result<m::GenerateDataKeyResponse> Kms::data_key(Call& call, const m::GenerateDataKeyRequest& q) {
  if (q.recipient) return no_recipient();
  const auto found = TRY(find(call, q.key_id));
  const size_t bytes = TRY(data_key_bytes(q.number_of_bytes, q.key_spec));
  m::GenerateDataKeyResponse out;
  out.plaintext = random_bytes(bytes);
  out.ciphertext_blob = TRY(seal_text(*found, kSymmetric, *out.plaintext, q.encryption_context));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  out.key_id = found->key.arn();
  out.key_material_id = hex(found->current);
  return out;
}

Result<m::GenerateDataKeyWithoutPlaintextResponse> Kms::data_key_without(
    Call& call, const m::GenerateDataKeyWithoutPlaintextRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  const size_t bytes = TRY(data_key_bytes(q.number_of_bytes, q.key_spec));
  m::GenerateDataKeyWithoutPlaintextResponse out;
  std::string plain = random_bytes(bytes);
  auto blob = seal_text(*found, kSymmetric, plain, q.encryption_context);
  wipe(plain);
  if (!blob) return std::move(blob).error();
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  out.ciphertext_blob = std::move(*blob);
  out.key_id = found->key.arn();
  out.key_material_id = hex(found->current);
  return out;
}

Result<m::GenerateRandomResponse> Kms::random(Call&, const m::GenerateRandomRequest& q) {
  if (q.recipient) return no_recipient();
  if (q.custom_key_store_id)
    return fault("UnsupportedOperationException", "Custom key stores are not supported.");
  m::GenerateRandomResponse out;
  const size_t bytes = TRY(data_key_bytes(q.number_of_bytes, std::nullopt));
  out.plaintext = random_bytes(bytes);
  return out;
}

void Kms::offer_crypto(aws::Registry& registry) {
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto on_key = [this](const char* action) {
    return [this, action](const aws::Call& call, const auto& q) -> Targets {
      const auto found = TRY(find(call, q.key_id));
      return std::vector<Target>{target(call, *found, action, q.encryption_context, q.key_id)};
    };
  };
  registry.add<op::Encrypt>(this, &Kms::encrypt,
                            {"kms:Encrypt", [this](auto& call, auto& q) -> Targets {
                               const auto found = TRY(find(call, q.key_id));
                               auto t = target(call, *found, "Encrypt", q.encryption_context, q.key_id);
                               t.context.emplace_back("kms:EncryptionAlgorithm",
                                                      q.encryption_algorithm.value_or(kSymmetric));
                               return std::vector<Target>{std::move(t)};
                             }});
  registry.add<op::Decrypt>(
      this, &Kms::decrypt,
      {"kms:Decrypt", [this](auto& call, auto& q) -> Targets {
         const auto found = TRY(find_to_open(call, q.ciphertext_blob, q.key_id));
         auto t = target(call, *found, "Decrypt", q.encryption_context, q.key_id.value_or(""));
         t.context.emplace_back("kms:EncryptionAlgorithm", q.encryption_algorithm.value_or(kSymmetric));
         return std::vector<Target>{std::move(t)};
       }});
  registry.add<op::ReEncrypt>(
      this, &Kms::re_encrypt,
      {"kms:ReEncryptFrom", [this](auto& call, auto& q) -> Targets {
         const auto from = TRY(find_to_open(call, q.ciphertext_blob, q.source_key_id));
         const auto to = TRY(find(call, q.destination_key_id));
         std::vector<Target> out;
         out.push_back(
             target(call, *from, "ReEncryptFrom", q.source_encryption_context, q.source_key_id.value_or("")));
         out.push_back(
             target(call, *to, "ReEncryptTo", q.destination_encryption_context, q.destination_key_id));
         for (auto& t : out) t.context.emplace_back("kms:ReEncryptOnSameKey", from == to ? "true" : "false");
         return out;
       }});
  registry.add<op::GenerateDataKey>(this, &Kms::data_key, {"kms:GenerateDataKey", on_key("GenerateDataKey")});
  registry.add<op::GenerateDataKeyWithoutPlaintext>(
      this, &Kms::data_key_without,
      {"kms:GenerateDataKeyWithoutPlaintext", on_key("GenerateDataKeyWithoutPlaintext")});
  registry.add<op::GenerateRandom>(this, &Kms::random, {"kms:GenerateRandom", {}});
}

}  // namespace bastide::services
