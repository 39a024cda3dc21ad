// What control tells runner about networks beyond their ranges (internal/runner.h): who may speak to whom.
//
//   Both come as a descriptor of a file with the JSON in it: they may be larger than a message.
//   network.policy NetworkPolicy -> {}   the whole of one VPC: an endpoint that it does not name may neither send nor
//                                        receive; changes reach the kernel before the answer, connections that
//                                        are allowed now and were before go on
//   network.paths  {paths: [NetworkPath]} -> {}   every way between VPCs; there is no other
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::internal {

// What is allowed: a rule of a security group with its peers as ranges.
struct NetworkRule {
  bool egress = false;
  std::string protocol;             // "-1" all, "tcp", "udp", "icmp", or an IP protocol's number
  int from = -1, to = -1;           // ports; of ICMP type and code; -1: any
  std::vector<std::string> ranges;  // IPv4, a.b.c.d/n
  bool operator==(const NetworkRule&) const = default;
};

struct NetworkEndpoint {
  std::string address;
  std::vector<NetworkRule> rules;
  bool operator==(const NetworkEndpoint&) const = default;
};

struct NetworkPolicy {
  std::string account, vpc;
  std::string domain;  // "stage.internal": where tasks look for short names; may be empty
  std::vector<NetworkEndpoint> endpoints;
  std::map<std::string, std::vector<std::string>> names;  // what the VPC's resolver answers
  bool operator==(const NetworkPolicy&) const = default;
};

// New connections from a source in one VPC to a destination in another.
struct NetworkPath {
  std::string from_account, from_vpc, source;
  std::string to_account, to_vpc, destination;
  bool operator==(const NetworkPath&) const = default;
};

json::Value to_json(const NetworkPolicy&);
json::Value to_json(const NetworkPath&);
Result<NetworkPolicy> network_policy(const json::Value&);
Result<NetworkPath> network_path(const json::Value&);

}  // namespace bastide::internal
