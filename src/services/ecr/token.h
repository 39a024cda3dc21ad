// The registry's passwords: what GetAuthorizationToken gives out (who, which region, until when) and the
// tickets of GetDownloadUrlForLayer, both sealed by the keyring, so that nothing is kept of them.
#pragma once

#include <string>

#include "aws/principal.h"
#include "base/result.h"
#include "services/ecr/repository.h"
#include "store/keyring.h"

namespace bastide::services::ecr {

inline constexpr Millis kTokenLife = 12 * kHour;
inline constexpr Millis kTicketLife = kHour;

struct Login {
  aws::Principal principal;
  std::string region;
  Millis expires_at = 0;
};

std::string seal_login(store::Keyring& keyring, const Login& login);
Result<Login> open_login(store::Keyring& keyring, std::string_view password,
                         Millis now);  // "Denied", "Expired"

std::string seal_ticket(store::Keyring& keyring, const RepositoryRef& ref, const std::string& digest,
                        Millis now);
Result<RepositoryRef> open_ticket(store::Keyring& keyring, std::string_view ticket, const std::string& digest,
                                  Millis now);

// Where a listing goes on, bound to what is listed. Fault: InvalidParameterException.
std::string seal_page(store::Keyring& keyring, const std::string& listing, const std::string& last);
Result<std::string> open_page(store::Keyring& keyring, const std::string& listing, const std::string& token);

}  // namespace bastide::services::ecr
