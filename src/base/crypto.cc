#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <memory>

#include "base/bytes.h"

namespace bastide {
namespace {

constexpr size_t kNonce = 12;
constexpr size_t kTag = 16;

const uint8_t* u8(std::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }
uint8_t* u8(std::string& s) { return reinterpret_cast<uint8_t*>(s.data()); }

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(u8(bytes), bytes.size(), u8(out));
  return out;
}

std::string sha256_hex(std::string_view bytes) { return hex(sha256(bytes)); }

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  unsigned length = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), u8(bytes), bytes.size(), u8(out), &length));
  return out;
}

std::string md5(std::string_view bytes) {
  std::string out(16, '\0');
  unsigned length = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), u8(out), &length, EVP_md5(), nullptr) == 1);
  return out;
}

Sha256::Sha256() : ctx_(EVP_MD_CTX_new()) {
  CHECK(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(ctx_), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(ctx_)); }
Sha256::Sha256(Sha256&& other) noexcept : ctx_(std::exchange(other.ctx_, nullptr)) {}
Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(ctx_, other.ctx_);
  return *this;
}
void Sha256::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(ctx_), bytes.data(), bytes.size()) == 1);
}
std::string Sha256::finish() {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  unsigned length = 0;
  CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(ctx_), u8(out), &length) == 1);
  return out;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

std::string seal(std::string_view key32, std::string_view plaintext, std::string_view associated_data) {
  CHECK(key32.size() == 32);
  std::string out = random_bytes(kNonce);
  out.resize(kNonce + plaintext.size() + kTag);
  Cipher ctx(EVP_CIPHER_CTX_new());
  int n = 0;
  CHECK(EVP_EncryptInit_ex(ctx.get(), EVP_aes_256_gcm(), nullptr, u8(key32), u8(out)) == 1);
  CHECK(EVP_EncryptUpdate(ctx.get(), nullptr, &n, u8(associated_data), static_cast<int>(associated_data.size())) == 1);
  CHECK(EVP_EncryptUpdate(ctx.get(), u8(out) + kNonce, &n, u8(plaintext), static_cast<int>(plaintext.size())) == 1);
  CHECK(EVP_EncryptFinal_ex(ctx.get(), u8(out) + kNonce + n, &n) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_GCM_GET_TAG, kTag, u8(out) + kNonce + plaintext.size()) == 1);
  return out;
}

Result<std::string> unseal(std::string_view key32, std::string_view sealed, std::string_view associated_data) {
  CHECK(key32.size() == 32);
  if (sealed.size() < kNonce + kTag) return error("Invalid", "sealed text is too short");
  const std::string_view body = sealed.substr(kNonce, sealed.size() - kNonce - kTag);
  std::string tag(sealed.substr(sealed.size() - kTag));
  std::string out(body.size(), '\0');
  Cipher ctx(EVP_CIPHER_CTX_new());
  int n = 0;
  CHECK(EVP_DecryptInit_ex(ctx.get(), EVP_aes_256_gcm(), nullptr, u8(key32), u8(sealed)) == 1);
  CHECK(EVP_DecryptUpdate(ctx.get(), nullptr, &n, u8(associated_data), static_cast<int>(associated_data.size())) == 1);
  CHECK(EVP_DecryptUpdate(ctx.get(), u8(out), &n, u8(body), static_cast<int>(body.size())) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_GCM_SET_TAG, kTag, u8(tag)) == 1);
  if (EVP_DecryptFinal_ex(ctx.get(), u8(out) + n, &n) != 1) {
    wipe(out);
    return error("Invalid", "sealed text does not open under this key and context");
  }
  return out;
}

std::string random_bytes(size_t count) {
  std::string out(count, '\0');
  CHECK(RAND_bytes(u8(out), static_cast<int>(count)) == 1);
  return out;
}

std::string random_text(size_t count, std::string_view alphabet) {
  CHECK(!alphabet.empty() && alphabet.size() <= 256);
  const size_t limit = 256 - 256 % alphabet.size();  // beyond it, a byte would favour the first characters
  std::string out;
  while (out.size() < count) {
    for (const char c : random_bytes(count - out.size() + 8)) {
      const auto byte = static_cast<uint8_t>(c);
      if (byte < limit && out.size() < count) out += alphabet[byte % alphabet.size()];
    }
  }
  return out;
}

}  // namespace bastide
