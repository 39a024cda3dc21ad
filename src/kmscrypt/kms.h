// KMS Decrypt and Secrets Manager GetSecretValue, signed.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "aws/client.h"
#include "base/json.h"
#include "base/result.h"

namespace bastide::kmscrypt {

struct Kms {
  std::string endpoint;          // AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, else AWS's own for the region
  std::string secrets_endpoint;  // AWS_ENDPOINT_URL_SECRETS_MANAGER, ...
  std::string region;
  aws::Credentials credentials;
  std::map<std::string, std::string> context;  // encryption context

  static Result<Kms> from_environment();
  // Errors carry KMS's code and message, never the ciphertext.
  Result<std::string> decrypt(std::string_view ciphertext) const;
  Result<std::string> secret(const std::string& id) const;  // by name or ARN

 private:
  Result<json::Value> ask(const std::string& where, const std::string& service, const std::string& target,
                          const json::Value& asked) const;
  Result<json::Value> ask_once(const std::string& where, const std::string& service,
                               const std::string& target, const json::Value& asked, bool& again) const;
};

}  // namespace bastide::kmscrypt
