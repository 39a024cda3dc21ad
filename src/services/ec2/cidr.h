// IPv4 ranges as EC2 takes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bastide::services {

struct Cidr {
  uint32_t address = 0;  // host order, host bits cleared
  int length = 0;

  static std::optional<Cidr> parse(
      std::string_view text);  // "10.0.0.0/16"; host bits are cleared, as EC2 does
  std::string text() const;
  bool contains(const Cidr& other) const {
    return other.length >= length && (other.address & mask()) == address;
  }
  bool overlaps(const Cidr& other) const { return contains(other) || other.contains(*this); }
  uint32_t mask() const { return length == 0 ? 0 : ~uint32_t{0} << (32 - length); }
  int64_t size() const { return int64_t{1} << (32 - length); }
};

}  // namespace bastide::services
