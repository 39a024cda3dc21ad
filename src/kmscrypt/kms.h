// KMS Decrypt, signed. https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
#pragma once

#include <string>
#include <string_view>

#include "aws/client.h"
#include "base/result.h"

namespace bastide::kmscrypt {

struct Kms {
  std::string endpoint;  // AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, else AWS's own for the region
  std::string region;
  aws::Credentials credentials;

  static Result<Kms> from_environment();
  // Errors carry KMS's code and message, never the ciphertext.
  Result<std::string> decrypt(std::string_view ciphertext) const;
};

}  // namespace bastide::kmscrypt
