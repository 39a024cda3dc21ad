// The door of control: every HTTP request on the API's port comes here. Finds service and operation,
// authenticates, decodes, authorises, runs, answers in the protocol of the request; keeps raw routes
// (registry, git, console) beside. On control's loop; handle() runs in the connection's fiber. Borrows
// everything it is given.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/credentials.h"
#include "aws/dispatch.h"
#include "aws/sigv4.h"
#include "aws/wire.h"
#include "net/http_server.h"

namespace bastide::aws {

struct FrontConfig {
  // Names by which clients may reach this port, beside loopback names and IP literals: against DNS rebinding.
  // "*.example" allows every name below.
  std::vector<std::string> hosts;
  std::string local_endpoint = "http://127.0.0.1:4566";  // what calls from inside see as our address
  size_t max_body = 1u << 20;
};

class Front {
 public:
  Front(const Registry& registry, CredentialSource& credentials, PolicySource& policies, AuditSink& audit,
        Clock& clock, FrontConfig config = {});
  ~Front();

  // Requests whose path is `prefix` or below it ("/v2/" and "/v2", "/health") go to the handler,
  // unauthenticated.
  void route(const std::string& prefix, net::Handler handler);
  void body_limit(const std::string& service, size_t max_bytes);
  void handle(net::Exchange& exchange);

  // For raw routes. `payload_hash`: hex SHA-256 of the body, or kUnsignedPayload. Faults as CredentialSource
  // and sigv4.h give them; MissingAuthenticationToken where there is no signature.
  Result<Identity> authenticate(const net::Request& request, std::string_view payload_hash);

  LocalClient& local() { return *local_; }
  Dispatch& dispatch() { return dispatch_; }

 private:
  const net::Handler* raw_route(const net::Request& request, const std::optional<Signature>& signature) const;
  net::Response answer(net::Exchange& exchange, const std::optional<Signature>& signature,
                       const std::string& id);
  Result<net::Response> serve(net::Exchange& exchange, const std::optional<Signature>& signature, Call& call,
                              Route& route);
  Result<Identity> identify(const Signature& signature, const net::Request& request,
                            std::string_view payload_hash);
  size_t limit_of(const model::Service* service) const;

  CredentialSource& credentials_;
  Dispatch dispatch_;
  FrontConfig config_;
  std::unique_ptr<LocalClient> local_;
  std::map<std::string, net::Handler> routes_;
  std::map<std::string, size_t> limits_;
  SigningKeys keys_;
};

// Whether a Host header names this machine itself, an IP literal, or one of `allowed`.
bool host_allowed(std::string_view host, const std::vector<std::string>& allowed);

}  // namespace bastide::aws
