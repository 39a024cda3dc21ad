// What the helper needs of AWS: credentials of the task, a signature, KMS Decrypt.
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace bastide::kmscrypt {

using Context = std::map<std::string, std::string>;

class Kms {
 public:
  Kms(std::string ca_file, Context context) : ca_file_(std::move(ca_file)), context_(std::move(context)) {}
  Result<std::string> decrypt(std::string_view ciphertext);  // errors carry AWS's code and message

 private:
  struct Credentials {
    std::string id, secret, token;
  };
  Result<void> load_credentials();

  std::string ca_file_;
  Context context_;
  bool loaded_ = false;
  Credentials credentials_;
};

}  // namespace bastide::kmscrypt
