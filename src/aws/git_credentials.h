// Git over HTTP signed with AWS credentials, as CodeCommit's credential helper does it, so that `aws codecommit
// credential-helper` works against Bastide too: the user name is the access key (with "%" and the session token), the
// password a time and a signature of the URL's path.
// https://docs.aws.amazon.com/codecommit/latest/userguide/setting-up-https-unixes.html
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace bastide::aws {

struct GitLogin {
  std::string username, password;
};

GitLogin sign_git(const std::string& access_key, const std::string& secret, const std::string& session_token,
                  const std::string& region, const std::string& host, const std::string& path, Millis now);

struct GitUser {
  std::string access_key, session_token;
  std::string password;
};
Result<GitUser> parse_basic_login(std::string_view authorization_header);

// Whether the password was made with this secret for this URL, at most 15 minutes ago.
bool verify_git(const GitUser& user, const std::string& secret, const std::string& region, const std::string& host,
                const std::string& path, Millis now);

}  // namespace bastide::aws
