// Where a command works: the home, the running instance, and whose credentials it takes.
//
// Profiles (home/aws/profiles.json, written by `up`) name a role and the profile it is assumed from; "operator" is
// whoever owns the home (home/operator.json, renewed by control). Sessions are kept until shortly before their end.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/json.h"
#include "base/result.h"
#include "serve/supervisor.h"

namespace bastide::cli {

struct Profile {
  std::string name;
  std::string account;
  std::string role_arn;  // empty: long-term keys or the operator's session
  std::string source;    // profile that assumes the role
  aws::Credentials keys; // of a user
};

class Context {
 public:
  explicit Context(std::string home);

  const std::string& home() const { return home_; }
  std::string program() const;      // this binary
  std::string command() const;      // as the user calls it: "./bastide"
  std::string region() const { return region_; }

  Result<serve::Instance> instance() const;
  Result<std::string> endpoint() const;   // "http://127.0.0.1:4566"

  Result<std::vector<Profile>> profiles() const;
  Result<void> save_profiles(const std::vector<Profile>& profiles) const;
  Result<Profile> profile(const std::string& name) const;
  Result<aws::Credentials> credentials(const std::string& profile);
  Result<aws::Client*> client(const std::string& profile);

  // Calls as a profile.
  Result<json::Value> call(const std::string& profile, const std::string& service, const std::string& operation,
                           const json::Value& input);

 private:
  Result<aws::Credentials> operator_credentials() const;

  std::string home_;
  std::string region_ = "us-east-1";
  std::map<std::string, std::unique_ptr<aws::Client>> clients_;
  std::map<std::string, aws::Credentials> sessions_;
};

std::string default_home();

}  // namespace bastide::cli
