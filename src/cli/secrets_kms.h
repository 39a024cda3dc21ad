// The KMS that `bastide secrets` works with, and whose credentials: an environment of this home, a profile,
// or what AWS's own variables say (then real AWS, unless AWS_ENDPOINT_URL names another). Blocking;
// plaintexts it remembers are wiped with it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/context.h"
#include "secrets/text.h"

namespace bastide::cli {

// What every command on encrypted values takes; `prefix` is "to-" for the other side of `rekey`.
std::vector<Option> secrets_options(const std::string& prefix = "");

class SecretsKms {
 public:
  static Result<std::unique_ptr<SecretsKms>> open(Context& context, const Arguments& arguments,
                                                  const std::string& prefix = "");
  ~SecretsKms();

  // A token, of an envelope where KMS would not take the value at once.
  Result<std::string> encrypt(std::string_view plaintext);
  Result<std::string> decrypt(std::string_view ciphertext);
  // The same value under what its key is today: the token itself where it is that already and `force` is not
  // set.
  Result<std::string> renew(const secrets::Token& token, bool force);
  // Decrypts what the tokens need, several at a time; decrypt() then knows it. A failure stays for decrypt()
  // to tell.
  void prefetch(const std::vector<secrets::Token>& tokens);

  // A secret of Secrets Manager, by name or ARN.
  Result<std::string> fetch(const std::string& id);

  std::string key_text() const;  // "alias/bastide-stage of stage"

 private:
  struct Place {
    std::string name;  // for messages
    aws::ClientConfig config;
    std::unique_ptr<aws::Client> client;
  };
  SecretsKms() = default;
  Result<json::Value> call(Place& place, const std::string& operation, json::Value input) const;
  Result<json::Value> with_key(const std::string& operation, json::Value input);
  Result<std::string> decrypt_at(std::vector<Place>& places, std::string_view ciphertext) const;
  Result<void> make_default_key();

  std::vector<Place> places_;  // the first encrypts; all are tried to decrypt
  std::string key_;
  bool may_make_key_ = false;
  bool own_ = false;   // AWS's own variables say where and who
  json::Value bound_;  // encryption context
  std::map<std::string, std::string, std::less<>> known_;
};

// Standard input, or a file of at most 16 MiB.
Result<std::string> secrets_input(const std::string& file);
// Text files below the paths; what git keeps for itself, links and binaries are left out.
Result<std::vector<std::string>> secrets_files(const std::vector<std::string>& paths);

}  // namespace bastide::cli
