#include "runner/packet_filter.h"

#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <memory>

#include "base/bytes.h"

namespace bastide::runner {
namespace {

constexpr size_t kMaxEndpoints = 4'096;
constexpr size_t kMaxRules = 1'000;
constexpr size_t kMaxRanges = 10'000;
constexpr size_t kMaxNames = 10'000;
constexpr size_t kMaxAddresses = 256;

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  size_t label = 0;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!letter && c != '.') return false;
    label = c == '.' ? 0 : label + 1;
    if ((c == '.' && &c == text.data()) || label > 63) return false;
  }
  return true;
}

Result<void> check(const internal::NetworkRule& rule) {
  if (rule.ranges.size() > kMaxRanges) return error("TooLarge", "a rule has too many ranges");
  for (const auto& range : rule.ranges) TRY(parse_range(range));
  const int most = rule.protocol == "icmp" ? 255 : 65'535;
  if (rule.from < -1 || rule.from > most || rule.to < -1 || rule.to > most)
    return error("Invalid", "the ports of a rule are out of range");
  if (rule.protocol == "-1" || rule.protocol == "tcp" || rule.protocol == "udp" || rule.protocol == "icmp" ||
      rule.protocol == "icmpv6")
    return {};
  const auto number = parse_int(rule.protocol);
  if (!number || *number < 0 || *number > 255) return error("Invalid", "unknown protocol of a rule");
  return {};
}

// Disjoint and in order, as nftables wants the elements of a set.
std::vector<Range> merged(const std::vector<std::string>& texts) {
  std::vector<Range> all;
  for (const auto& text : texts) {
    if (const auto range = parse_range(text)) all.push_back(*range);
  }
  std::sort(all.begin(), all.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  std::vector<Range> out;
  for (const auto& range : all) {
    if (!out.empty() && (range.first <= out.back().last || range.first == out.back().last + 1))
      out.back().last = std::max(out.back().last, range.last);
    else
      out.push_back(range);
  }
  return out;
}

// " ip saddr { ... }"; nothing for every address.
std::string peers(const internal::NetworkRule& rule, const std::vector<Range>& ranges) {
  if (ranges.size() == 1 && ranges[0].first == 0 && ranges[0].last == ~uint32_t{0}) return "";
  std::string set;
  for (const auto& range : ranges) {
    if (!set.empty()) set += ", ";
    set += address_text(range.first);
    if (range.last != range.first) set += "-" + address_text(range.last);
  }
  return fmt::format(" ip {} {{ {} }}", rule.egress ? "daddr" : "saddr", set);
}

std::string what(const internal::NetworkRule& rule) {
  if (rule.protocol == "-1") return "";
  if (rule.protocol == "tcp" || rule.protocol == "udp") {
    if (rule.from < 0) return " meta l4proto " + rule.protocol;
    return fmt::format(" {} dport {}-{}", rule.protocol, rule.from, std::max(rule.from, rule.to));
  }
  if (rule.protocol == "icmp") {
    if (rule.from < 0) return " meta l4proto icmp";
    if (rule.to < 0) return fmt::format(" icmp type {}", rule.from);
    return fmt::format(" icmp type {} icmp code {}", rule.from, rule.to);
  }
  return " meta l4proto " + (rule.protocol == "icmpv6" ? "58" : rule.protocol);
}

constexpr const char* kBegin = "add table inet bastide\ndelete table inet bastide\ntable inet bastide {\n";
constexpr const char* kTracked = "    ct state established,related accept\n    ct state invalid drop\n";

std::string chain(const char* name, const char* hook, const std::string& rules) {
  return fmt::format("  chain {} {{ type filter hook {} priority 0; policy drop;\n{}  }}\n", name, hook, rules);
}

}  // namespace

Result<Range> parse_range(std::string_view text) {
  const size_t slash = text.find('/');
  const uint32_t address = TRY(parse_address(text.substr(0, slash)));
  int64_t prefix = 32;
  if (slash != std::string_view::npos) prefix = TRY(parse_int(std::string(text.substr(slash + 1))));
  if (prefix < 0 || prefix > 32) return error("Invalid", "not a range: " + std::string(text.substr(0, 40)));
  const uint32_t mask = prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix);
  return Range{address & mask, (address & mask) | ~mask};
}

