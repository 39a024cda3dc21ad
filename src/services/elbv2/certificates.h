// Certificates of the local CA for the names of listeners, and certificates that callers bring by ARN.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "internal/edge.h"
#include "net/tls.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

// Where a listener's certificate ARN (ACM's, or an IAM server certificate's) becomes a chain and its key.
// Implemented by whoever holds them; "NotFound" for an ARN that is not there.
class CertificateSource {
 public:
  virtual ~CertificateSource() = default;
  virtual Result<internal::EdgeCertificate> certificate(const std::string& arn) = 0;
};

class LocalCertificates {
 public:
  LocalCertificates(store::Database& database, store::Keyring& keyring, Clock& clock, std::string home)
      : db_(database), keyring_(keyring), clock_(clock), home_(std::move(home)) {}
  // tls/ca.pem and tls/ca.key under the home, made where they are missing. Waits.
  Result<net::KeyPair> authority();
  // A kept certificate for these names, or a new one; renewed 30 days before its end. Waits.
  Result<internal::EdgeCertificate> certificate(std::vector<std::string> names);

 private:
  store::Database& db_;
  store::Keyring& keyring_;
  Clock& clock_;
  std::string home_;
};

}  // namespace bastide::services
