// Encrypted values inside any text: `kmscrypt::` and the base64 of a KMS ciphertext; values that KMS does not
// take at once stand as `kmsenvelope::` and the base64 of an envelope (a KMS data key's ciphertext and the
// value sealed under that key). `awssecret::NAME` or `awssecret::ARN`, with `#KEY` behind it for one member
// of a JSON secret, names a secret of Secrets Manager instead of holding it. Pure functions over text, shared
// by `bastide secrets` and the helper kmscrypt. Every byte outside a token stays as it is. Errors name line
// and column and repeat no ciphertext or plaintext.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bastide::secrets {

inline constexpr std::string_view kPrefix = "kmscrypt::";
inline constexpr std::string_view kEnvelopePrefix = "kmsenvelope::";
inline constexpr std::string_view kReferencePrefix = "awssecret::";
inline constexpr size_t kMaxDirect = 4096;    // bytes that KMS encrypts at once
inline constexpr size_t kMaxTokens = 10'000;  // in one text

struct Token {
  size_t begin = 0, end = 0;    // in the text
  size_t line = 1, column = 1;  // in bytes, from 1
  std::string ciphertext;       // for KMS: the value's, or the data key's
  std::string sealed;           // of an envelope: the value
  std::string text;             // prefix and base64, without JSON's escapes
  std::string reference;        // instead of a ciphertext: the secret's name or ARN, and #KEY
  bool envelope() const { return !sealed.empty(); }
  std::string place() const;  // "line 2, column 3"
};

// KMS: from a ciphertext to what it holds.
using Decrypt = std::function<Result<std::string>(std::string_view ciphertext)>;
// Secrets Manager: from a name or ARN to the secret's text.
using Fetch = std::function<Result<std::string>(const std::string& id)>;

std::string make_token(std::string_view ciphertext);
std::string make_envelope(std::string_view data_key, std::string_view data_key_ciphertext,
                          std::string_view plaintext);

bool has_token(std::string_view text);      // an encrypted value
bool has_reference(std::string_view text);  // the name of a secret
// In order. A token that is cut off or malformed is an error.
Result<std::vector<Token>> find_tokens(std::string_view text);
Result<std::string> open_token(const Token& token, const Decrypt& decrypt);

// Every token becomes its plaintext. In a text that is one JSON value, tokens stand in strings: there the
// plaintext is escaped, and must be UTF-8. Equal tokens are decrypted once.
// With `fetch`, references become what they name.
Result<std::string> replace_tokens(std::string_view text, const Decrypt& decrypt, const Fetch& fetch = {});

// Every token becomes the token that `another` makes of it.
Result<std::string> rewrite_tokens(std::string_view text,
                                   const std::function<Result<std::string>(const Token&)>& another);

// As it stands inside a JSON string, without quotes.
Result<std::string> escape_for_json(std::string_view plaintext);

}  // namespace bastide::secrets
