// `kmscrypt exec`: starts a program with what it needs decrypted, in its environment or in an anonymous file.
#pragma once

#include <string>
#include <vector>

#include "helper/aws.h"

namespace bastide::kmscrypt {

struct ExecOptions {
  std::string file;      // "$NAME" and "${NAME}" stand for the environment's
  std::string variable;  // gets the file's text; empty: KMSCRYPT_FILE names an anonymous file
  std::vector<std::string> command;
};

// Returns only when it failed.
Error exec(Kms& kms, const ExecOptions& options);

Result<std::string> expand(const std::string& text);
Result<std::string> read_stream(int fd, const std::string& name);

}  // namespace bastide::kmscrypt
