// Who may speak to whom: what control said last, on disk, in the resolver and in each endpoint's filter.
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>

#include "base/bytes.h"
#include "base/log.h"
#include "runner/namespaces.h"
#include "runner/networks.h"
#include "runner/packet_filter.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr uint16_t kDns = 53;
constexpr auto kPolicyPatience = std::chrono::milliseconds(400);
constexpr size_t kMaxPolicyBytes = 64u << 20;
constexpr size_t kMaxPaths = 100'000;

const internal::NetworkEndpoint* endpoint_of(const internal::NetworkPolicy& policy, uint32_t address) {
  for (const auto& endpoint : policy.endpoints) {
    if (endpoint.address == address_text(address)) return &endpoint;
  }
  return nullptr;
}

Names names_of(const internal::NetworkPolicy& policy) {
  Names out;
  for (const auto& [name, addresses] : policy.names) {
    for (const auto& address : addresses) {
      if (const auto number = parse_address(address)) out[lower(name)].push_back(*number);
    }
  }
  return out;
}

}  // namespace

// In the VPC's namespace, on the second address of its range.
Result<void> Networks::serve_names(const std::string& name, const Cidr& range) {
  const auto ns = TRY(open_namespace(vpc_file(name)));
  sys::Fd socket;
  TRY(in_namespace(ns.get(), [&]() -> Result<void> {
    socket = sys::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return sys::system_error("the resolver");
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(kDns);
    at.sin_addr.s_addr = htonl(range.resolver());
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
      return sys::system_error("the resolver at " + address_text(range.resolver()));
    return {};
  }));
  return resolver_->serve(name, std::move(socket));
}

Result<void> Networks::open_policies() {
  const std::lock_guard lock(filter_mutex_);
  for (const auto& [name, spec] : known_) {
    auto text = sys::read_file(stage_.disk() + "/policy-" + name + ".json", kMaxPolicyBytes);
    if (!text) continue;
    auto policy = TRY(internal::network_policy(TRY(json::parse(*text))));
    TRY(check(policy));
    resolver_->set(name, names_of(policy));
    policies_[name] = std::move(policy);
  }
  if (auto text = sys::read_file(stage_.disk() + "/paths.json", kMaxPolicyBytes)) {
    const auto json = TRY(json::parse(*text));
    for (const auto& one : json.get_array("paths")) paths_.push_back(TRY(internal::network_path(one)));
  }
  return known_.empty() || !has_namespaces(stage_.tier()) ? Result<void>() : load_core();
}

Result<void> Networks::forget_policy(const std::string& name) {
  const std::lock_guard lock(filter_mutex_);
  policies_.erase(name);
  return sys::remove_file(stage_.disk() + "/policy-" + name + ".json");
}

std::string Networks::domain(const std::string& account, const std::string& vpc) const {
  const std::lock_guard lock(filter_mutex_);
  const auto found = policies_.find(key(account, vpc));
  return found == policies_.end() ? "" : found->second.domain;
}

Result<void> Networks::filter(const std::string& id) {
  const auto& guarded = guarded_.at(id);
  const internal::NetworkEndpoint* endpoint = nullptr;
  if (const auto policy = policies_.find(guarded.network); policy != policies_.end())
    endpoint = endpoint_of(policy->second, guarded.address);
  auto ns = open_namespace(task_file(id));
  if (!ns) {
    if (ns.error().code == "NotFound") return {};
    return std::move(ns).error();
  }
  const auto text =
      endpoint_filter(guarded.address, guarded.resolver,
                      endpoint != nullptr ? endpoint->rules : std::vector<internal::NetworkRule>(),
                      guarded.link ? kLinkDevice : "");
  return in_namespace(ns->get(), [&] { return load_filter(text); });
}

Result<void> Networks::guard(const std::string& id, const std::string& account, const std::string& vpc,
                             const std::string& address, bool link) {
  if (!has_namespaces(stage_.tier())) return {};
  const auto range = TRY(cidr(account, vpc));
  const uint32_t number = TRY(parse_address(address));
  std::unique_lock lock(filter_mutex_);
  guarded_[id] = {key(account, vpc), number, range.resolver(), link};
  TRY(filter(id));
  const auto named = [&] {
    const auto policy = policies_.find(key(account, vpc));
    return policy != policies_.end() && endpoint_of(policy->second, number) != nullptr;
  };
  // Control says who may reach it at about the time that it starts it.
  if (!named()) policy_changed_.wait_for(lock, kPolicyPatience, named);
  return {};
}

bool Networks::attached(const std::string& account, const std::string& vpc) const {
  const std::lock_guard lock(filter_mutex_);
  for (const auto& [id, guarded] : guarded_) {
    if (guarded.network == key(account, vpc)) return true;
  }
  return false;
}

Result<void> Networks::apply(const internal::NetworkPolicy& policy) {
  TRY(check(policy));
  TRY(cidr(policy.account, policy.vpc));
  const std::string name = key(policy.account, policy.vpc);
  std::optional<Error> first;
  {
    const std::lock_guard lock(filter_mutex_);
    auto& kept = policies_[name];
    if (kept == policy) return {};
    const auto before = std::move(kept);
    kept = policy;
    resolver_->set(name, names_of(policy));
    for (const auto& [id, guarded] : guarded_) {
      if (guarded.network != name) continue;
      const auto* was = endpoint_of(before, guarded.address);
      const auto* is = endpoint_of(policy, guarded.address);
      if ((was == nullptr) == (is == nullptr) && (was == nullptr || *was == *is)) continue;
      if (auto loaded = filter(id); !loaded && !first) first = std::move(loaded).error();
    }
    if (first) kept = before;  // the next attempt does all of it again
  }
  policy_changed_.notify_all();
  if (first) return *first;
  return sys::write_file(stage_.disk() + "/policy-" + name + ".json", json::print(to_json(policy)));
}

Result<void> Networks::load_core() {
  std::map<std::string, std::string> devices;
  for (const auto& path : paths_) {
    for (const auto& name : {path.from_account + "-" + path.from_vpc, path.to_account + "-" + path.to_vpc})
      devices[name] = network_device('c', name);
  }
  auto core = open_namespace(folder_ + "/core");
  if (!core) return std::move(core).error();
  const auto text = core_filter(paths_, devices);
  return in_namespace(core->get(), [&] { return load_filter(text); });
}

Result<void> Networks::set_paths(const std::vector<internal::NetworkPath>& paths) {
  if (paths.size() > kMaxPaths) return error("TooLarge", "too many paths between VPCs");
  for (const auto& path : paths) TRY(check(path));
  if (!has_namespaces(stage_.tier())) return {};  // nothing there that could lead from one to another
  {
    const std::lock_guard lock(mutex_);
    if (known_.empty() && paths.empty()) return {};
    TRY(shared_locked("core"));
  }
  const std::lock_guard lock(filter_mutex_);
  paths_ = paths;
  TRY(load_core());
  json::Array list;
  for (const auto& path : paths) list.push_back(to_json(path));
  return sys::write_file(stage_.disk() + "/paths.json", json::print(json::object({{"paths", std::move(list)}})));
}

}  // namespace bastide::runner
