// JSON Web Tokens as identity providers issue them (RFC 7519), signed with RS256/384/512 or ES256/384/512
// (RFC 7518) by a key of a JWKS (RFC 7517). Everything in a token is untrusted until verify_web_token said
// yes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::aws {

inline constexpr size_t kMaxWebToken = 20'000;  // bytes, as AssumeRoleWithWebIdentity's model says

struct WebToken {
  std::string algorithm, key_id;
  std::string issuer, subject, authorized_party;
  std::vector<std::string> audience;
  Millis issued_at = 0, expires_at = 0, not_before = 0;  // 0: not said
  json::Value claims;
  std::string signed_text, signature;
};

// Reads, checks nothing. "Invalid" for what is no token.
Result<WebToken> parse_web_token(std::string_view text);

// Whether a key of `jwks` made the signature. "NotFound": no key of it fits the token's header, so that fresh
// keys may help; "Denied": the signature is wrong.
Result<void> verify_web_token(const WebToken& token, const json::Value& jwks);

}  // namespace bastide::aws
