// Encrypted values inside any text: `kmscrypt::` and the base64 of a KMS ciphertext. Pure functions over
// text, shared by `bastide secrets` and the helper kmscrypt. Every byte outside a token stays as it is.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::secrets {

inline constexpr std::string_view kPrefix = "kmscrypt::";
inline constexpr size_t kMaxTokens = 10'000;  // in one text

std::string make_token(std::string_view ciphertext);
bool has_token(std::string_view text);

// Every token becomes what `decrypt` makes of its ciphertext. In a text that is one JSON value, tokens stand
// in strings: there the plaintext is escaped, and must be UTF-8. An error names line and column of the token,
// and repeats neither ciphertext nor plaintext. Equal tokens are decrypted once.
Result<std::string> replace_tokens(
    std::string_view text, const std::function<Result<std::string>(std::string_view ciphertext)>& decrypt);

}  // namespace bastide::secrets
