#include "internal/network.h"

namespace bastide::internal {
namespace {

json::Value texts(const std::vector<std::string>& list) {
  json::Array out;
  for (const auto& text : list) out.emplace_back(text);
  return out;
}

Result<std::vector<std::string>> texts_of(const json::Value& from, const char* member) {
  std::vector<std::string> out;
  for (const auto& one : from.get_array(member)) {
    if (!one.is_string()) return error("Invalid", std::string(member) + " is not a list of texts");
    out.push_back(one.string());
  }
  return out;
}

}  // namespace

json::Value to_json(const NetworkPolicy& p) {
  json::Array endpoints;
  for (const auto& e : p.endpoints) {
    json::Array rules;
    for (const auto& r : e.rules) {
      rules.push_back(json::object({{"egress", r.egress},
                                    {"protocol", r.protocol},
                                    {"from", r.from},
                                    {"to", r.to},
                                    {"ranges", texts(r.ranges)}}));
    }
    endpoints.push_back(json::object({{"address", e.address}, {"rules", std::move(rules)}}));
  }
  json::Array names;
  for (const auto& [name, addresses] : p.names)
    names.push_back(json::object({{"name", name}, {"addresses", texts(addresses)}}));
  return json::object({{"account", p.account},
                       {"vpc", p.vpc},
                       {"domain", p.domain},
                       {"endpoints", std::move(endpoints)},
                       {"names", std::move(names)}});
}

json::Value to_json(const NetworkPath& p) {
  return json::object({{"from_account", p.from_account},
                       {"from_vpc", p.from_vpc},
                       {"source", p.source},
                       {"to_account", p.to_account},
                       {"to_vpc", p.to_vpc},
                       {"destination", p.destination}});
}

Result<NetworkPolicy> network_policy(const json::Value& v) {
  if (!v.is_object()) return error("Invalid", "a network policy is an object");
  NetworkPolicy p;
  p.account = v.get("account");
  p.vpc = v.get("vpc");
  p.domain = v.get("domain");
  for (const auto& e : v.get_array("endpoints")) {
    NetworkEndpoint endpoint;
    endpoint.address = e.get("address");
    for (const auto& r : e.get_array("rules")) {
      NetworkRule rule;
      rule.egress = r.get_bool("egress");
      rule.protocol = r.get("protocol");
      rule.from = static_cast<int>(r.get_int("from", -1));
      rule.to = static_cast<int>(r.get_int("to", -1));
      rule.ranges = TRY(texts_of(r, "ranges"));
      endpoint.rules.push_back(std::move(rule));
    }
    p.endpoints.push_back(std::move(endpoint));
  }
  for (const auto& n : v.get_array("names")) p.names[n.get("name")] = TRY(texts_of(n, "addresses"));
  return p;
}

Result<NetworkPath> network_path(const json::Value& v) {
  if (!v.is_object()) return error("Invalid", "a path is an object");
  return NetworkPath{v.get("from_account"), v.get("from_vpc"), v.get("source"),
                     v.get("to_account"),   v.get("to_vpc"),   v.get("destination")};
}

}  // namespace bastide::internal
