// What sign-in, sts and iam say to one another: sessions of people, OpenID Connect, access for a time. On
// control's loop.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "aws/principal.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::aws {

// Session tags that only this house sets (nobody may pass a tag that begins with "aws:"): which user the
// first role of a chain was assumed by, and the access request by which it was.
inline constexpr const char* kAssumedByTag = "aws:AssumedBy";
inline constexpr const char* kAssumedByIdTag = "aws:AssumedById";
inline constexpr const char* kAccessRequestTag = "aws:AccessRequest";
inline constexpr const char* kAccessUntilTag = "aws:AccessUntil";  // milliseconds

inline std::string session_tag(const Principal& p, std::string_view key) {
  for (const auto& [name, value] : p.session_tags) {
    if (name == key) return value;
  }
  return {};
}
// The person (or role) behind a session, through all roles of its chain.
inline std::string origin_of(const Principal& p) {
  std::string origin = session_tag(p, kAssumedByTag);
  return origin.empty() ? p.arn : origin;
}

// Implemented by sts: a user's own session, as GetSessionToken gives it.
class UserSessions {
 public:
  virtual ~UserSessions() = default;
  virtual Result<Credentials> mint_user_session(const std::string& account, const std::string& user, bool mfa,
                                                Millis duration) = 0;
};

// Implemented by iam.
struct OidcProvider {
  std::string arn;
  std::string issuer;  // without https://
  std::vector<std::string> clients;
};
class OidcDirectory {
 public:
  virtual ~OidcDirectory() = default;
  virtual Result<std::vector<OidcProvider>> oidc_providers(const std::string& account) = 0;
};

// A token that its issuer signed for one of the provider's clients, and that is valid now.
struct WebIdentity {
  std::string provider_arn;
  std::string issuer;  // host and path, as condition keys begin with it
  std::string subject;
  std::string audience;  // azp where the token has one
  json::Value claims;
};
class WebIdentities {
 public:
  virtual ~WebIdentities() = default;
  // By a provider of that account. Waits: the issuer's keys may have to be fetched. Faults as
  // AssumeRoleWithWebIdentity gives them.
  virtual Result<WebIdentity> verify_web_identity(const std::string& account, const std::string& token) = 0;
};

// The keys of an issuer ("https://..."), as a JWKS document. Waits.
class WebKeySource {
 public:
  virtual ~WebKeySource() = default;
  // `fresh`: what is remembered lacks a key that somebody needs.
  virtual Result<json::Value> keys_of(const std::string& issuer, bool fresh) = 0;
};

// Access that somebody granted for a time. Implemented by the room access.
class AccessGrants {
 public:
  struct Grant {
    std::string id;
    Millis ends = 0;
  };
  virtual ~AccessGrants() = default;
  virtual Result<std::optional<Grant>> grant_of(const std::string& user_arn, const std::string& role_arn) = 0;
  virtual bool active(const std::string& id) = 0;
};

}  // namespace bastide::aws
