#include "services/cloudfront/public_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace bastide::services::cloudfront {

Result<void> check_public_key(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  ERR_clear_error();
  const bool good =
      key != nullptr && ((EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) == 2048) ||
                         (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_bits(key) == 256));
  EVP_PKEY_free(key);
  if (good) return {};
  return fault("InvalidArgument",
               "Your request contains an empty/invalid/out of limits RSA or ECDSA Encoded Key.");
}

}  // namespace bastide::services::cloudfront
