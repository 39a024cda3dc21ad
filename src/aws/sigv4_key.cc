// The low-level SHA-256 of OpenSSL: its state can be kept and copied, so that a cached key costs two blocks
// less a signature and no allocation. The EVP interface has no such copy without one.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <cstring>

#include "aws/sigv4.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kMaxKeys = 4096;

void start(unsigned char* state, std::string_view key, unsigned char pad) {
  unsigned char block[kBlock];
  std::memset(block, pad, kBlock);
  for (size_t i = 0; i < key.size() && i < kBlock; ++i) block[i] ^= static_cast<unsigned char>(key[i]);
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, block, kBlock);
  std::memcpy(state, &context, sizeof context);
}

}  // namespace

std::string Scope::text() const { return date + "/" + region + "/" + service + "/aws4_request"; }

SigningKey::SigningKey(std::string_view secret, const Scope& scope) {
  static_assert(sizeof(SHA256_CTX) == sizeof inner_);
  std::string key = hmac_sha256("AWS4" + std::string(secret), scope.date);
  key = hmac_sha256(key, scope.region);
  key = hmac_sha256(key, scope.service);
  key = hmac_sha256(key, "aws4_request");
  start(inner_, key, 0x36);
  start(outer_, key, 0x5c);
  wipe(key);
}

std::string SigningKey::sign(std::string_view text) const {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  auto* digest = reinterpret_cast<unsigned char*>(out.data());
  SHA256_CTX context;
  std::memcpy(&context, inner_, sizeof context);
  SHA256_Update(&context, text.data(), text.size());
  SHA256_Final(digest, &context);
  std::memcpy(&context, outer_, sizeof context);
  SHA256_Update(&context, digest, out.size());
  SHA256_Final(digest, &context);
  return out;
}

std::string SigningKey::sign_hex(std::string_view text) const { return hex(sign(text)); }

const SigningKey& SigningKeys::get(const std::string& access_key_id, std::string_view secret,
                                   const Scope& scope) {
  const std::string name = access_key_id + "/" + scope.text();
  std::string hash = sha256(secret);
  const auto found = known_.find(name);
  if (found != known_.end() && equal_constant_time(found->second.secret_hash, hash)) return found->second.key;
  if (found == known_.end() && known_.size() >= kMaxKeys) known_.clear();
  return known_.insert_or_assign(name, Known{std::move(hash), SigningKey(secret, scope)}).first->second.key;
}

}  // namespace bastide::aws
