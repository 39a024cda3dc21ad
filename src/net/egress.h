// URLs that somebody else chose must not reach this machine or its networks: what an outgoing connection asks
// of an address after resolution (ClientOptions::check_address), so that no name can lead around it.
#pragma once

#include <string>

#include "base/result.h"

namespace bastide::net {

// "Denied" for everything that is not a public unicast address: loopback, private, link-local, shared,
// multicast, documentation, and the same inside IPv6 (mapped, 6to4, NAT64).
// https://www.iana.org/assignments/iana-ipv4-special-registry
Result<void> refuse_private(const std::string& address);

}  // namespace bastide::net
