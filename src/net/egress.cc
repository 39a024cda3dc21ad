#include "net/egress.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace bastide::net {
namespace {

struct Network {
  uint32_t address;
  int bits;
};

constexpr uint32_t v4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr Network kSpecial[] = {
    {v4(0, 0, 0, 0), 8},      {v4(10, 0, 0, 0), 8},     {v4(100, 64, 0, 0), 10}, {v4(127, 0, 0, 0), 8},
    {v4(169, 254, 0, 0), 16}, {v4(172, 16, 0, 0), 12},  {v4(192, 0, 0, 0), 24},  {v4(192, 0, 2, 0), 24},
    {v4(192, 88, 99, 0), 24}, {v4(192, 168, 0, 0), 16}, {v4(198, 18, 0, 0), 15}, {v4(198, 51, 100, 0), 24},
    {v4(203, 0, 113, 0), 24}, {v4(224, 0, 0, 0), 4},    {v4(240, 0, 0, 0), 4},
};

bool public_v4(uint32_t address) {
  for (const auto& n : kSpecial) {
    const uint32_t mask = ~uint32_t{0} << (32 - n.bits);
    if ((address & mask) == n.address) return false;
  }
  return true;
}

uint32_t at(const std::array<uint8_t, 16>& bytes, size_t from) {
  return v4(bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]);
}

// Of IPv6 only 2000::/3 is handed out; inside it lie documentation, Teredo and 6to4.
bool public_v6(const std::array<uint8_t, 16>& b) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  static constexpr uint8_t kNat64[12] = {0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0};
  if (std::memcmp(b.data(), kMapped, 12) == 0 || std::memcmp(b.data(), kNat64, 12) == 0)
    return public_v4(at(b, 12));
  if ((b[0] & 0xE0) != 0x20) return false;
  if (b[0] == 0x20 && b[1] == 0x02) return public_v4(at(b, 2));
  if (b[0] == 0x20 && b[1] == 0x01 && (b[2] < 0x02 || (b[2] == 0x0D && b[3] == 0xB8))) return false;
  return true;
}

}  // namespace

Result<void> refuse_private(const std::string& address) {
  std::string plain = address;
  if (plain.size() > 2 && plain.front() == '[' && plain.back() == ']')
    plain = plain.substr(1, plain.size() - 2);
  in_addr four{};
  std::array<uint8_t, 16> six{};
  bool allowed = false;
  if (::inet_pton(AF_INET, plain.c_str(), &four) == 1) {
    allowed = public_v4(ntohl(four.s_addr));
  } else if (::inet_pton(AF_INET6, plain.substr(0, plain.find('%')).c_str(), six.data()) == 1) {
    allowed = public_v6(six);
  }
  if (!allowed) return error("Denied", "the address " + address + " is not public");
  return {};
}

}  // namespace bastide::net
