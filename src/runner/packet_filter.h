// Security groups and the ways between VPCs as nftables: texts of rules, made by pure functions of checked
// values, and the call that puts one into the kernel. A text replaces the whole table in one transaction, so
// that no packet meets a half of it, and connections that the kernel tracks already go on.
// https://wiki.nftables.org/wiki-nftables/index.php/Main_Page
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "internal/network.h"
#include "runner/validate.h"

namespace bastide::runner {

struct Range {
  uint32_t first = 0, last = 0;  // host byte order
};
Result<Range> parse_range(std::string_view text);  // a.b.c.d/n

Result<void> check(const internal::NetworkPolicy& policy);
Result<void> check(const internal::NetworkPath& path);

// Of a task, or whatever else has an address: default deny both ways; the VPC's resolver is always reached,
// as Amazon's is. No packet leaves under another address than its own. `link`: the device to 169.254.170.2.
std::string endpoint_filter(uint32_t address, uint32_t resolver, const std::vector<internal::NetworkRule>& rules,
                            const std::string& link);
// Of a VPC's own namespace: it answers names and pings, and passes on only what has the right addresses.
std::string vpc_filter(const Cidr& range, const std::string& bridge, const std::string& core);
// Of the namespace where VPCs meet. `device`: of a VPC, "account-vpc".
std::string core_filter(const std::vector<internal::NetworkPath>& paths,
                        const std::map<std::string, std::string>& devices);
// Of namespaces that only begin connections.
std::string outgoing_filter();

// In the calling thread's network namespace.
Result<void> load_filter(const std::string& text);

}  // namespace bastide::runner
