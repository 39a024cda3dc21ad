// Hashes, MACs and authenticated encryption, by OpenSSL. No call here blocks or keeps state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide {

std::string sha256(std::string_view bytes);  // 32 raw bytes
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // 32 raw bytes
std::string md5(std::string_view bytes);  // for S3's ETag only

// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  std::string finish();  // 32 raw bytes; once

 private:
  void* ctx_;
};

bool equal_constant_time(std::string_view a, std::string_view b);
void wipe(std::string& secret);

// AES-256-GCM. seal() draws a fresh 12-byte nonce: nonce || ciphertext || 16-byte tag.
std::string seal(std::string_view key32, std::string_view plaintext, std::string_view associated_data);
Result<std::string> unseal(std::string_view key32, std::string_view sealed, std::string_view associated_data);

// Cryptographically strong randomness.
std::string random_bytes(size_t count);
// `count` characters drawn uniformly from `alphabet`.
std::string random_text(size_t count, std::string_view alphabet);

}  // namespace bastide
