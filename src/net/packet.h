// One packet with descriptors on a SOCK_SEQPACKET socket, for message.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::net {

inline constexpr size_t kMaxPacketBytes = 64u << 10;
inline constexpr size_t kMaxPacketFds = 64;

struct Packet {
  std::string bytes;
  std::vector<sys::Fd> fds;
};

// Neither waits: false / nothing where it would have to. "Closed" at the peer's end; "Invalid" where the peer
// sent more than a packet may hold.
Result<bool> send_packet(int fd, std::string_view bytes, const std::vector<sys::Fd>& fds);
Result<std::optional<Packet>> receive_packet(int fd);

}  // namespace bastide::net
