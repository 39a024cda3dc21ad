#include "services/elbv2/certificates.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/loop.h"
#include "sys/file.h"

namespace bastide::services {
namespace {
constexpr const char* kKind = "elbv2.certificate";
constexpr const char* kPurpose = "elbv2.certificate";
constexpr Millis kRenewAfter = 300 * kDay;  // of at most 397
}  // namespace

Result<net::KeyPair> LocalCertificates::authority() {
  return net::offload_result([&]() -> Result<net::KeyPair> {
    const auto certificate = home_ + "/tls/ca.pem", key = home_ + "/tls/ca.key";
    if (sys::exists(certificate) && sys::exists(key)) {
      auto certificate_pem = TRY(sys::read_file(certificate, 1 << 20));
      auto key_pem = TRY(sys::read_file(key, 1 << 20));
      return net::KeyPair{std::move(certificate_pem), std::move(key_pem)};
    }
    auto made = TRY(net::make_authority("Bastide local CA", clock_.wall()));
    TRY(sys::make_folders(home_ + "/tls"));
    TRY(sys::write_file(key, made.key_pem));
    TRY(sys::write_file(certificate, made.certificate_pem, 0644));
    return made;
  });
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
