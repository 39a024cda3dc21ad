// aws: the user's own AWS CLI, pointed here. git-credential: git's credential helper, as CodeCommit's.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "aws/git_credentials.h"
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"

namespace bastide::cli {
namespace {

Result<int> run_aws(Context& context, const Arguments& a) {
  const std::string endpoint = TRY(context.endpoint());
  std::vector<std::string> words = a.all("ARGS");
  std::string profile = "shared-services";
  if (const char* named = std::getenv("AWS_PROFILE")) profile = named;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] != "--profile") continue;
    profile = words[i + 1];
    words.erase(words.begin() + static_cast<ptrdiff_t>(i), words.begin() + static_cast<ptrdiff_t>(i) + 2);
    break;
  }
  const auto credentials = TRY(context.credentials(profile));
  words.insert(words.begin(), {"aws", "--endpoint-url", endpoint});
  ::setenv("AWS_ACCESS_KEY_ID", credentials.access_key_id.c_str(), 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.c_str(), 1);
  if (credentials.session_token.empty()) ::unsetenv("AWS_SESSION_TOKEN");
  else ::setenv("AWS_SESSION_TOKEN", credentials.session_token.c_str(), 1);
  ::setenv("AWS_DEFAULT_REGION", context.region().c_str(), 0);
  ::setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  ::setenv("AWS_PAGER", "", 0);
  ::unsetenv("AWS_PROFILE");
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  ::execvp("aws", argv.data());
  return error("the AWS CLI is not installed; 'apt-get install awscli' brings it");
}

// https://git-scm.com/docs/gitcredentials#_custom_helpers
Result<int> run_git_credential(Context& context, const Arguments& a) {
  if (a.get("ACTION") != "get") return 0;  // nothing is stored, so there is nothing to erase
  std::string host, path, line;
  while (std::getline(std::cin, line) && !line.empty()) {
    if (line.starts_with("host=")) host = line.substr(5);
    if (line.starts_with("path=")) path = "/" + line.substr(5);
  }
  if (host.empty() || path.empty()) return error("git gave no host and path; set credential.useHttpPath to true");
  const auto c = TRY(context.credentials(a.get("--profile")));
  const auto login = aws::sign_git(c.access_key_id, c.secret_access_key, c.session_token, context.region(),
                                   host.substr(0, host.rfind(':')), path, Clock::system().wall());
  std::printf("username=%s\npassword=%s\n", login.username.c_str(), login.password.c_str());
  return 0;
}

}  // namespace

Command aws_command() {
  return {"aws", "Runs your own AWS CLI against Bastide; --profile chooses the account", "bastide aws --profile stage sts get-caller-identity",
          {{"ARGS", Option::Kind::rest, "The AWS CLI's own arguments"}}, run_aws};
}
Command git_credential_command() {
  return {"git-credential", "Git's credential helper: signs the login with a profile's credentials", "git config credential.helper 'bastide git-credential'",
          {{"ACTION", Option::Kind::positional, "get, store or erase; git says which", "", true},
           {"--profile", Option::Kind::value, "The profile", "shared-services"}},
          run_git_credential};
}

}  // namespace bastide::cli
