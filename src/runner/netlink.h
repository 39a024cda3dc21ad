// Network devices, addresses and routes by rtnetlink, in the network namespace of the calling thread.
// https://man7.org/linux/man-pages/man7/rtnetlink.7.html
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

class Netlink {
 public:
  static Result<Netlink> open();  // bound to the namespace the thread is in now

  Result<void> add_bridge(const std::string& name);
  // A pair: `name` here (joined to the bridge `master` where given), `peer` in the namespace
  // `peer_namespace`; the peer's hardware address follows from `peer_address` where that is given, so that a
  // neighbour's memory of an address stays right when another task gets it.
  Result<void> add_pair(const std::string& name, const std::string& peer, int peer_namespace,
                        const std::string& master = "", uint32_t peer_address = 0);
  Result<void> remove(const std::string& name);  // no error where there is none
  Result<void> set_up(const std::string& name);
  Result<void> add_address(const std::string& name, uint32_t address, int prefix);
  Result<void> add_default_route(uint32_t gateway);
  // Through a gateway that is on this link although no address says so.
  Result<void> add_route(uint32_t destination, int prefix, uint32_t gateway, const std::string& device);
  Result<void> add_host_route(uint32_t address, const std::string& device);  // one address, on this link

 private:
  explicit Netlink(sys::Fd fd) : fd_(std::move(fd)) {}
  Result<void> request(const std::string& message);
  sys::Fd fd_;
};

}  // namespace bastide::runner
