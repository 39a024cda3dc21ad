// Where the front finds the secret behind an access key. Implemented by the services iam and sts.
#pragma once

#include <string>

#include "aws/principal.h"
#include "base/result.h"

namespace bastide::aws {

struct Identity {
  std::string secret_access_key;
  Principal principal;
};

class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // Faults as AWS words them: InvalidClientTokenId, ExpiredToken, ... `session_token` is empty for long-term keys.
  virtual Result<Identity> identify(const std::string& access_key_id, const std::string& session_token) = 0;
};

}  // namespace bastide::aws
