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

// What a service has at the door beside its operations (S3: preflights, browser uploads, websites,
// strangers).
class Door {
 public:
  virtual ~Door() = default;
  // Before anything is known of the caller: true where it answered the exchange itself.
  virtual bool intercept(net::Exchange& exchange, Call& call) = 0;
  // Adds to the headers of an answer to a request with an Origin.
  virtual void decorate(const net::Request& request, const std::string& path, net::Headers& headers) = 0;
};

class Front {
 public:
  Front(const Registry& registry, CredentialSource& credentials, PolicySource& policies, AuditSink& audit,
        Clock& clock, FrontConfig config = {});
  ~Front();

  // Requests whose path is `prefix` or below it ("/v2/" and "/v2", "/health") go to the handler,
  // unauthenticated.
  void route(const std::string& prefix, net::Handler handler);
  // Its operations may be called without a signature: its resource policies decide. Borrowed.
  void use_door(const std::string& service, Door& door) { doors_[service] = &door; }
  void body_limit(const std::string& service, size_t max_bytes);
  void handle(net::Exchange& exchange);

  // For raw routes. `payload_hash`: hex SHA-256 of the body, or kUnsignedPayload. Faults as CredentialSource
  // and sigv4.h give them; MissingAuthenticationToken where there is no signature.
  Result<Identity> authenticate(const net::Request& request, std::string_view payload_hash);

  LocalClient& local() { return *local_; }
  Dispatch& dispatch() { return dispatch_; }

 private:
  const net::Handler* raw_route(const net::Request& request, const std::optional<Signature>& signature) const;
  std::optional<net::Response> answer(net::Exchange& exchange, const std::optional<Signature>& signature,
                                      const std::string& id);
  Result<std::optional<net::Response>> serve(net::Exchange& exchange,
                                             const std::optional<Signature>& signature, Call& call,
                                             Route& route);
  // REST: the operation is known before its body is read. front_rest.cc.
  Result<std::optional<net::Response>> serve_rest(net::Exchange& exchange,
                                                  const std::optional<Signature>& signature, Call& call,
                                                  Route& route);
  Error refuse(const Call& call, Error error);
  Result<void> admit(const Signature& signature, const net::Request& request, std::string_view payload_hash,
                     const model::Service& service, Call& call);
  Door* door_of(const model::Service* service) const;
  Result<Identity> identify(const Signature& signature, const net::Request& request,
                            std::string_view payload_hash);
  size_t limit_of(const model::Service* service) const;

  CredentialSource& credentials_;
  Dispatch dispatch_;
  FrontConfig config_;
  std::unique_ptr<LocalClient> local_;
  std::map<std::string, net::Handler> routes_;
  std::map<std::string, size_t> limits_;
  std::map<std::string, Door*> doors_;
  SigningKeys keys_;
};

// Whether a Host header names this machine itself, an IP literal, or one of `allowed`.
bool host_allowed(std::string_view host, const std::vector<std::string>& allowed);

}  // namespace bastide::aws
