// KMS Decrypt, signed. https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "aws/client.h"
#include "base/result.h"

namespace bastide::kmscrypt {

struct Kms {
  std::string endpoint;  // AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, else AWS's own for the region
  std::string region;
  aws::Credentials credentials;
  std::map<std::string, std::string> context;  // encryption context

  static Result<Kms> from_environment();
  // Errors carry KMS's code and message, never the ciphertext.
  Result<std::string> decrypt(std::string_view ciphertext) const;

 private:
  Result<std::string> decrypt_once(std::string_view ciphertext, bool& again) const;
};

}  // namespace bastide::kmscrypt
