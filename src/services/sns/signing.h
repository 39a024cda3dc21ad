// The signature under SNS messages: RSA with a certificate of our own, as AWS's verifiers expect it.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services::sns {

class Signing {
 public:
  Signing(store::Database& database, store::Keyring& keyring, Clock& clock)
      : database_(database), keyring_(keyring), clock_(clock) {}
  Result<std::string> certificate();  // PEM; made on first use. Waits.
  Result<std::string> path();         // "/sns/SimpleNotificationService-<digest>.pem". Waits.
  // base64 of the signature of a message's canonical text. version "1": SHA1withRSA, "2": SHA256withRSA.
  // Waits.
  Result<std::string> sign(const json::Value& message, const std::string& version);

 private:
  Result<void> load();
  store::Database& database_;
  store::Keyring& keyring_;
  Clock& clock_;
  std::string key_pem_, certificate_pem_;
};

// "Message\n...\nMessageId\n...": the members that are signed, in order.
std::string canonical_text(const json::Value& message);

}  // namespace bastide::services::sns
