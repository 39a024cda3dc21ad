// Key material of one's own. https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys.html
//
// The import token holds everything that the second call needs, sealed: the wrapping key's private half, the
// key it is for, the algorithm and the end of its day. Material of the same bytes gets the same id, so that
// what was encrypted before it expired or was deleted opens again after it was imported anew.
#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/loop.h"
#include "services/kms/asymmetric.h"
#include "services/kms/kms.h"

namespace bastide::services {

namespace m = model::kms;
namespace op = model::kms::op;

namespace {

constexpr const char* kPurpose = "kms-import-token";
constexpr const char* kExpiry = "kms.expiry";
constexpr Millis kLongestValidity = 365 * kDay;

std::string job_key(const KmsKey& k) { return k.account + "/" + k.region + "/" + k.id; }

Result<void> importable(const KmsKey& k) {
  if (k.origin != "EXTERNAL") {
    return fault("UnsupportedOperationException",
                 k.arn() + " origin is " + k.origin + " which is not valid for this operation.");
  }
  if (k.state == "PendingDeletion")
    return fault("KMSInvalidStateException", k.arn() + " is pending deletion.");
  return {};
}

size_t material_size(const KmsKey& k) {
  if (k.symmetric()) return 32;
  return static_cast<size_t>(parse_int(std::string_view(k.spec).substr(5)).value_or(256)) / 8;  // HMAC_256
}

Result<std::string> unwrap(const std::string& algorithm, const std::string& private_der,
                           const std::string& wrapped) {
  const std::string oaep = algorithm.ends_with("_256") ? "RSAES_OAEP_SHA_256" : "RSAES_OAEP_SHA_1";
  if (algorithm.starts_with("RSAES_OAEP")) return asymmetric_decrypt(private_der, oaep, wrapped);
  // RSA_AES_KEY_WRAP: an AES key under RSA, and behind it the material under that key.
  const size_t rsa = TRY(rsa_bytes(private_der));
  if (wrapped.size() <= rsa) return error("Invalid", "too short");
  std::string key = TRY(asymmetric_decrypt(private_der, oaep, wrapped.substr(0, rsa)));
  auto out = aes_key_unwrap(key, wrapped.substr(rsa));
  wipe(key);
  return out;
}

}  // namespace

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetParametersForImport.html
Result<m::GetParametersForImportResponse> Kms::import_parameters(Call& call,
                                                                 const m::GetParametersForImportRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(importable(found->key));
  const bool wraps =
      q.wrapping_algorithm.starts_with("RSAES_OAEP") || q.wrapping_algorithm.starts_with("RSA_AES_KEY_WRAP");
  if (!wraps || !q.wrapping_key_spec.starts_with("RSA_")) {
    return fault("UnsupportedOperationException", "The wrapping algorithm " + q.wrapping_algorithm +
                                                      " with the wrapping key spec " + q.wrapping_key_spec +
                                                      " is not supported.");
  }
  auto made = net::offload_result([&] { return make_private_material(q.wrapping_key_spec); });
  if (!made) return std::move(made).error();
  m::GetParametersForImportResponse out;
  out.key_id = found->key.arn();
  out.public_key = TRY(public_key_of(*made));
  out.parameters_valid_to = call.now + kDay;
  std::string token = json::print(json::object({{"key", found->key.id},
                                                {"algorithm", q.wrapping_algorithm},
                                                {"until", call.now + kDay},
                                                {"private", base64(*made)}}));
  out.import_token = keyring_.seal(kPurpose, token, found->key.id);
  wipe(token);
  wipe(*made);
  return out;
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html
Result<m::ImportKeyMaterialResponse> Kms::import_material(Call& call, const m::ImportKeyMaterialRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(importable(found->key));
  auto opened = keyring_.unseal(kPurpose, q.import_token, found->key.id);
  const auto token = opened ? json::parse(*opened) : Result<json::Value>(error("sealed"));
  if (opened) wipe(*opened);
  if (!token) return fault("InvalidImportTokenException", "The import token is not valid for this KMS key.");
  if (token->get_int("until") < call.now)
    return fault("ExpiredImportTokenException", "The import token has expired.");
  const bool expires = q.expiration_model.value_or("KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES";
  if (expires != q.valid_to.has_value()) {
    return fault(
        "ValidationException",
        expires ? "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES."
                : "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE.");
  }
  if (expires && (*q.valid_to <= call.now || *q.valid_to > call.now + kLongestValidity)) {
    return fault("ValidationException", "ValidTo must be in the future, and no more than 365 days from now.");
  }
  std::string private_der = TRY(unbase64(token->get("private")));
  auto plain = net::offload_result(
      [&] { return unwrap(token->get("algorithm"), private_der, q.encrypted_key_material); });
  wipe(private_der);
  if (!plain) return fault("InvalidCiphertextException", "");
  if (plain->size() != material_size(found->key)) {
    wipe(*plain);
    return fault("IncorrectKeyMaterialException",
                 "The key material has a wrong length for the key spec " + found->key.spec + ".");
  }
  Material fresh;
  fresh.id = sha256_hex("kms-import|" + found->key.id + "|" + *plain);
  fresh.created = call.now;
  fresh.sealed = keyring_.seal("kms", *plain, found->key.id + "/" + fresh.id);
  wipe(*plain);
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto k = TRY(reread(w, found->key.account, found->key.region, found->key.id));
    TRY(importable(k));
    if (!k.materials.empty() &&
        (k.materials.back().id != fresh.id || (q.key_material_id && *q.key_material_id != fresh.id))) {
      return fault(
          "IncorrectKeyMaterialException",
          "The key material in the request is not the one that was imported into this KMS key before.");
    }
    if (k.materials.empty()) {
      k.materials.push_back(fresh);
    } else {
      k.materials.back().sealed = fresh.sealed;
    }
    if (k.state == "PendingImport") k.state = "Enabled";
    k.valid_to = expires ? *q.valid_to : 0;
    TRY(put(w, k));
    if (expires) TRY(w.enqueue(kExpiry, job_key(k), json::object(), k.valid_to));
    return {};
  }));
  m::ImportKeyMaterialResponse out;
  out.key_id = found->key.arn();
  out.key_material_id = fresh.id;
  return out;
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteImportedKeyMaterial.html
Result<m::DeleteImportedKeyMaterialResponse> Kms::delete_material(
    Call& call, const m::DeleteImportedKeyMaterialRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(importable(found->key));
  m::DeleteImportedKeyMaterialResponse out;
  out.key_id = found->key.arn();
  TRY(change(*found, [&](KmsKey& k) -> Result<void> {
    if (k.materials.empty()) return {};
    if (q.key_material_id && *q.key_material_id != k.materials.back().id) {
      return fault("NotFoundException", "The key material " + *q.key_material_id + " does not exist.");
    }
    out.key_material_id = k.materials.back().id;
    k.forget_material();
    return {};
  }));
  return out;
}

Result<std::optional<Millis>> Kms::run_expiry(store::Job& job) {
  const auto parts = split(job.key, '/');
  if (parts.size() != 3) return std::optional<Millis>{};
  const std::string account(parts[0]), region(parts[1]), id(parts[2]);
  std::optional<Millis> again;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto k = reread(w, account, region, id);
    if (!k) return k.error().fault ? Result<void>() : Result<void>(k.error());
    if (k->valid_to == 0) return {};
    const Millis now = clock_.wall();
    if (k->valid_to > now) {
      again = k->valid_to - now;
      return {};
    }
    k->forget_material();
    return put(w, *k);
  }));
  return again;
}

