#include "services/iam/secrets.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::services {
namespace {

constexpr uint64_t kCost = 1 << 15;
constexpr uint64_t kMaxMemory = 64 << 20;

bool derive(const std::string& password, const std::string& salt, uint64_t cost, std::string& out) {
  out.resize(32);
  return EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const uint8_t*>(salt.data()),
                        salt.size(), cost, 8, 1, kMaxMemory, reinterpret_cast<uint8_t*>(out.data()),
                        out.size()) == 1;
}

}  // namespace

Result<json::Value> hash_password(const std::string& password) {
  const std::string salt = random_bytes(16);
  std::string hash;
  if (!derive(password, salt, kCost, hash)) return error("scrypt failed");
  return json::object(
      {{"salt", base64(salt)}, {"hash", base64(hash)}, {"cost", static_cast<int64_t>(kCost)}});
}

bool password_matches(const json::Value& hashed, const std::string& password) {
  const auto salt = unbase64(hashed.get("salt"));
  const auto expected = unbase64(hashed.get("hash"));
  std::string hash;
  if (!salt || !expected) return false;
  return derive(password, *salt, static_cast<uint64_t>(hashed.get_int("cost")), hash) &&
         equal_constant_time(hash, *expected);
}

std::string totp(const std::string& seed, int64_t step) {
  uint8_t counter[8];
  for (int i = 0; i < 8; ++i) counter[i] = static_cast<uint8_t>(step >> (56 - 8 * i));
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha1(), seed.data(), static_cast<int>(seed.size()), counter, sizeof counter, mac, &size);
  const size_t at = mac[size - 1] & 15;
  const uint32_t number = (static_cast<uint32_t>(mac[at] & 0x7F) << 24) |
                          (static_cast<uint32_t>(mac[at + 1]) << 16) |
                          (static_cast<uint32_t>(mac[at + 2]) << 8) | mac[at + 3];
  return fmt::format("{:06}", number % 1'000'000);
}

int64_t totp_step(Millis now) { return now / (30 * kSecond); }

std::optional<int64_t> totp_accept(const std::string& seed, const std::string& code, Millis now,
                                   int64_t last) {
  const int64_t step = totp_step(now);
  for (const int64_t candidate : {step, step - 1, step + 1}) {
    if (candidate > last && equal_constant_time(totp(seed, candidate), code)) return candidate;
  }
  return std::nullopt;
}

std::string base32(const std::string& bytes) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<uint8_t>(c);
    count += 8;
    while (count >= 5) {
      count -= 5;
      out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(bits >> count) & 31];
    }
  }
  if (count > 0) out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(bits << (5 - count)) & 31];
  return out;
}

}  // namespace bastide::services
