// Key pairs and HMAC keys of KMS, by OpenSSL. RSA takes milliseconds and more: call through net::offload.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bastide::services {

struct SpecFacts {
  const char* spec;
  std::vector<const char*> usages;
  std::vector<const char*> encryption, signing, macs;
};
const SpecFacts* find_spec(std::string_view spec);

Result<std::string> make_private_material(std::string_view spec);  // PKCS#8 DER, or the bytes of an HMAC key
Result<std::string> public_key_of(std::string_view private_der);   // SubjectPublicKeyInfo DER
Result<std::string> sign(std::string_view private_der, std::string_view algorithm, std::string_view message,
                         bool is_digest);
Result<bool> verify(std::string_view private_der, std::string_view algorithm, std::string_view message,
                    bool is_digest, std::string_view signature);
Result<std::string> asymmetric_encrypt(std::string_view private_der, std::string_view algorithm,
                                       std::string_view text);
Result<std::string> asymmetric_decrypt(std::string_view private_der, std::string_view algorithm,
                                       std::string_view text);
// What wraps imported key material. https://www.rfc-editor.org/rfc/rfc5649
Result<size_t> rsa_bytes(std::string_view private_der);
Result<std::string> aes_key_unwrap(std::string_view key, std::string_view wrapped);
Result<std::string> mac(std::string_view key, std::string_view algorithm, std::string_view message);

}  // namespace bastide::services
