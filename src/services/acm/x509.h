// What ACM says of a certificate, read from its PEM.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace bastide::services::acm {

struct X509Facts {
  std::vector<std::string> names;  // subjectAltName, or the common name
  std::string serial, subject, issuer, key_algorithm, signature_algorithm;
  Millis not_before = 0, not_after = 0;
};
Result<X509Facts> read_certificate(const std::string& pem);  // the first of the text
bool key_fits(const std::string& certificate_pem, const std::string& key_pem);
// The first certificate of a chain, and the others.
std::pair<std::string, std::string> first_and_rest(const std::string& chain_pem);

}  // namespace bastide::services::acm
