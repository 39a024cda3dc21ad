#include "aws/web_token.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <cmath>
#include <memory>

#include "base/bytes.h"
#include "base/free.h"

namespace bastide::aws {
namespace {

constexpr size_t kMaxKeys = 100;
constexpr size_t kMinModulus = 256, kMaxModulus = 1024;  // bytes

using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using Digest = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

const uint8_t* bytes_of(std::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }
Number number_of(std::string_view s) {
  return Number(BN_bin2bn(bytes_of(s), static_cast<int>(s.size()), nullptr));
}

struct Algorithm {
  std::string_view name, family, curve, group;
  const EVP_MD* (*digest)();
  size_t coordinate;
};
constexpr Algorithm kAlgorithms[] = {
    {"RS256", "RSA", "", "", EVP_sha256, 0},
    {"RS384", "RSA", "", "", EVP_sha384, 0},
    {"RS512", "RSA", "", "", EVP_sha512, 0},
    {"ES256", "EC", "P-256", "prime256v1", EVP_sha256, 32},
    {"ES384", "EC", "P-384", "secp384r1", EVP_sha384, 48},
    {"ES512", "EC", "P-521", "secp521r1", EVP_sha512, 66},
};

const Algorithm* algorithm_of(std::string_view name) {
  for (const auto& a : kAlgorithms) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

Key build(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return Key(key);
}

Key rsa_key(const json::Value& jwk) {
  const auto n = unbase64url(jwk.get("n")), e = unbase64url(jwk.get("e"));
  if (!n || !e || n->size() < kMinModulus || n->size() > kMaxModulus + 1 || e->empty() || e->size() > 8)
    return nullptr;
  const Number modulus = number_of(*n), exponent = number_of(*e);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder || !modulus || !exponent ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return nullptr;
  }
  return build("RSA", builder.get());
}

Key ec_key(const json::Value& jwk, const Algorithm& a) {
  const auto x = unbase64url(jwk.get("x")), y = unbase64url(jwk.get("y"));
  if (!x || !y || x->size() != a.coordinate || y->size() != a.coordinate) return nullptr;
  const std::string point = "\x04" + *x + *y;
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, a.group.data(),
                                      a.group.size()) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) !=
          1) {
    return nullptr;
  }
  return build("EC", builder.get());
}

// A JWS carries r and s side by side, OpenSSL wants DER.
std::string der_of(std::string_view raw) {
  EcSignature signature(ECDSA_SIG_new());
  Number r = number_of(raw.substr(0, raw.size() / 2)), s = number_of(raw.substr(raw.size() / 2));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();
  (void)s.release();
  uint8_t* out = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &out);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<const char*>(out), static_cast<size_t>(size));
  OPENSSL_free(out);
  return der;
}

bool made_by(const WebToken& token, const Algorithm& a, const json::Value& jwk) {
  const bool rsa = a.family == "RSA";
  const Key key = rsa ? rsa_key(jwk) : ec_key(jwk, a);
  if (!key) return false;
  if (!rsa && token.signature.size() != 2 * a.coordinate) return false;
  const std::string signature = rsa ? token.signature : der_of(token.signature);
  const Digest digest(EVP_MD_CTX_new());
  const bool good = digest &&
                    EVP_DigestVerifyInit(digest.get(), nullptr, a.digest(), nullptr, key.get()) == 1 &&
                    EVP_DigestVerify(digest.get(), bytes_of(signature), signature.size(),
                                     bytes_of(token.signed_text), token.signed_text.size()) == 1;
  ERR_clear_error();
  return good;
}

Millis time_of(const json::Value& claims, const char* name) {
  const json::Value* v = claims.find(name);
  if (!v || !v->is_number()) return 0;
  const double seconds = v->number();
  constexpr double kLatest = 253'402'300'799;  // the year 9999
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kLatest) return 0;
  return static_cast<Millis>(seconds * 1000);
}

}  // namespace

Result<WebToken> parse_web_token(std::string_view text) {
  const auto bad = [] { return error("Invalid", "The token is not a JSON Web Token"); };
  if (text.size() > kMaxWebToken) return bad();
  const auto parts = split(text, '.');
  if (parts.size() != 3) return bad();
  const auto header_text = unbase64url(parts[0]), claims_text = unbase64url(parts[1]),
             signature = unbase64url(parts[2]);
  if (!header_text || !claims_text || !signature) return bad();
  const auto header = json::parse(*header_text);
  auto claims = json::parse(*claims_text);
  if (!header || !claims || !header->is_object() || !claims->is_object()) return bad();
  // RFC 7515 section 4.1.11: what one does not understand and must, one refuses.
  if (header->has("crit")) return bad();
  WebToken t;
  t.algorithm = header->get("alg");
  t.key_id = header->get("kid");
  t.issuer = claims->get("iss");
  t.subject = claims->get("sub");
  t.authorized_party = claims->get("azp");
  if (const json::Value* audience = claims->find("aud")) {
    if (audience->is_string()) t.audience.push_back(audience->string());
    if (audience->is_array()) {
      for (const auto& one : audience->array()) {
        if (!one.is_string()) return bad();
        t.audience.push_back(one.string());
      }
    }
  }
  t.issued_at = time_of(*claims, "iat");
  t.expires_at = time_of(*claims, "exp");
  t.not_before = time_of(*claims, "nbf");
  t.signed_text = std::string(parts[0]) + "." + std::string(parts[1]);
  t.signature = *signature;
  t.claims = std::move(claims).value();
  return t;
}

Result<void> verify_web_token(const WebToken& token, const json::Value& jwks) {
  const Algorithm* a = algorithm_of(token.algorithm);
  if (!a)
    return error("Denied", "The token's algorithm is not one of RS256, RS384, RS512, ES256, ES384, ES512");
  bool fits = false;
  size_t count = 0;
  for (const auto& jwk : jwks.get_array("keys")) {
    if (++count > kMaxKeys) break;
    if (jwk.get("kty") != a->family || (!a->curve.empty() && jwk.get("crv") != a->curve)) continue;
    if (jwk.has("use") && jwk.get("use") != "sig") continue;
    if (jwk.has("alg") && jwk.get("alg") != token.algorithm) continue;
    if (!token.key_id.empty() && jwk.has("kid") && jwk.get("kid") != token.key_id) continue;
    fits = true;
    if (made_by(token, *a, jwk)) return {};
  }
  if (!fits) return error("NotFound", "The issuer has no key that fits the token");
  return error("Denied", "The token's signature is wrong");
}

}  // namespace bastide::aws
