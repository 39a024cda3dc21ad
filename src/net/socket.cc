#include "net/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/loop.h"
#include "net/socket_address.h"
#include "net/socket_impl.h"

namespace bastide::net {
namespace {

Error io_error(const char* what, int number) {
  if (number == EPIPE || number == ECONNRESET)
    return error("Closed", std::string(what) + ": the peer is gone");
  return sys::system_error(what, number);
}

Result<void> set_blocking(int fd, bool blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return sys::system_error("fcntl");
  const int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (wanted != flags && ::fcntl(fd, F_SETFL, wanted) != 0) return sys::system_error("fcntl");
  return {};
}

Result<Socket> connect_to(const SocketAddress& address, Millis timeout, const std::string& what) {
  sys::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return sys::system_error("socket");
  const bool tcp = address.family() != AF_UNIX;
  if (tcp) {
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  const Millis end = Clock::system().steady() + timeout;
  // A unix socket whose backlog is full says EAGAIN and cannot be waited for.
  while (::connect(fd.get(), address.get(), address.size()) != 0) {
    const int number = errno;
    if (number == EAGAIN && !tcp && Clock::system().steady() < end) {
      sleep_for(5);
      continue;
    }
    if (number != EINPROGRESS && number != EINTR) return sys::system_error("connect to " + what, number);
    Descriptor ready(fd.get());
    if (ready.wait(Direction::write, timeout) == Wake::timeout) {
      return error("Timeout", "connect to " + what + ": no answer in " + human_duration(timeout));
    }
    int result = 0;
    socklen_t size = sizeof result;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &result, &size);
    if (result != 0) return sys::system_error("connect to " + what, result);
    break;
  }
  return Socket::adopt(std::move(fd));
}

}  // namespace

Socket::Impl::~Impl() { close(); }

void Socket::Impl::close() {
  if (ssl != nullptr) free_tls();
  ready.detach();
  fd.reset();
}

Result<void> Socket::Impl::wait(Direction direction, Millis limit) {
  switch (ready.wait(direction, limit)) {
    case Wake::ready:
      return {};
    case Wake::timeout:
      return error("Timeout", "the peer did not go on within " + human_duration(limit));
    case Wake::closed:
      break;
  }
  return error("Closed", "the connection was closed");
}

Result<size_t> Socket::Impl::read_plain(char* buffer, size_t size) {
  if (!fd) return error("Closed", "the connection was closed");
  if (size == 0) return size_t{0};
  for (;;) {
    if (std::exchange(drained, false)) TRY(wait(Direction::read, timeout));
    const ssize_t n = ::recv(fd.get(), buffer, size, 0);
    if (n >= 0) {
      drained = static_cast<size_t>(n) < size;
      return static_cast<size_t>(n);
    }
    const int number = errno;
    if (number == EAGAIN) {
      drained = true;
    } else if (number != EINTR) {
      return io_error("read", number);
    }
  }
}

Result<void> Socket::Impl::write_plain(iovec* parts, size_t count) {
  if (!fd) return error("Closed", "the connection was closed");
  while (count > 0) {
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    const ssize_t n = count == 1 ? ::send(fd.get(), parts->iov_base, parts->iov_len, MSG_NOSIGNAL)
                                 : ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
    if (n < 0) {
      const int number = errno;
      if (number == EAGAIN) {
        TRY(wait(Direction::write, timeout));
      } else if (number != EINTR) {
        return io_error("write", number);
      }
      continue;
    }
    auto left = static_cast<size_t>(n);
    while (count > 0 && left >= parts->iov_len) {
      left -= parts->iov_len;
      ++parts;
      --count;
    }
    if (count > 0) {
      parts->iov_base = static_cast<char*>(parts->iov_base) + left;
      parts->iov_len -= left;
    }
  }
  return {};
}

Socket::Socket() = default;
Socket::~Socket() = default;
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;

Result<Socket> Socket::adopt(sys::Fd fd) {
  if (!fd) return error("Invalid", "no descriptor to adopt");
  TRY(set_blocking(fd.get(), false));
  Socket socket;
  socket.impl_ = std::make_unique<Impl>(std::move(fd));
  return socket;
}

Result<Socket> Socket::connect_tcp(const std::string& address, uint16_t port, Millis timeout) {
  const auto to = TRY(SocketAddress::tcp(address, port));
  return connect_to(to, timeout, to.text());
}

Result<Socket> Socket::connect_unix(const std::string& path, Millis timeout) {
  const auto to = TRY(SocketAddress::unix_path(path));
  return connect_to(to, timeout, path);
}

void Socket::set_timeout(Millis each_operation) {
  if (impl_) impl_->timeout = each_operation;
}

Result<size_t> Socket::read(char* buffer, size_t size) {
  if (!impl_) return error("Closed", "not connected");
  return impl_->ssl != nullptr ? impl_->read_tls(buffer, size) : impl_->read_plain(buffer, size);
}

Result<void> Socket::write(std::string_view bytes) { return write(bytes, {}); }

Result<void> Socket::write(std::string_view first, std::string_view second) {
  if (!impl_) return error("Closed", "not connected");
  if (impl_->ssl != nullptr) {
    // One record for what fits into one; copying is cheaper than a second record.
    constexpr size_t kRecord = 16u << 10;
    if (!first.empty() && !second.empty() && first.size() < kRecord) {
      const size_t room = kRecord - first.size();
      std::string joined;
      joined.reserve(first.size() + std::min(room, second.size()));
      joined.append(first).append(second.substr(0, room));
      TRY(impl_->write_tls(joined));
      second.remove_prefix(std::min(room, second.size()));
    } else if (!first.empty()) {
      TRY(impl_->write_tls(first));
    }
    if (second.empty()) return {};
    return impl_->write_tls(second);
  }
  iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                    {const_cast<char*>(second.data()), second.size()}};
  return impl_->write_plain(parts, second.empty() ? 1 : 2);
}

