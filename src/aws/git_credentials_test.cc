#include "aws/git_credentials.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace bastide::aws {
namespace {

TEST(GitCredentials, SignedLoginsVerifyOnlyWithTheirSecretPathAndTime) {
  const Millis now = *parse_iso8601("2026-11-22T12:00:00Z");
  const auto login = sign_git("AKIA", "secret", "token%with", "us-east-1", "127.0.0.1", "/git/web.git", now);
  const auto user = *parse_basic_login("Basic " + base64(login.username + ":" + login.password));
  EXPECT_EQ(user.access_key, "AKIA");
  EXPECT_EQ(user.session_token, "token%with");
  EXPECT_TRUE(verify_git(user, "secret", "us-east-1", "127.0.0.1", "/git/web.git", now + kMinute));
  EXPECT_FALSE(verify_git(user, "other", "us-east-1", "127.0.0.1", "/git/web.git", now));
  EXPECT_FALSE(verify_git(user, "secret", "us-east-1", "127.0.0.1", "/git/other.git", now));
  EXPECT_FALSE(verify_git(user, "secret", "us-east-1", "127.0.0.1", "/git/web.git", now + kHour));
}

}  // namespace
}  // namespace bastide::aws
