// What the services iam, organizations and sts say to one another, so that none includes another. All of it
// runs on control's loop. Whoever keeps an answer compares generation() before using it again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/authorize.h"
#include "aws/client.h"
#include "base/result.h"
#include "store/database.h"

namespace bastide::aws {

struct RoleInfo {
  std::string arn, account, name, id;
  PolicyDocument trust;
  int64_t max_session_seconds = 3600;
  bool service_linked = false;
  std::vector<std::pair<std::string, std::string>> tags;
};

struct UserInfo {
  std::string arn, account, name, id;
  std::vector<std::pair<std::string, std::string>> tags;
};

struct NewRole {
  std::string name;
  std::string trust;                  // policy text
  std::vector<std::string> policies;  // ARNs of AWS managed policies
  std::string description;
};

// Implemented by the service iam.
class IdentityDirectory {
 public:
  virtual ~IdentityDirectory() = default;
  // Null: there is none.
  virtual Result<std::shared_ptr<const RoleInfo>> role(const std::string& arn) = 0;
  virtual Result<std::optional<UserInfo>> user(const std::string& account, const std::string& name) = 0;
  // Whether `serial` is the user's enabled device and `code` its current code; a code counts once. Waits.
  virtual Result<bool> verify_mfa(const std::string& account, const std::string& user,
                                  const std::string& serial, const std::string& code) = 0;
  // Of a console login; false for a wrong password or no login profile. Waits.
  virtual Result<bool> verify_password(const std::string& account, const std::string& user,
                                       const std::string& password) = 0;
  // The default version of a managed policy as seen from an account.
  virtual Result<std::optional<std::string>> policy_text(const std::string& account,
                                                         const std::string& arn) = 0;
  // Inside somebody else's transaction; call changed() after it is committed.
  virtual Result<void> make_role(store::Writer& writer, const std::string& account, const NewRole& role) = 0;
  virtual void changed() = 0;
  virtual uint64_t generation() const = 0;
};

// Implemented by the service organizations.
struct AccountControls {
  std::vector<std::vector<NamedPolicy>> levels;              // as IdentityPolicies::control
  std::vector<std::pair<std::string, std::string>> context;  // aws:PrincipalOrgID, ...
};
class AccountDirectory {
 public:
  virtual ~AccountDirectory() = default;
  virtual Result<std::shared_ptr<const AccountControls>> controls_of(const std::string& account) = 0;
  virtual bool active(const std::string& account) = 0;  // not closed
  virtual uint64_t generation() const = 0;
};

// Implemented by the service sts: sessions for the platform's own use (task roles, stacks).
class SessionIssuer {
 public:
  virtual ~SessionIssuer() = default;
  // The role's trust policy must name `service` ("ecs-tasks.amazonaws.com"). AccessDenied otherwise.
  virtual Result<Credentials> mint_role_session(const std::string& role_arn, const std::string& session_name,
                                                Millis duration, const std::string& service) = 0;
};

}  // namespace bastide::aws
