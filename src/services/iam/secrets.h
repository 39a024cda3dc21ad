// Passwords and one-time codes. Nothing here keeps or logs what it is given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::services {

// scrypt, N=2^15, r=8, p=1 (RFC 7914). About 80 ms and 32 MiB: through net::offload.
Result<json::Value> hash_password(const std::string& password);
bool password_matches(const json::Value& hashed, const std::string& password);

// RFC 6238: HMAC-SHA1, 30 seconds, six digits.
std::string totp(const std::string& seed, int64_t step);
int64_t totp_step(Millis now);
// The step whose code this is: now, the one before or the next, but later than `last`.
std::optional<int64_t> totp_accept(const std::string& seed, const std::string& code, Millis now,
                                   int64_t last);

std::string base32(const std::string& bytes);  // RFC 4648, not padded

}  // namespace bastide::services
