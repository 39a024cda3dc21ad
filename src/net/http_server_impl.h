// The inside of HttpServer, for http_server.cc and http_exchange.cc.
#pragma once

#include <unordered_set>

#include "net/http_server.h"
#include "net/http_stream.h"
#include "net/loop.h"

namespace bastide::net {

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  struct Connection;
  Impl(Handler h, HttpLimits l) : handler(std::move(h)), limits(l) {}

  Handler handler;
  HttpLimits limits;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  std::unordered_set<Connection*> connections;
  bool draining = false;
  bool closed = false;  // the server is gone: its handler may refer to what is gone, too
  Event changed;        // a connection ended
};

// One connection. Between requests it holds neither a fiber nor a buffer.
struct HttpServer::Impl::Connection : std::enable_shared_from_this<Connection> {
  Connection(std::shared_ptr<Impl> s, Socket socket, std::shared_ptr<TlsContext> t);
  ~Connection();
  void park(Millis timeout);    // until the next request begins
  void serve();                 // in a fiber: requests until none is there
  bool start_tls();             // false: it was not to be
  bool serve_one();             // false: the connection is over
  bool refuse(const Error& e);  // answers what could not be read; false
  void end(bool linger);

  std::shared_ptr<Impl> server;
  std::shared_ptr<TlsContext> tls;
  HttpStream stream;
  std::string peer;
  bool fresh = true;
  bool idle = false;
};

// One request being answered on a connection.
class ConnectionExchange final : public Exchange {
 public:
  ConnectionExchange(HttpServer::Impl::Connection& connection, RequestHead head);

  const Request& request() const override { return head_.request; }
  Result<std::string> read_body(size_t max_bytes) override;
  Result<size_t> read_some(char* buffer, size_t size) override;
  std::optional<int64_t> content_length() const override;
  Result<void> respond(Response response) override;
  Result<void> begin(int status, Headers headers) override;
  Result<void> write(std::string_view bytes) override;
  Result<void> finish() override;

  // After the handler: whether the connection can take another request.
  bool complete();

 private:
  enum class State { waiting, streaming, answered, broken };
  enum class Coding { none, length, chunked, until_close };

  Result<void> before_body();
  void decide_keep_alive();
  Result<std::string> make_head(int status, const Headers& headers, Coding coding, int64_t length);
  Result<void> fail(Error e);

  HttpServer::Impl::Connection& connection_;
  RequestHead head_;
  BodyReader body_;
  State state_ = State::waiting;
  Coding coding_ = Coding::none;
  int64_t left_ = 0;        // of an answer with a Content-Length
  bool no_body_ = false;    // HEAD, 204, 304
  bool continued_ = false;  // 100 was sent, or was not asked for
  bool keep_alive_ = true;
};

}  // namespace bastide::net
