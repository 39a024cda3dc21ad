#include "net/http_server.h"

#include "base/log.h"
#include "net/http_server_impl.h"

namespace bastide::net {

using Connection = HttpServer::Impl::Connection;

Connection::Connection(std::shared_ptr<Impl> s, Socket socket, std::shared_ptr<TlsContext> t)
    : server(std::move(s)), tls(std::move(t)), stream(std::move(socket)) {
  server->connections.insert(this);
  peer = stream.socket().peer();
}

Connection::~Connection() {
  server->connections.erase(this);
  server->changed.set();
}

void Connection::park(Millis timeout) {
  if (server->draining && !fresh) return end(false);
  stream.give_memory_back();
  idle = true;
  stream.socket().when_readable(timeout, [self = shared_from_this()](bool readable) {
    self->idle = false;
    if (!readable) return self->end(false);
    spawn([self] { self->serve(); });
  });
}

void Connection::serve() {
  if (std::exchange(fresh, false) && tls && !start_tls()) return end(false);
  while (serve_one()) {
    if (!stream.idle()) continue;  // the next request is here already
    park(server->limits.idle_timeout);
    return;
  }
}

// The first byte of a TLS handshake record is 22, which begins no HTTP method.
bool Connection::start_tls() {
  auto& socket = stream.socket();
  socket.set_timeout(server->limits.head_timeout);
  char first = 0;
  const auto peeked = socket.peek(&first, 1);
  if (!peeked || peeked.value() == 0) return false;
  constexpr char kHandshake = 22;
  if (first != kHandshake) return true;
  const auto started = socket.start_tls_server(*tls, server->limits.head_timeout);
  if (!started) log::debug("{}: {}", peer, started.error().message);
  return started.ok();
}

bool Connection::serve_one() {
  const HeadLimits limits{server->limits.head_bytes, server->limits.header_count,
                          server->limits.target_bytes};
  auto size = stream.read_head(limits, server->limits.head_timeout);
  if (!size) return refuse(size.error());
  if (*size == 0 || server->closed) {
    end(false);
    return false;
  }
  auto head = parse_request_head(stream.buffered().substr(0, *size), limits);
  stream.consume(*size);
  if (!head) return refuse(head.error());
  head->request.peer = peer;
  head->request.tls = stream.socket().is_tls();
  ConnectionExchange exchange(*this, std::move(head).value());
  server->handler(exchange);
  return exchange.complete();
}

bool Connection::refuse(const Error& e) {
  if (e.status == 0) {
    end(false);
    return false;
  }
  std::string out;
  append_status_line(out, e.status);
  const std::string body = e.message + "\n";
  out += "Date: " + http_date(Clock::system().wall()) +
         "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
  stream.socket().set_timeout(5 * kSecond);
  const bool sent = stream.socket().write(out).ok();
  end(sent);
  return false;
}

// Closing with unread input makes the kernel send a reset, which can take the answer away from the client:
// what still comes is read and dropped for a moment. https://www.rfc-editor.org/rfc/rfc9112#section-9.6
void Connection::end(bool linger) {
  auto& socket = stream.socket();
  if (!socket.is_open()) return;
  socket.shutdown();
  if (linger) {
    constexpr size_t kMaxDrop = 1u << 20;
    const Millis until = Clock::system().steady() + 2 * kSecond;
    char buffer[8192];
    for (size_t dropped = 0; dropped < kMaxDrop;) {
      const Millis left = until - Clock::system().steady();
      if (left <= 0) break;
      socket.set_timeout(left);
      const auto n = socket.read(buffer, sizeof buffer);
      if (!n || n.value() == 0) break;
      dropped += n.value();
    }
  }
  socket.close();
}

HttpServer::HttpServer(Handler handler, HttpLimits limits)
    : impl_(std::make_shared<Impl>(std::move(handler), limits)) {}

HttpServer::~HttpServer() {
  impl_->draining = impl_->closed = true;
  for (auto& acceptor : impl_->acceptors) acceptor->stop();
  for (auto* connection : impl_->connections) connection->stream.socket().abort();
}

void HttpServer::listen(sys::Fd listener, std::shared_ptr<TlsContext> tls) {
  auto on_accept = [impl = std::weak_ptr(impl_), tls = std::move(tls)](Socket socket) {
    const auto server = impl.lock();
    if (!server || server->draining) return;
    if (server->connections.size() >= server->limits.connections) {
      constexpr std::string_view kFull =
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      socket.set_timeout(1);
      if (!tls) (void)socket.write(kFull);
      return;
    }
    auto connection = std::make_shared<Connection>(server, std::move(socket), tls);
    connection->park(server->limits.head_timeout);
  };
  impl_->acceptors.push_back(std::make_unique<Acceptor>(std::move(listener), std::move(on_accept)));
}

void HttpServer::drain() {
  impl_->draining = true;
  for (auto& acceptor : impl_->acceptors) acceptor->stop();
  std::vector<std::shared_ptr<Connection>> idle;
  for (auto* connection : impl_->connections) {
    if (connection->idle) idle.push_back(connection->shared_from_this());
  }
  for (auto& connection : idle) connection->end(false);
  idle.clear();
  while (!impl_->connections.empty()) impl_->changed.wait();
}

size_t HttpServer::open_connections() const { return impl_->connections.size(); }

}  // namespace bastide::net
