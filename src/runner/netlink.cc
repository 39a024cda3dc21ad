#include "runner/netlink.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace bastide::runner {
namespace {

// A message under construction; attributes nest by remembering where they began.
class Builder {
 public:
  template <class Body>
  Builder(uint16_t type, uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header.nlmsg_seq = 1;
    append(&header, sizeof header);
    append(&body, sizeof body);
  }

  void append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  void attribute(uint16_t type, const void* data, size_t size) {
    const rtattr header{static_cast<uint16_t>(RTA_LENGTH(size)), type};
    bytes_.append(reinterpret_cast<const char*>(&header), sizeof header);
    append(data, size);
  }
  void text(uint16_t type, const std::string& value) { attribute(type, value.c_str(), value.size() + 1); }
  void number(uint16_t type, uint32_t value) { attribute(type, &value, sizeof value); }
  size_t begin(uint16_t type) {
    const size_t at = bytes_.size();
    attribute(type, nullptr, 0);
    return at;
  }
  void end(size_t at) {
    const auto length = static_cast<uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &length, sizeof length);
  }
  const std::string& finish() {
    const auto length = static_cast<uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &length, sizeof length);
    return bytes_;
  }

 private:
  std::string bytes_;
};

Result<uint32_t> index_of(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return sys::system_error("network device " + name);
  return index;
}

rtmsg static_route(uint8_t scope) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = scope;
  route.rtm_type = RTN_UNICAST;
  return route;
}

constexpr uint16_t kCreate = NLM_F_CREATE | NLM_F_EXCL;

}  // namespace

Result<Netlink> Netlink::open() {
  sys::Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return sys::system_error("netlink");
  return Netlink(std::move(fd));
}

Result<void> Netlink::request(const std::string& message) {
  if (::send(fd_.get(), message.data(), message.size(), 0) != static_cast<ssize_t>(message.size()))
    return sys::system_error("netlink");
  alignas(nlmsghdr) char answer[8192];
  ssize_t n = 0;
  do n = ::recv(fd_.get(), answer, sizeof answer, 0);
  while (n < 0 && errno == EINTR);
  if (n < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))))
    return sys::system_error("netlink", n < 0 ? errno : EBADMSG);
  nlmsghdr header;
  std::memcpy(&header, answer, sizeof header);
  if (header.nlmsg_type != NLMSG_ERROR) return sys::system_error("netlink", EBADMSG);
  nlmsgerr outcome;
  std::memcpy(&outcome, answer + NLMSG_HDRLEN, sizeof outcome);
  if (outcome.error != 0) return sys::system_error("netlink", -outcome.error);
  return {};
}

Result<void> Netlink::add_bridge(const std::string& name) {
  Builder b(RTM_NEWLINK, kCreate, ifinfomsg{});
  b.text(IFLA_IFNAME, name);
  const auto info = b.begin(IFLA_LINKINFO);
  b.text(IFLA_INFO_KIND, "bridge");
  b.end(info);
  return request(b.finish());
}

Result<void> Netlink::add_pair(const std::string& name, const std::string& peer, int peer_namespace,
                               const std::string& master, uint32_t peer_address) {
  Builder b(RTM_NEWLINK, kCreate, ifinfomsg{});
  b.text(IFLA_IFNAME, name);
  if (!master.empty()) {
    const uint32_t bridge = TRY(index_of(master));
    b.number(IFLA_MASTER, bridge);
  }
  const auto info = b.begin(IFLA_LINKINFO);
  b.text(IFLA_INFO_KIND, "veth");
  const auto data = b.begin(IFLA_INFO_DATA);
  const auto other = b.begin(VETH_INFO_PEER);
  const ifinfomsg nothing{};
  b.append(&nothing, sizeof nothing);
  b.text(IFLA_IFNAME, peer);
  if (peer_address != 0) {
    // 02: locally administered, of one device.
    const uint8_t hardware[6] = {0x02,
                                 0xba,
                                 static_cast<uint8_t>(peer_address >> 24),
                                 static_cast<uint8_t>(peer_address >> 16),
                                 static_cast<uint8_t>(peer_address >> 8),
                                 static_cast<uint8_t>(peer_address)};
    b.attribute(IFLA_ADDRESS, hardware, sizeof hardware);
  }
  b.number(IFLA_NET_NS_FD, static_cast<uint32_t>(peer_namespace));
  b.end(other);
  b.end(data);
  b.end(info);
  return request(b.finish());
}

Result<void> Netlink::remove(const std::string& name) {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(::if_nametoindex(name.c_str()));
  if (link.ifi_index == 0) return {};
  Builder b(RTM_DELLINK, 0, link);
  return request(b.finish());
}

Result<void> Netlink::set_up(const std::string& name) {
  const uint32_t index = TRY(index_of(name));
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(index);
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  Builder b(RTM_NEWLINK, 0, link);
  return request(b.finish());
}

Result<void> Netlink::add_address(const std::string& name, uint32_t address, int prefix) {
  const uint32_t index = TRY(index_of(name));
  ifaddrmsg message{};
  message.ifa_family = AF_INET;
  message.ifa_prefixlen = static_cast<uint8_t>(prefix);
  message.ifa_index = index;
  Builder b(RTM_NEWADDR, kCreate, message);
  b.number(IFA_LOCAL, htonl(address));
  b.number(IFA_ADDRESS, htonl(address));
  return request(b.finish());
}

Result<void> Netlink::add_default_route(uint32_t gateway) {
  Builder b(RTM_NEWROUTE, kCreate, static_route(RT_SCOPE_UNIVERSE));
  b.number(RTA_GATEWAY, htonl(gateway));
  return request(b.finish());
}

Result<void> Netlink::add_route(uint32_t destination, int prefix, uint32_t gateway, const std::string& device) {
  const uint32_t index = TRY(index_of(device));
  rtmsg route = static_route(RT_SCOPE_UNIVERSE);
  route.rtm_dst_len = static_cast<uint8_t>(prefix);
  route.rtm_flags = RTNH_F_ONLINK;
  Builder b(RTM_NEWROUTE, kCreate, route);
  b.number(RTA_DST, htonl(destination));
  b.number(RTA_GATEWAY, htonl(gateway));
  b.number(RTA_OIF, index);
  return request(b.finish());
}

Result<void> Netlink::add_host_route(uint32_t address, const std::string& device) {
  const uint32_t index = TRY(index_of(device));
  rtmsg route = static_route(RT_SCOPE_LINK);
  route.rtm_dst_len = 32;
  Builder b(RTM_NEWROUTE, kCreate, route);
  b.number(RTA_DST, htonl(address));
  b.number(RTA_OIF, index);
  b.number(RTA_PRIORITY, index);  // several devices may lead to the same address
  return request(b.finish());
}

}  // namespace bastide::runner
