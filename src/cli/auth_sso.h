// Single sign-on by OpenID Connect: the code flow with PKCE on a loopback port, or a device code.
// https://openid.net/specs/openid-connect-core-1_0.html, RFC 7636, RFC 8252, RFC 8628
#pragma once

#include <string>

#include "aws/client.h"
#include "base/result.h"
#include "cli/command.h"

namespace bastide::cli {

// The ID token. Waits for the person, at most ten minutes.
Result<std::string> single_sign_on(aws::Client& client, const Arguments& arguments);

}  // namespace bastide::cli
