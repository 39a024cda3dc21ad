// The HTTP/1.1 server: keep-alive, chunked bodies both ways, Expect: 100-continue, limits on everything that
// a client sends. A handler runs in a fiber of its own connection and answers exactly once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "net/http.h"
#include "net/socket.h"
#include "net/tls.h"

namespace bastide::net {

// One request being answered. Lives as long as the handler's call.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;

  // The whole body, "TooLarge" beyond the bound. Waits.
  virtual Result<std::string> read_body(size_t max_bytes) = 0;
  // The next piece of the body; 0 at its end. Waits. Transfer coding is undone, content coding is not.
  virtual Result<size_t> read_some(char* buffer, size_t size) = 0;
  virtual std::optional<int64_t> content_length() const = 0;  // nothing for a chunked body

  // Answers in one piece. Waits until it is handed to the kernel.
  virtual Result<void> respond(Response response) = 0;
  // Or in pieces: begin, write..., finish. Chunked (or until close for HTTP/1.0) unless `headers` has a
  // Content-Length, which must then be met. Each piece is sent at once.
  virtual Result<void> begin(int status, Headers headers) = 0;
  virtual Result<void> write(std::string_view bytes) = 0;
  virtual Result<void> finish() = 0;
};

using Handler = std::function<void(Exchange&)>;

struct HttpLimits {
  size_t head_bytes = 64u << 10;  // request line and headers together
  size_t header_count = 200;
  size_t target_bytes = 16u << 10;     // of the request line
  Millis head_timeout = 15 * kSecond;  // from the first byte to the end of the head
  Millis idle_timeout = 75 * kSecond;  // between requests
  Millis body_timeout = 60 * kSecond;  // between two pieces of a body
  size_t connections = 10'000;
};

// Serves every listener given to it until it is destroyed: drain() first, lest handlers outlive what they
// use. On a port with a TLS context both TLS and plain HTTP are understood: the first byte of a connection
// tells them apart.
class HttpServer {
 public:
  HttpServer(Handler handler, HttpLimits limits = {});
  ~HttpServer();
  void listen(sys::Fd listener, std::shared_ptr<TlsContext> tls = nullptr);
  void drain();  // stop accepting, finish what runs, close idle connections. Waits.
  size_t open_connections() const;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::net