void Kms::offer_import(aws::Registry& registry) {
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  registry.add<op::GetParametersForImport>(
      this, &Kms::import_parameters, {"kms:GetParametersForImport", [this](auto& call, auto& q) -> Targets {
                                        const auto found = TRY(find_key(call, q.key_id));
                                        auto t = target(call, *found, "GetParametersForImport");
                                        t.context.emplace_back("kms:WrappingAlgorithm", q.wrapping_algorithm);
                                        t.context.emplace_back("kms:WrappingKeySpec", q.wrapping_key_spec);
                                        return std::vector<Target>{std::move(t)};
                                      }});
  registry.add<op::ImportKeyMaterial>(
      this, &Kms::import_material,
      {"kms:ImportKeyMaterial", [this](auto& call, auto& q) -> Targets {
         const auto found = TRY(find_key(call, q.key_id));
         auto t = target(call, *found, "ImportKeyMaterial");
         t.context.emplace_back("kms:ExpirationModel", q.expiration_model.value_or("KEY_MATERIAL_EXPIRES"));
         if (q.valid_to) t.context.emplace_back("kms:ValidTo", iso8601(*q.valid_to));
         return std::vector<Target>{std::move(t)};
       }});
  registry.add<op::DeleteImportedKeyMaterial>(
      this, &Kms::delete_material,
      {"kms:DeleteImportedKeyMaterial", [this](auto& call, auto& q) -> Targets {
         const auto found = TRY(find_key(call, q.key_id));
         return std::vector<Target>{target(call, *found, "DeleteImportedKeyMaterial")};
       }});
}

}  // namespace bastide::services
