// Listening sockets and the fiber that accepts from one.
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "net/loop.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/socket_impl.h"

namespace bastide::net {

Result<sys::Fd> listen_tcp(const std::string& address, uint16_t port, int backlog) {
  const auto at = TRY(SocketAddress::tcp(address, port));
  sys::Fd fd(::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return sys::system_error("socket");
  const int one = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (at.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (::bind(fd.get(), at.get(), at.size()) != 0) {
    const int number = errno;
    if (number == EADDRINUSE) return error("Exists", "bind " + at.text() + ": the port is taken");
    return sys::system_error("bind " + at.text(), number);
  }
  if (::listen(fd.get(), backlog) != 0) return sys::system_error("listen on " + at.text());
  return fd;
}

Result<sys::Fd> listen_unix(const std::string& path, mode_t mode, int backlog) {
  const auto at = TRY(SocketAddress::unix_path(path));
  sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return sys::system_error("socket");
  TRY(bind_unix(fd.get(), at, path, mode));
  if (::listen(fd.get(), backlog) != 0) return sys::system_error("listen on " + path);
  return fd;
}

// The mode is set on the descriptor before bind, so that the path never has a wider one. A socket that a dead
// process left behind is replaced; any other file is not.
Result<void> bind_unix(int fd, const SocketAddress& at, const std::string& path, mode_t mode) {
  struct stat there;
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) return error("Exists", path + " exists and is not a socket");
    if (::unlink(path.c_str()) != 0) return sys::system_error("unlink " + path);
  }
  if (::fchmod(fd, mode) != 0) return sys::system_error("chmod of a socket");
  if (::bind(fd, at.get(), at.size()) != 0) return sys::system_error("bind " + path);
  if (::chmod(path.c_str(), mode) != 0) return sys::system_error("chmod " + path);  // bind applied the umask
  return {};
}

Result<uint16_t> local_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return sys::system_error("getsockname");
  if (address.ss_family == AF_INET) return uint16_t{ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port)};
  if (address.ss_family == AF_INET6)
    return uint16_t{ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port)};
  return error("Invalid", "not a TCP socket");
}

struct Acceptor::Impl {
  Impl(sys::Fd l, std::function<void(Socket)> f)
      : listener(std::move(l)), ready(listener.get()), on_accept(std::move(f)) {}

  // Waits without a fiber; takes all there is, a bounded number before others get their turn.
  static void accept_more(const std::shared_ptr<Impl>& self) {
    if (self->stopped) return;
    self->ready.when_ready(Direction::read, kHour, [self](Wake) {
      constexpr int kAtOnce = 64;
      for (int i = 0; i < kAtOnce && !self->stopped; ++i) {
        sys::Fd fd(::accept4(self->listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) {
          const int number = errno;
          if (number == EINTR || number == ECONNABORTED) continue;
          if (number == EAGAIN) break;
          log::warn("accept: {}", sys::system_error("accept", number).message);
          return retry(self);  // out of descriptors or memory: connections queue in the kernel meanwhile
        }
        const int one = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        auto socket = Socket::adopt(std::move(fd));
        if (!socket) continue;
        auto shared = std::make_shared<Socket>(std::move(socket).value());
        spawn([self, shared] { self->on_accept(std::move(*shared)); });
      }
      accept_more(self);
    });
  }

  static void retry(const std::shared_ptr<Impl>& self) {
    spawn([self] {
      sleep_for(100);
      accept_more(self);
    });
  }

  sys::Fd listener;
  Descriptor ready;
  std::function<void(Socket)> on_accept;
  bool stopped = false;
};

Acceptor::Acceptor(sys::Fd listener, std::function<void(Socket)> on_accept) {
  const int flags = ::fcntl(listener.get(), F_GETFL);
  ::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK);
  impl_ = std::make_shared<Impl>(std::move(listener), std::move(on_accept));
  Impl::accept_more(impl_);
}

void Acceptor::stop() {
  if (!impl_) return;
  impl_->stopped = true;
  impl_->ready.detach();
  impl_->listener.reset();
  impl_.reset();
}

Acceptor::~Acceptor() { stop(); }
Acceptor::Acceptor(Acceptor&&) noexcept = default;
Acceptor& Acceptor::operator=(Acceptor&& other) noexcept {
  if (this != &other) {
    stop();
    impl_ = std::move(other.impl_);
  }
  return *this;
}

}  // namespace bastide::net
