// What runner accepts from control. Each says what is wrong; nothing here touches the system.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "internal/runner.h"

namespace bastide::runner {

bool is_digest(std::string_view text);   // sha256:<64 hexadecimal digits>
bool is_id(std::string_view text);       // 32 hexadecimal digits
bool is_account(std::string_view text);  // 12 digits

struct Cidr {
  uint32_t network = 0;  // host byte order
  int prefix = 0;
  uint32_t mask() const { return prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix); }
  uint32_t last() const { return network | ~mask(); }
  bool contains(uint32_t address) const { return (address & mask()) == network; }
  bool overlaps(const Cidr& other) const { return contains(other.network) || other.contains(network); }
  uint32_t bridge() const { return network + 1; }
  uint32_t resolver() const { return network + 2; }  // as Amazon's
  uint32_t edge() const { return network + 3; }
};

Result<uint32_t> parse_address(std::string_view text);
Result<Cidr> parse_cidr(std::string_view text);  // /16 to /28, as a VPC's
std::string address_text(uint32_t address);

Result<void> check(const internal::NetworkSpec& spec);
Result<void> check(const internal::TaskSpec& spec);
Result<void> check(const internal::SandboxSpec& spec);
Result<void> check(const internal::SandboxExec& spec);

}  // namespace bastide::runner
