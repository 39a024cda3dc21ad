#include "services/elbv2/certificates.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/local_authority.h"
#include "net/loop.h"

namespace bastide::services {
namespace {
constexpr const char* kKind = "elbv2.certificate";
constexpr const char* kPurpose = "elbv2.certificate";
constexpr Millis kRenewAfter = 300 * kDay;  // of at most 397
}  // namespace

Result<net::KeyPair> LocalCertificates::authority() {
  return net::local_authority(home_, clock_.wall());
}

Result<internal::EdgeCertificate> LocalCertificates::certificate(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  auto ca = TRY(authority());
  // Another authority, other certificates.
  store::Key key{"", "", kKind, sha256_hex(join(names, "\n") + "\n" + ca.certificate_pem).substr(0, 32)};
  auto kept = TRY(db_.get(key));
  if (kept && kept->body.get_int("IssuedAt") > clock_.wall() - kRenewAfter) {
    auto sealed = TRY(unbase64(kept->body.get("SealedKey")));
    auto key_pem = TRY(keyring_.unseal(kPurpose, sealed, key.id));
    return internal::EdgeCertificate{std::move(names), kept->body.get("Chain"), std::move(key_pem)};
  }
  const auto now = clock_.wall();
  auto issued = TRY(net::offload_result([&] { return net::issue_certificate(ca, names, now); }));
  auto body = json::object({{"IssuedAt", now},
                            {"Chain", issued.certificate_pem},
                            {"SealedKey", base64(keyring_.seal(kPurpose, issued.key_pem, key.id))}});
  json::Array listed(names.begin(), names.end());
  body["Names"] = std::move(listed);
  TRY(db_.write([&](store::Writer& writer) { return writer.put(key, body); }));
  return internal::EdgeCertificate{std::move(names), std::move(issued.certificate_pem),
                                   std::move(issued.key_pem)};
}

}  // namespace bastide::services
