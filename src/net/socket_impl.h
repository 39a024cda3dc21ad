// The inside of a Socket, for src/net/*.cc only.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/descriptor.h"
#include "net/socket.h"

struct ssl_st;

namespace bastide::net {

struct Socket::Impl {
  explicit Impl(sys::Fd f) : fd(std::move(f)), ready(fd.get()) {}
  ~Impl();
  void close();
  Result<void> wait(Direction direction, Millis timeout);
  Result<size_t> read_plain(char* buffer, size_t size);
  Result<void> write_plain(iovec* parts, size_t count);

  // tls_socket.cc
  Result<void> handshake(Millis timeout);
  Result<size_t> read_tls(char* buffer, size_t size);
  Result<void> write_tls(std::string_view bytes);
  void free_tls();
  bool tls_pending() const;

  sys::Fd fd;
  Descriptor ready;
  Millis timeout = 30 * kSecond;
  ssl_st* ssl = nullptr;
  bool tls_broken = false;  // no close_notify after a failure
  bool drained = false;     // the last read took all there was: wait before the next
  std::string peer;         // once asked for
};

}  // namespace bastide::net
