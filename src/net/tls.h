// TLS settings: TLS 1.2 and 1.3, certificates by server name, and the local certificate authority.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace bastide::net {

class TlsContext {
 public:
  ~TlsContext();
  // Server side. Certificates are PEM chains with PEM keys; the first is the default for unknown names.
  struct Certificate {
    std::string chain_pem;
    std::string key_pem;
    std::vector<std::string> names;  // "*.example" too
  };
  static Result<std::shared_ptr<TlsContext>> server(const std::vector<Certificate>& certificates,
                                                    const std::vector<std::string>& alpn = {"http/1.1"});
  // A context outlives the sockets that use it.
  // Client side: trusts `ca_pem`, or the system's authorities where it is empty.
  static Result<std::shared_ptr<TlsContext>> client(const std::string& ca_pem);

  void* native() const { return ctx_; }  // SSL_CTX*

 private:
  TlsContext() = default;
  void* ctx_ = nullptr;
  struct Names;
  std::unique_ptr<Names> names_;
};

// The local CA: ECDSA P-256; leaf certificates of at most 397 days.
struct KeyPair {
  std::string certificate_pem;
  std::string key_pem;
};
Result<KeyPair> make_authority(const std::string& common_name, Millis now);
// Names and IP literals go into subjectAltName.
Result<KeyPair> issue_certificate(const KeyPair& authority, const std::vector<std::string>& names,
                                  Millis now);

}  // namespace bastide::net
