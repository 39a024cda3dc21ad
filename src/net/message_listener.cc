#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "net/descriptor.h"
#include "net/loop.h"
#include "net/message.h"
#include "net/socket_address.h"

namespace bastide::net {
namespace {

constexpr Millis kHelloTimeout = 5 * kSecond;

// Who made the socket's file, or was given it: that user may connect.
uid_t owner_of(int listener) {
  sockaddr_un at{};
  socklen_t size = sizeof at;
  struct stat st {};
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) != 0 || at.sun_family != AF_UNIX ||
      at.sun_path[0] != '/' || ::lstat(at.sun_path, &st) != 0) {
    return ::geteuid();
  }
  return st.st_uid;
}

bool permitted(int fd, uid_t owner) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid() || peer.uid == owner) return true;
  log::warn("a connection of uid {} to a role's socket was refused", peer.uid);
  return false;
}

}  // namespace

Result<sys::Fd> listen_messages(const std::string& path) {
  const auto at = TRY(SocketAddress::unix_path(path));
  sys::Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return sys::system_error("socket");
  TRY(bind_unix(fd.get(), at, path, 0600));
  if (::listen(fd.get(), 64) != 0) return sys::system_error("listen on " + path);
  return fd;
}

struct ChannelListener::Impl : std::enable_shared_from_this<ChannelListener::Impl> {
  Impl(sys::Fd l, std::string role, std::function<void(std::unique_ptr<Channel>)> f)
      : listener(std::move(l)), ready(listener.get()), owner(owner_of(listener.get())), my_role(std::move(role)), on_channel(std::move(f)) {}

  void accept_more() {
    if (stopped) return;
    ready.when_ready(Direction::read, kHour, [self = shared_from_this()](Wake) {
      while (!self->stopped) {
        sys::Fd fd(::accept4(self->listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) {
          const int number = errno;
          if (number == EINTR || number == ECONNABORTED) continue;
          if (number == EAGAIN) break;
          log::warn("{}", sys::system_error("accept", number).message);
          spawn([self] {
            sleep_for(100);
            self->accept_more();
          });
          return;
        }
        if (permitted(fd.get(), self->owner)) self->greet(std::move(fd));
      }
      self->accept_more();
    });
  }

  void greet(sys::Fd fd) {
    auto shared = std::make_shared<sys::Fd>(std::move(fd));
    spawn([self = shared_from_this(), shared] {
      auto channel = Channel::adopt(std::move(*shared), self->my_role, kHelloTimeout);
      if (!channel) {
        log::warn("a role that connected was refused: {}", channel.error().message);
      } else if (!self->stopped) {
        self->on_channel(std::move(*channel));
      }
    });
  }

  sys::Fd listener;
  Descriptor ready;
  uid_t owner;
  std::string my_role;
  std::function<void(std::unique_ptr<Channel>)> on_channel;
  bool stopped = false;
};

ChannelListener::ChannelListener(sys::Fd listener, std::string my_role,
                                 std::function<void(std::unique_ptr<Channel>)> on_channel) {
  const int flags = ::fcntl(listener.get(), F_GETFL);
  ::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK);
  impl_ = std::make_shared<Impl>(std::move(listener), std::move(my_role), std::move(on_channel));
  impl_->accept_more();
}

ChannelListener::~ChannelListener() {
  impl_->stopped = true;
  impl_->ready.detach();
  impl_->listener.reset();
}

}  // namespace bastide::net
