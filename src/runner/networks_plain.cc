// Networks where there are no namespaces: an address of a VPC is one of 127/8, and each task's supervisor
// decides what its task may connect to.
#include <netinet/in.h>
#include <sys/socket.h>

#include "internal/loopback.h"
#include "runner/networks.h"

namespace bastide::runner {
namespace {

constexpr int kBacklog = 128;

Result<sys::Fd> listen_at(uint32_t address) {
  sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(address);
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(fd.get(), kBacklog) != 0)
    return sys::system_error("listening on " + address_text(address));
  return fd;
}

}  // namespace

// Two VPCs must not stand for the same addresses of loopback, nor for its ends.
Result<void> Networks::check_plain(const internal::NetworkSpec& spec) const {
  const auto place = [](const Cidr& cidr) {
    return Cidr{internal::loopback_address(cidr.network), cidr.prefix};
  };
  const Cidr wanted = place(TRY(parse_cidr(spec.cidr)));
  if (wanted.network & 1u << 23) {
    return error(
        "Invalid",
        spec.cidr + " cannot be used in this tier: the second number of its addresses must be below 128");
  }
  for (const auto& [name, known] : known_) {
    if (name == key(spec.account, spec.vpc)) continue;
    if (place(TRY(parse_cidr(known.cidr))).overlaps(wanted))
      return error("Invalid", spec.cidr + " and " + known.cidr +
                                  " cannot both be used in this tier: their last three numbers overlap");
  }
  return {};
}

Result<TaskNetwork> Networks::add_plain_task(const internal::TaskSpec& spec) {
  const auto range = TRY(cidr(spec.account, spec.vpc));
  const uint32_t address = TRY(parse_address(spec.address));
  if (!range.contains(address) || address <= range.edge() || address == range.last())
    return error("Invalid", spec.address + " is not an address for tasks of " + spec.vpc);
  TaskNetwork network;
  network.credentials = TRY(listen_at(internal::door_address(address)));
  network.api = TRY(listen_at(internal::door_address(address)));
  return network;
}

}  // namespace bastide::runner