Result<void> check(const internal::NetworkPolicy& policy) {
  TRY(check(internal::NetworkSpec{policy.account, policy.vpc, "10.0.0.0/16"}));
  if (policy.endpoints.size() > kMaxEndpoints || policy.names.size() > kMaxNames)
    return error("TooLarge", "the policy of " + policy.vpc + " is too large");
  if (!policy.domain.empty() && !is_name(policy.domain)) return error("Invalid", "the domain is not a name");
  for (const auto& endpoint : policy.endpoints) {
    TRY(parse_address(endpoint.address));
    if (endpoint.rules.size() > kMaxRules) return error("TooLarge", endpoint.address + " has too many rules");
    for (const auto& rule : endpoint.rules) TRY(check(rule));
  }
  for (const auto& [name, addresses] : policy.names) {
    if (!is_name(name)) return error("Invalid", "not a name: " + name.substr(0, 100));
    if (addresses.size() > kMaxAddresses) return error("TooLarge", name + " has too many addresses");
    for (const auto& address : addresses) TRY(parse_address(address));
  }
  return {};
}

Result<void> check(const internal::NetworkPath& path) {
  TRY(check(internal::NetworkSpec{path.from_account, path.from_vpc, "10.0.0.0/16"}));
  TRY(check(internal::NetworkSpec{path.to_account, path.to_vpc, "10.0.0.0/16"}));
  TRY(parse_range(path.source));
  TRY(parse_range(path.destination));
  return {};
}

std::string endpoint_filter(uint32_t address, uint32_t resolver, const std::vector<internal::NetworkRule>& rules,
                            const std::string& link) {
  std::string in = "    iifname \"lo\" accept\n" + std::string(kTracked);
  std::string out = "    oifname \"lo\" accept\n";
  if (!link.empty()) {
    out += fmt::format("    oifname \"{0}\" ip daddr 169.254.170.2 accept\n    oifname \"{0}\" drop\n", link);
    in += fmt::format("    iifname \"{}\" drop\n", link);
  }
  out += fmt::format("    ip saddr != {} drop\n", address_text(address)) + kTracked;
  for (const char* protocol : {"udp", "tcp"})
    out += fmt::format("    ip daddr {} {} dport 53 accept\n", address_text(resolver), protocol);
  for (const auto& rule : rules) {
    const auto ranges = merged(rule.ranges);
    if (ranges.empty()) continue;
    (rule.egress ? out : in) += "   " + peers(rule, ranges) + what(rule) + " accept\n";
  }
  return kBegin + chain("b_in", "input", in) + chain("b_out", "output", out) + "}\n";
}

std::string vpc_filter(const Cidr& range, const std::string& bridge, const std::string& core) {
  const std::string own = fmt::format("{}-{}", address_text(range.network), address_text(range.last()));
  const std::string in =
      kTracked + fmt::format("    iifname \"{0}\" ip saddr {1} ip daddr {2} udp dport 53 accept\n"
                             "    iifname \"{0}\" ip saddr {1} icmp type echo-request accept\n",
                             bridge, own, address_text(range.resolver()));
  const std::string through =
      fmt::format("    iifname \"{0}\" oifname \"{0}\" accept\n"
                  "    iifname \"{0}\" oifname \"{1}\" ip saddr {2} ip daddr != {2} accept\n"
                  "    iifname \"{1}\" oifname \"{0}\" ip saddr != {2} ip daddr {2} accept\n",
                  bridge, core, own);
  return kBegin + chain("b_in", "input", in) + chain("b_fwd", "forward", through) + "}\n";
}

std::string core_filter(const std::vector<internal::NetworkPath>& paths,
                        const std::map<std::string, std::string>& devices) {
  std::string through = kTracked;
  for (const auto& path : paths) {
    const auto from = devices.find(path.from_account + "-" + path.from_vpc);
    const auto to = devices.find(path.to_account + "-" + path.to_vpc);
    const auto source = parse_range(path.source), destination = parse_range(path.destination);
    if (from == devices.end() || to == devices.end() || !source || !destination) continue;
    through += fmt::format("    iifname \"{}\" oifname \"{}\" ip saddr {}-{} ip daddr {}-{} accept\n", from->second,
                           to->second, address_text(source->first), address_text(source->last),
                           address_text(destination->first), address_text(destination->last));
  }
  return kBegin + chain("b_in", "input", kTracked) + chain("b_fwd", "forward", through) + "}\n";
}

std::string outgoing_filter() {
  return kBegin + chain("b_in", "input", "    iifname \"lo\" accept\n" + std::string(kTracked)) +
         chain("b_fwd", "forward", "") + "}\n";
}

Result<void> load_filter(const std::string& text) {
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(::nft_ctx_new(NFT_CTX_DEFAULT), ::nft_ctx_free);
  if (!context) return error("nftables cannot be used");
  ::nft_ctx_buffer_error(context.get());
  ::nft_ctx_buffer_output(context.get());
  if (::nft_run_cmd_from_buffer(context.get(), text.c_str()) == 0) return {};
  const char* why = ::nft_ctx_get_error_buffer(context.get());
  return error("nftables: " + std::string(trim(why != nullptr ? why : "")).substr(0, 500));
}

}  // namespace bastide::runner
