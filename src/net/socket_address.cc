#include "net/socket_address.h"

#include <arpa/inet.h>

#include <cstring>

namespace bastide::net {

Result<SocketAddress> SocketAddress::tcp(const std::string& literal, uint16_t port) {
  SocketAddress out;
  std::string plain = literal;
  if (plain.size() > 2 && plain.front() == '[' && plain.back() == ']')
    plain = plain.substr(1, plain.size() - 2);
  if (::inet_pton(AF_INET, plain.c_str(), &out.any_.v4.sin_addr) == 1) {
    out.any_.v4.sin_family = AF_INET;
    out.any_.v4.sin_port = htons(port);
    out.size_ = sizeof(sockaddr_in);
    return out;
  }
  out.any_.all = {};
  if (::inet_pton(AF_INET6, plain.c_str(), &out.any_.v6.sin6_addr) == 1) {
    out.any_.v6.sin6_family = AF_INET6;
    out.any_.v6.sin6_port = htons(port);
    out.size_ = sizeof(sockaddr_in6);
    return out;
  }
  return error("Invalid", "'" + literal + "' is not an IP address");
}

Result<SocketAddress> SocketAddress::unix_path(const std::string& path) {
  SocketAddress out;
  if (path.empty() || path.size() >= sizeof out.any_.local.sun_path || path.find('\0') != std::string::npos) {
    return error("Invalid", "a unix socket's path has 1 to " +
                                std::to_string(sizeof out.any_.local.sun_path - 1) + " bytes: " + path);
  }
  out.any_.local.sun_family = AF_UNIX;
  std::memcpy(out.any_.local.sun_path, path.c_str(), path.size() + 1);
  out.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

std::string SocketAddress::text() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &any_.v4.sin_addr, buffer, sizeof buffer);
    return std::string(buffer) + ":" + std::to_string(ntohs(any_.v4.sin_port));
  }
  if (family() == AF_INET6) {
    if (IN6_IS_ADDR_V4MAPPED(&any_.v6.sin6_addr)) {
      ::inet_ntop(AF_INET, &any_.v6.sin6_addr.s6_addr[12], buffer, sizeof buffer);
      return std::string(buffer) + ":" + std::to_string(ntohs(any_.v6.sin6_port));
    }
    ::inet_ntop(AF_INET6, &any_.v6.sin6_addr, buffer, sizeof buffer);
    return "[" + std::string(buffer) + "]:" + std::to_string(ntohs(any_.v6.sin6_port));
  }
  return family() == AF_UNIX ? std::string(any_.local.sun_path) : std::string();
}

std::string SocketAddress::peer_of(int fd) {
  SocketAddress out;
  out.size_ = sizeof out.any_;
  if (::getpeername(fd, &out.any_.base, &out.size_) != 0) return "";
  if (out.family() != AF_UNIX) return out.text();
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return "unix";
  return "unix:uid=" + std::to_string(credentials.uid);
}

}  // namespace bastide::net
