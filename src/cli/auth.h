// The session of whoever signed in with `auth login`, and what comes from it: role profiles and their
// credentials. One session a house; it is kept by access::SessionStore.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "access/session_store.h"
#include "aws/client.h"
#include "base/json.h"
#include "base/result.h"

namespace bastide::cli {

class Context;

inline constexpr const char* kAmazon = "aws";  // an endpoint: AWS itself

struct SignedIn {
  std::string endpoint, ca_pem, region, account, account_name, arn;
  bool mfa = false;
  aws::Credentials credentials;
  std::string user() const { return arn.substr(arn.rfind('/') + 1); }
};

struct RoleProfile {
  std::string name;  // "stage-admin"
  std::string role_arn, account, account_name, role_name;
  Millis until = 0;  // of a grant; 0: no end
};

class Login {
 public:
  explicit Login(const Context& context);

  Result<std::optional<SignedIn>> current();  // nothing where nobody is signed in; an ended one is told
  Result<SignedIn> need();                    // with a clear error where there is none, or it has ended
  Result<void> keep(const SignedIn& session);
  Result<void> forget();

  Result<std::vector<RoleProfile>> roles();  // asks the service anew
  // A role's session, kept until shortly before its end; `profile`: its name, or an account's ("stage" is the
  // strongest role there).
  Result<aws::Credentials> role_credentials(const std::string& profile);
  Result<RoleProfile> role(const std::string& profile);

  aws::Client client(const SignedIn& session) const;
  access::SessionStore& store() { return store_; }

 private:
  const Context& context_;
  access::SessionStore store_;
};

// For Context::credentials: nothing where nobody is signed in, or the name is none of the session's.
Result<std::optional<aws::Credentials>> login_credentials(Context& context, const std::string& profile);
// The endpoint that the session was signed in at; empty: none.
std::string login_endpoint(const Context& context);

json::Value to_json(const aws::Credentials& c);
aws::Credentials credentials_of(const json::Value& v);

// From the terminal itself, without echo where `secret`. "Denied" where there is no terminal: nothing prompts
// into a pipe.
Result<std::string> ask_person(const std::string& question, bool secret, const std::string& instead);

}  // namespace bastide::cli