Result<void> Socket::send_file(int file, int64_t offset, int64_t length) {
  if (!impl_) return error("Closed", "not connected");
  auto& s = *impl_;
  if (s.ssl != nullptr) {
    std::string buffer(64u << 10, '\0');
    while (length > 0) {
      const auto wanted = static_cast<size_t>(std::min<int64_t>(length, static_cast<int64_t>(buffer.size())));
      const ssize_t n = ::pread(file, buffer.data(), wanted, offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return sys::system_error("read of a file to send");
      if (n == 0) return error("Invalid", "a file to send is shorter than announced");
      TRY(s.write_tls({buffer.data(), static_cast<size_t>(n)}));
      offset += n;
      length -= n;
    }
    return {};
  }
  constexpr int64_t kAtOnce = 1 << 20;  // other fibers get their turn between
  while (length > 0) {
    if (!s.fd) return error("Closed", "the connection was closed");
    off_t at = offset;
    const ssize_t n = ::sendfile(s.fd.get(), file, &at, static_cast<size_t>(std::min(length, kAtOnce)));
    if (n < 0) {
      const int number = errno;
      if (number == EAGAIN) {
        TRY(s.wait(Direction::write, s.timeout));
      } else if (number != EINTR) {
        return io_error("sendfile", number);
      }
      continue;
    }
    if (n == 0) return error("Invalid", "a file to send is shorter than announced");
    offset += n;
    length -= n;
  }
  return {};
}

Result<bool> Socket::wait_readable(Millis timeout) {
  if (!impl_) return error("Closed", "not connected");
  if (has_buffered()) return true;
  switch (impl_->ready.wait(Direction::read, timeout)) {
    case Wake::ready:
      impl_->drained = false;
      return true;
    case Wake::timeout:
      return false;
    case Wake::closed:
      break;
  }
  return error("Closed", "the connection was closed");
}

void Socket::when_readable(Millis timeout, std::function<void(bool)> f) {
  if (!impl_ || has_buffered()) {
    Loop::current().post([f = std::move(f), there = impl_ != nullptr] { f(there); });
    return;
  }
  impl_->drained = false;
  impl_->ready.when_ready(Direction::read, timeout,
                          [f = std::move(f)](Wake wake) { f(wake == Wake::ready); });
}

bool Socket::has_buffered() const { return impl_ && impl_->ssl != nullptr && impl_->tls_pending(); }

Result<size_t> Socket::peek(char* buffer, size_t size) {
  if (!impl_ || !impl_->fd) return error("Closed", "not connected");
  for (;;) {
    const ssize_t n = ::recv(impl_->fd.get(), buffer, size, MSG_PEEK);
    if (n >= 0) return static_cast<size_t>(n);
    const int number = errno;
    if (number == EAGAIN) {
      TRY(impl_->wait(Direction::read, impl_->timeout));
    } else if (number != EINTR) {
      return io_error("read", number);
    }
  }
}

bool Socket::looks_dead() const {
  if (!impl_ || !impl_->fd || impl_->tls_broken) return true;
  char byte;
  const ssize_t n = ::recv(impl_->fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno != EAGAIN && errno != EINTR;
  return n == 0 || impl_->ssl == nullptr;  // TLS 1.3 sends session tickets unasked
}

bool Socket::is_tls() const { return impl_ && impl_->ssl != nullptr; }
bool Socket::is_open() const { return impl_ && impl_->fd; }
int Socket::fd() const { return impl_ ? impl_->fd.get() : -1; }

std::string Socket::peer() const {
  if (!impl_) return "";
  if (impl_->peer.empty() && impl_->fd) impl_->peer = SocketAddress::peer_of(impl_->fd.get());
  return impl_->peer;
}

void Socket::shutdown() {
  if (!impl_ || !impl_->fd) return;
  if (impl_->ssl != nullptr) impl_->free_tls();
  ::shutdown(impl_->fd.get(), SHUT_WR);
}

void Socket::abort() {
  if (impl_ && impl_->fd) ::shutdown(impl_->fd.get(), SHUT_RDWR);
}

void Socket::close() {
  if (impl_) impl_->close();
}

}  // namespace bastide::net
