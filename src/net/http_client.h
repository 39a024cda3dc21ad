// The HTTP/1.1 client with a pool of kept connections. Works in a fiber (suspending) and outside one
// (blocking), so that the CLI needs no reactor.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "net/http.h"
#include "net/tls.h"

namespace bastide::net {

struct Endpoint {
  bool tls = false;
  std::string host;  // name or IP literal; names resolve by the system's resolver
  uint16_t port = 80;
  std::string unix_path;  // instead of host and port, when not empty
};
Result<Endpoint> parse_endpoint(std::string_view url);  // http://host:port or https://...; no path

struct ClientOptions {
  Millis connect_timeout = 5 * kSecond;
  Millis timeout = 60 * kSecond;  // of the whole exchange without its streaming body
  size_t max_response_bytes = 64u << 20;
  std::shared_ptr<TlsContext> tls;  // nothing: the system's authorities
  // Asked of each address after resolution; an error refuses it (egress.h).
  std::function<Result<void>(const std::string& address)> check_address;
};

class HttpClient {
 public:
  explicit HttpClient(Endpoint endpoint, ClientOptions options = {});
  ~HttpClient();
  // Waits. Host and Content-Length are added. A kept connection that turns out closed is tried once anew.
  Result<Response> send(const Request& request);
  // The body of a 2xx answer is handed to `on_piece` as it comes (for streams such as `logs --follow`),
  // without a time limit; that of any other, at most 1 MiB, is in the Response. An error of on_piece ends it.
  // Waits.
  Result<Response> stream(const Request& request,
                          const std::function<Result<void>(std::string_view)>& on_piece);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bastide::net
