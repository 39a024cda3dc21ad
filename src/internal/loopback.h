// Where tasks live without network namespaces: each address of a VPC stands for one of
// loopback's, 10.11.12.13 for 127.11.12.13. Host byte order.
#pragma once

#include <cstdint>

namespace bastide::internal {

constexpr uint32_t loopback_address(uint32_t vpc_address) { return 127u << 24 | (vpc_address & 0xffffff); }
// The doors to the platform of the task with that address: the upper half of 127/8.
constexpr uint32_t door_address(uint32_t vpc_address) { return loopback_address(vpc_address) | 1u << 23; }

}  // namespace bastide::internal
