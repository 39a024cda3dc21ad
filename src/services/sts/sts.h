// STS: who am I, and sessions. https://docs.aws.amazon.com/STS/latest/APIReference/
//
// A session token is sealed under the keyring and holds the whole session: nothing is stored. Deleting the
// role or the user (or closing the account) ends its sessions at once, because each use looks them up by
// their unique id. On control's loop only.
#pragma once

#include <string>
#include <unordered_map>

#include "aws/credentials.h"
#include "aws/directory.h"
#include "aws/service.h"
#include "aws/sign_in.h"
#include "base/time.h"
#include "gen/sts.h"
#include "store/keyring.h"

namespace bastide::services {

class Sts final : public aws::CredentialSource,
                  public aws::SessionIssuer,
                  public aws::UserSessions,
                  public aws::WebIdentities {
 public:
  using Call = aws::Call;

  // `long_term` (the service iam) answers for access keys without a session. `accounts` may be null.
  Sts(store::Keyring& keyring, Clock& clock, aws::IdentityDirectory& identities,
      aws::CredentialSource& long_term, aws::AccountDirectory* accounts)
      : keyring_(keyring),
        clock_(clock),
        identities_(identities),
        long_term_(long_term),
        accounts_(accounts) {}
  // Without these no token of an identity provider is accepted, and no access is granted for a time.
  void use_web_identities(aws::OidcDirectory& providers, aws::WebKeySource& keys) {
    oidc_ = &providers;
    web_keys_ = &keys;
  }
  void use_grants(aws::AccessGrants& grants) { grants_ = &grants; }
  void offer(aws::Registry& registry);

  // Every kind of credentials: this is the front's source.
  Result<aws::Identity> identify(const std::string& access_key_id, const std::string& session_token) override;
  Result<aws::Credentials> mint_role_session(const std::string& role_arn, const std::string& session_name,
                                             Millis duration, const std::string& service) override;
  // A service of AWS itself, acting for one resource (a distribution): what it may do is what resource
  // policies allow it. For the platform's own roles alone.
  aws::Credentials mint_service_session(const std::string& service, const std::string& source_arn,
                                        const std::string& source_account, Millis duration);

  Result<aws::Credentials> mint_user_session(const std::string& account, const std::string& user, bool mfa,
                                             Millis duration) override;
  Result<aws::WebIdentity> verify_web_identity(const std::string& account, const std::string& token) override;

  // Seals a denial (aws::denial_document) for DecodeAuthorizationMessage.
  std::string encode_authorization_message(const std::string& account, const json::Value& denial);

  Result<model::sts::op::AssumeRole::Response> assume_role(Call&, const model::sts::op::AssumeRole::Request&);
  Result<model::sts::op::AssumeRoleWithWebIdentity::Response> assume_role_with_web_identity(
      Call&, const model::sts::op::AssumeRoleWithWebIdentity::Request&);
  Result<model::sts::op::GetCallerIdentity::Response> get_caller_identity(
      Call&, const model::sts::op::GetCallerIdentity::Request&);
  Result<model::sts::op::GetSessionToken::Response> get_session_token(
      Call&, const model::sts::op::GetSessionToken::Request&);
  Result<model::sts::op::GetAccessKeyInfo::Response> get_access_key_info(
      Call&, const model::sts::op::GetAccessKeyInfo::Request&);
  Result<model::sts::op::DecodeAuthorizationMessage::Response> decode_authorization_message(
      Call&, const model::sts::op::DecodeAuthorizationMessage::Request&);

 private:
  // What a token holds beside the secret.
  struct Session {
    aws::Principal principal;
    std::vector<std::string> policies;  // texts
  };
  struct Remembered {
    aws::Identity identity;
    uint64_t generation = 0, accounts_generation = 0;
  };
  aws::Credentials mint(const Session& session);
  Result<aws::Identity> open(const std::string& access_key_id, const std::string& token);
  // Refreshes what may have changed since: the role's or user's existence and tags.
  Result<void> revive(aws::Principal& principal);
  Result<std::vector<aws::Target>> assume_role_targets(const Call& call,
                                                       const model::sts::op::AssumeRole::Request& request);
  Result<std::vector<std::string>> session_policies(
      const std::string& account, const std::optional<std::string>& policy,
      const std::optional<std::vector<model::sts::PolicyDescriptorType>>& arns);
  // Who the session goes back to, and how long a grant lets it last.
  Result<void> bind_to_origin(aws::Principal& session, const aws::Principal& caller);

  store::Keyring& keyring_;
  Clock& clock_;
  aws::IdentityDirectory& identities_;
  aws::CredentialSource& long_term_;
  aws::AccountDirectory* accounts_;
  aws::OidcDirectory* oidc_ = nullptr;
  aws::WebKeySource* web_keys_ = nullptr;
  aws::AccessGrants* grants_ = nullptr;
  std::unordered_map<std::string, Remembered> sessions_;  // by token
};

}  // namespace bastide::services
