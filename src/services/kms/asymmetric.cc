#include "services/kms/asymmetric.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>

#include "base/crypto.h"
#include "base/free.h"

namespace bastide::services {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;

const uint8_t* u8(std::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }
uint8_t* u8(std::string& s) { return reinterpret_cast<uint8_t*>(s.data()); }
Error failed(const char* what) { return error("Crypto", std::string(what) + " failed"); }

Result<Pkey> load(std::string_view der) {
  const uint8_t* p = u8(der);
  Pkey key(d2i_AutoPrivateKey(nullptr, &p, static_cast<long>(der.size())));
  if (!key) return failed("reading the private key");
  return key;
}

const EVP_MD* digest_of(std::string_view algorithm) {
  if (algorithm.ends_with("256")) return EVP_sha256();
  if (algorithm.ends_with("384")) return EVP_sha384();
  if (algorithm.ends_with("512")) return EVP_sha512();
  if (algorithm.ends_with("224")) return EVP_sha224();
  return EVP_sha1();  // RSAES_OAEP_SHA_1
}

bool pss(std::string_view algorithm) { return algorithm.starts_with("RSASSA_PSS"); }

bool prepare(EVP_PKEY_CTX* ctx, std::string_view algorithm) {
  if (EVP_PKEY_CTX_set_signature_md(ctx, digest_of(algorithm)) <= 0) return false;
  if (!algorithm.starts_with("RSA")) return true;
  if (EVP_PKEY_CTX_set_rsa_padding(ctx, pss(algorithm) ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) <= 0)
    return false;
  return !pss(algorithm) || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
}

Result<std::string> digest(std::string_view algorithm, std::string_view message, bool is_digest) {
  const EVP_MD* md = digest_of(algorithm);
  if (is_digest) {
    if (message.size() != static_cast<size_t>(EVP_MD_get_size(md))) {
      return fault("ValidationException",
                   "Digest is invalid length for algorithm " + std::string(algorithm) + ".");
    }
    return std::string(message);
  }
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  if (EVP_Digest(message.data(), message.size(), u8(out), &size, md, nullptr) != 1) return failed("hashing");
  out.resize(size);
  return out;
}

const std::vector<SpecFacts>& specs() {
  static const std::vector<const char*> oaep{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"};
  static const std::vector<const char*> rsa{"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384",
                                            "RSASSA_PKCS1_V1_5_SHA_512", "RSASSA_PSS_SHA_256",
                                            "RSASSA_PSS_SHA_384",        "RSASSA_PSS_SHA_512"};
  static const std::vector<const char*> both{"ENCRYPT_DECRYPT", "SIGN_VERIFY"};
  static const std::vector<SpecFacts> all{
      {"SYMMETRIC_DEFAULT", {"ENCRYPT_DECRYPT"}, {"SYMMETRIC_DEFAULT"}, {}, {}},
      {"RSA_2048", both, oaep, rsa, {}},
      {"RSA_3072", both, oaep, rsa, {}},
      {"RSA_4096", both, oaep, rsa, {}},
      {"ECC_NIST_P256", {"SIGN_VERIFY"}, {}, {"ECDSA_SHA_256"}, {}},
      {"ECC_NIST_P384", {"SIGN_VERIFY"}, {}, {"ECDSA_SHA_384"}, {}},
      {"ECC_NIST_P521", {"SIGN_VERIFY"}, {}, {"ECDSA_SHA_512"}, {}},
      {"ECC_SECG_P256K1", {"SIGN_VERIFY"}, {}, {"ECDSA_SHA_256"}, {}},
      {"HMAC_224", {"GENERATE_VERIFY_MAC"}, {}, {}, {"HMAC_SHA_224"}},
      {"HMAC_256", {"GENERATE_VERIFY_MAC"}, {}, {}, {"HMAC_SHA_256"}},
      {"HMAC_384", {"GENERATE_VERIFY_MAC"}, {}, {}, {"HMAC_SHA_384"}},
      {"HMAC_512", {"GENERATE_VERIFY_MAC"}, {}, {}, {"HMAC_SHA_512"}},
  };
  return all;
}

using Crypt = int (*)(EVP_PKEY_CTX*, unsigned char*, size_t*, const unsigned char*, size_t);

Result<std::string> oaep(std::string_view der, std::string_view algorithm, std::string_view text,
                         int (*init)(EVP_PKEY_CTX*), Crypt run) {
  auto key = TRY(load(der));
  const PkeyContext ctx(EVP_PKEY_CTX_new(key.get(), nullptr));
  const EVP_MD* md = digest_of(algorithm == "RSAES_OAEP_SHA_1" ? "" : algorithm);
  size_t size = 0;
  if (!ctx || init(ctx.get()) <= 0 || EVP_PKEY_CTX_set_rsa_padding(ctx.get(), RSA_PKCS1_OAEP_PADDING) <= 0 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(ctx.get(), md) <= 0 || EVP_PKEY_CTX_set_rsa_mgf1_md(ctx.get(), md) <= 0 ||
      run(ctx.get(), nullptr, &size, u8(text), text.size()) <= 0) {
    return failed("RSA");
  }
  std::string out(size, '\0');
  if (run(ctx.get(), u8(out), &size, u8(text), text.size()) <= 0) return failed("RSA");
  out.resize(size);
  return out;
}

}  // namespace

const SpecFacts* find_spec(std::string_view spec) {
  for (const auto& facts : specs()) {
    if (spec == facts.spec) return &facts;
  }
  return nullptr;
}

Result<std::string> make_private_material(std::string_view spec) {
  if (spec.starts_with("HMAC_")) {
    const size_t bits = spec == "HMAC_224" ? 224 : spec == "HMAC_256" ? 256 : spec == "HMAC_384" ? 384 : 512;
    return random_bytes(bits / 8);
  }
  Pkey key;
  if (spec.starts_with("RSA_")) {
    const unsigned bits = spec == "RSA_2048" ? 2048 : spec == "RSA_3072" ? 3072 : 4096;
    key.reset(EVP_RSA_gen(bits));
  } else {
    const char* curve = spec == "ECC_NIST_P256"   ? "P-256"
                        : spec == "ECC_NIST_P384" ? "P-384"
                        : spec == "ECC_NIST_P521" ? "P-521"
                                                  : "secp256k1";
    key.reset(EVP_EC_gen(curve));
  }
  if (!key) return failed("making a key pair");
  PKCS8_PRIV_KEY_INFO* info = EVP_PKEY2PKCS8(key.get());
  uint8_t* der = nullptr;
  const int size = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
  PKCS8_PRIV_KEY_INFO_free(info);
  if (size <= 0) return failed("encoding a private key");
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_clear_free(der, static_cast<size_t>(size));
  return out;
}

Result<std::string> public_key_of(std::string_view private_der) {
  auto key = TRY(load(private_der));
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  if (size <= 0) return failed("encoding a public key");
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

Result<std::string> sign(std::string_view private_der, std::string_view algorithm, std::string_view message,
                         bool is_digest) {
  const auto hash = TRY(digest(algorithm, message, is_digest));
  auto key = TRY(load(private_der));
  const PkeyContext ctx(EVP_PKEY_CTX_new(key.get(), nullptr));
  size_t size = 0;
  if (!ctx || EVP_PKEY_sign_init(ctx.get()) <= 0 || !prepare(ctx.get(), algorithm) ||
      EVP_PKEY_sign(ctx.get(), nullptr, &size, u8(hash), hash.size()) <= 0) {
    return failed("signing");
  }
  std::string out(size, '\0');
  if (EVP_PKEY_sign(ctx.get(), u8(out), &size, u8(hash), hash.size()) <= 0) return failed("signing");
  out.resize(size);
  return out;
}

Result<bool> verify(std::string_view private_der, std::string_view algorithm, std::string_view message,
                    bool is_digest, std::string_view signature) {
  const auto hash = TRY(digest(algorithm, message, is_digest));
  auto key = TRY(load(private_der));
  const PkeyContext ctx(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (!ctx || EVP_PKEY_verify_init(ctx.get()) <= 0 || !prepare(ctx.get(), algorithm))
    return failed("verifying");
  return EVP_PKEY_verify(ctx.get(), u8(signature), signature.size(), u8(hash), hash.size()) == 1;
}

Result<std::string> asymmetric_encrypt(std::string_view der, std::string_view algorithm,
                                       std::string_view text) {
  return oaep(der, algorithm, text, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt);
}

Result<std::string> asymmetric_decrypt(std::string_view der, std::string_view algorithm,
                                       std::string_view text) {
  return oaep(der, algorithm, text, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt);
}

Result<size_t> rsa_bytes(std::string_view private_der) {
  auto key = TRY(load(private_der));
  return static_cast<size_t>(EVP_PKEY_get_size(key.get()));
}

Result<std::string> aes_key_unwrap(std::string_view key, std::string_view wrapped) {
  const EVP_CIPHER* cipher = key.size() == 32   ? EVP_aes_256_wrap_pad()
                             : key.size() == 24 ? EVP_aes_192_wrap_pad()
                             : key.size() == 16 ? EVP_aes_128_wrap_pad()
                                                : nullptr;
  if (cipher == nullptr || wrapped.size() < 16 || wrapped.size() > 8192) return failed("unwrapping");
  const std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>> ctx(EVP_CIPHER_CTX_new());
  std::string out(wrapped.size() + 16, '\0');
  int size = 0;
  EVP_CIPHER_CTX_set_flags(ctx.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (EVP_DecryptInit_ex(ctx.get(), cipher, nullptr, u8(key), nullptr) != 1 ||
      EVP_DecryptUpdate(ctx.get(), u8(out), &size, u8(wrapped), static_cast<int>(wrapped.size())) != 1) {
    return failed("unwrapping");
  }
  out.resize(static_cast<size_t>(size));
  return out;
}

Result<std::string> mac(std::string_view key, std::string_view algorithm, std::string_view message) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  if (!HMAC(digest_of(algorithm), key.data(), static_cast<int>(key.size()), u8(message), message.size(),
            u8(out), &size)) {
    return failed("HMAC");
  }
  out.resize(size);
  return out;
}

}  // namespace bastide::services
