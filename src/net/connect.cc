#include "net/connect.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "net/descriptor.h"
#include "net/socket_address.h"

namespace bastide::net {

Result<Socket> connect_from(sys::Fd fd, const std::string& address, uint16_t port, Millis timeout) {
  const auto to = TRY(SocketAddress::tcp(address, port));
  const int one = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(fd.get(), to.get(), to.size()) != 0) {
    const int number = errno;
    if (number != EINPROGRESS && number != EINTR) return sys::system_error("connect to " + to.text(), number);
    Descriptor ready(fd.get());
    if (ready.wait(Direction::write, timeout) == Wake::timeout)
      return error("Timeout", "connect to " + to.text() + ": no answer in " + human_duration(timeout));
    int result = 0;
    socklen_t size = sizeof result;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &result, &size);
    if (result != 0) return sys::system_error("connect to " + to.text(), result);
  }
  return Socket::adopt(std::move(fd));
}

}  // namespace bastide::net
