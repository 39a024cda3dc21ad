// Stream sockets (TCP, unix) for fibers, with or without TLS. Every call that waits takes a bound from the
// socket's time-outs; running out is the error "Timeout", the peer's end is "Closed".
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::net {

class TlsContext;

class Socket {
 public:
  Socket();
  ~Socket();
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;

  static Result<Socket> adopt(sys::Fd fd);  // a connected, non-blocking or blocking stream socket
  static Result<Socket> connect_tcp(const std::string& address, uint16_t port,
                                    Millis timeout);                            // IP literal; waits
  static Result<Socket> connect_unix(const std::string& path, Millis timeout);  // waits

  // OpenSSL driven on the descriptor. Server: `context` holds the certificates (SNI). Client: `host` is
  // checked.
  Result<void> start_tls_server(TlsContext& context, Millis timeout);
  Result<void> start_tls_client(TlsContext& context, const std::string& host, Millis timeout);

  void set_timeout(Millis each_operation);                              // default 30 s
  Result<size_t> read(char* buffer, size_t size);                       // waits; 0 at the peer's orderly end
  Result<void> write(std::string_view bytes);                           // waits until all is written
  Result<void> write(std::string_view first, std::string_view second);  // in one system call
  Result<void> send_file(int fd, int64_t offset, int64_t length);       // waits
  Result<bool> wait_readable(Millis timeout);                           // waits; false: nothing came
  Result<size_t> peek(char* buffer, size_t size);  // waits; what came under TLS is not decrypted

  // Calls f on the loop, outside any fiber, when there is something to read or the peer is gone; false: not
  // in time, or closed here. An idle connection that waits so holds no fiber.
  void when_readable(Millis timeout, std::function<void(bool)> f);
  bool has_buffered() const;  // bytes are here that no descriptor will announce
  bool looks_dead() const;    // of an idle connection: the peer has closed it, or sent what nobody asked for

  bool is_tls() const;
  bool is_open() const;
  std::string peer() const;         // "127.0.0.1:41234", or "unix:uid=1000"
  std::string server_name() const;  // SNI the client sent
  std::string alpn() const;         // the protocol agreed on, or empty
  int fd() const;
  void shutdown();  // nothing more will be written (TLS ends with it)
  void abort();     // from another fiber: whoever waits on it goes on with an error
  void close();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// A listening socket, made or handed over by serve.
Result<sys::Fd> listen_tcp(const std::string& address, uint16_t port, int backlog = 1024);
Result<sys::Fd> listen_unix(const std::string& path, mode_t mode, int backlog = 128);
Result<uint16_t> local_port(int fd);

// Accepts for ever on the current loop and calls on_accept in a fresh fiber a connection.
// Stops when the returned guard is destroyed; the descriptor stays open as long as somebody holds it.
class Acceptor {
 public:
  Acceptor(sys::Fd listener, std::function<void(Socket)> on_accept);
  ~Acceptor();
  Acceptor(Acceptor&&) noexcept;
  Acceptor& operator=(Acceptor&&) noexcept;
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::net
