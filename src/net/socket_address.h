// Socket addresses as values, for src/net/*.cc.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/result.h"

namespace bastide::net {

class SocketAddress {
 public:
  static Result<SocketAddress> tcp(const std::string& literal, uint16_t port);  // "127.0.0.1", "::1", "[::1]"
  static Result<SocketAddress> unix_path(const std::string& path);
  static std::string peer_of(int fd);  // "127.0.0.1:41234", "[::1]:41234" or "unix:uid=1000"

  int family() const { return any_.base.sa_family; }
  const sockaddr* get() const { return &any_.base; }
  socklen_t size() const { return size_; }
  std::string text() const;

 private:
  union {
    sockaddr base;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
    sockaddr_storage all;
  } any_{};
  socklen_t size_ = 0;
};

Result<void> bind_unix(int fd, const SocketAddress& at, const std::string& path, mode_t mode);

}  // namespace bastide::net
