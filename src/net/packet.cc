#include "net/packet.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace bastide::net {

Result<bool> send_packet(int fd, std::string_view bytes, const std::vector<sys::Fd>& fds) {
  if (bytes.size() > kMaxPacketBytes) return error("TooLarge", "a message is larger than 64 KiB");
  if (fds.size() > kMaxPacketFds) return error("TooLarge", "a message has more than 64 descriptors");
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    for (size_t i = 0; i < fds.size(); ++i) {
      const int one = fds[i].get();
      std::memcpy(CMSG_DATA(header) + i * sizeof(int), &one, sizeof one);
    }
  }
  for (;;) {
    if (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    const int number = errno;
    if (number == EINTR) continue;
    if (number == EAGAIN) return false;
    if (number == EPIPE || number == ECONNRESET || number == ENOTCONN) {
      return error("Closed", "the other role is gone");
    }
    return sys::system_error("send to the other role", number);
  }
}

Result<std::optional<Packet>> receive_packet(int fd) {
  // Over the stack: a packet is copied once, into a string of its own size.
  char bytes[kMaxPacketBytes];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds)];
  iovec part{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = 0;
  do {
    size = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    const int number = errno;
    if (number == EAGAIN) return std::optional<Packet>();
    if (number == ECONNRESET) return error("Closed", "the other role is gone");
    return sys::system_error("receive from the other role", number);
  }
  Packet out;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int one = -1;
      std::memcpy(&one, CMSG_DATA(header) + i * sizeof(int), sizeof one);
      out.fds.emplace_back(one);
    }
  }
  if (size == 0) return error("Closed", "the other role is gone");
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return error("Invalid", "the other role sent a message that is too large");
  }
  out.bytes.assign(bytes, static_cast<size_t>(size));
  return std::optional<Packet>(std::move(out));
}

}  // namespace bastide::net
