#include "runner/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/crypto.h"
#include "base/log.h"
#include "runner/namespaces.h"
#include "runner/netlink.h"
#include "runner/packet_filter.h"
#include "sys/file.h"

namespace bastide::runner {

std::string network_device(char kind, const std::string& of) {
  return std::string(1, kind) + "-" + sha256_hex(of).substr(0, 12);
}

namespace {

constexpr const char* kBridge = "br0";
constexpr const char* kUp = "up0";               // towards core
constexpr uint32_t kCoreAddress = 0x64400001;     // 100.64.0.1, on every link of core
constexpr uint32_t kVpcAddress = 0x64400002;      // 100.64.0.2, every VPC's end
constexpr uint32_t kLinkLocal = 0xa9feaa02;      // 169.254.170.2, where ECS's agent answers
constexpr uint32_t kTaskLinkLocal = 0xa9feaa03;  // the task's end of that link
constexpr uint16_t kCredentialsPort = 80;
constexpr uint16_t kApiPort = 4566;
constexpr int kBacklog = 128;
constexpr size_t kMaxNetworks = 1024;

Result<sys::Fd> listen_on(uint32_t address, uint16_t port, const std::string& device) {
  sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return sys::system_error("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device.c_str(),
                   static_cast<socklen_t>(device.size() + 1)) != 0) {
    return sys::system_error("binding to " + device);
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return sys::system_error("listening on " + address_text(address) + ":" + std::to_string(port));
  }
  return fd;
}

// On a thread in the namespace `link`.
Result<void> open_sockets(TaskNetwork& network, const std::string& task) {
  auto credentials = TRY(listen_on(kLinkLocal, kCredentialsPort, network_device('l', task)));
  auto api = TRY(listen_on(kLinkLocal, kApiPort, network_device('l', task)));
  network.credentials = std::move(credentials);
  network.api = std::move(api);
  return {};
}

}  // namespace

Result<std::unique_ptr<Networks>> Networks::open(const Stage& stage) {
  std::unique_ptr<Networks> networks(new Networks(stage));
  networks->resolver_ = TRY(Resolver::start());
  auto text = sys::read_file(stage.disk() + "/networks.json", 4 << 20);
  if (!text) {
    if (text.error().code == "NotFound") return networks;
    return std::move(text).error();
  }
  const auto json = TRY(json::parse(*text));
  for (const auto& entry : json.get_array("networks")) {
    auto spec = TRY(internal::network_spec(entry));
    TRY(check(spec));
    const std::string key = networks->key(spec.account, spec.vpc);
    networks->known_[key] = spec;
    if (!has_namespaces(stage.tier())) continue;
    if (!open_namespace(networks->vpc_file(key))) TRY(networks->make(spec));
    TRY(networks->serve_names(key, TRY(parse_cidr(spec.cidr))));
  }
  TRY(networks->open_policies());
  return networks;
}

Result<void> Networks::save() const {
  json::Array list;
  for (const auto& [key, spec] : known_) list.push_back(to_json(spec));
  return sys::write_file(stage_.disk() + "/networks.json", json::pretty(json::object({{"networks", list}})));
}

Result<sys::Fd> Networks::shared_locked(const std::string& name) {
  const std::string file = folder_ + "/" + name;
  auto kept = open_namespace(file);
  if (kept) return kept;
  TRY(in_new_namespace([&](int ns) -> Result<void> {
    if (name == "link") {
      auto netlink = TRY(Netlink::open());
      TRY(netlink.add_address("lo", kLinkLocal, 32));
    }
    if (name == "core") {
      TRY(allow_forwarding());
      auto netlink = TRY(Netlink::open());
      TRY(netlink.add_address("lo", kCoreAddress, 32));
      TRY(load_filter(core_filter({}, {})));
    }
    if (name == "edge") TRY(load_filter(outgoing_filter()));
    return keep_namespace(ns, file);
  }));
  return open_namespace(file);
}

Result<sys::Fd> Networks::edge_namespace() {
  const std::lock_guard lock(mutex_);
  return shared_locked("edge");
}

Result<void> Networks::make(const internal::NetworkSpec& spec) {
  const auto cidr = TRY(parse_cidr(spec.cidr));
  const auto edge = TRY(shared_locked("edge"));
  const auto core = TRY(shared_locked("core"));
  const std::string name = key(spec.account, spec.vpc);
  const std::string leg = network_device('v', name), way = network_device('c', name);
  TRY(in_new_namespace([&](int ns) -> Result<void> {
    auto netlink = TRY(Netlink::open());
    TRY(netlink.add_bridge(kBridge));
    TRY(netlink.add_address(kBridge, cidr.bridge(), cidr.prefix));
    TRY(netlink.add_address(kBridge, cidr.resolver(), 32));
    TRY(netlink.set_up(kBridge));
    TRY(load_filter(vpc_filter(cidr, kBridge, kUp)));
    TRY(allow_forwarding());
    // Devices of a VPC that went without a farewell.
    TRY(enter_namespace(edge.get()));
    {
      auto there = TRY(Netlink::open());
      TRY(there.remove(leg));
    }
    TRY(enter_namespace(core.get()));
    {
      auto there = TRY(Netlink::open());
      TRY(there.remove(way));
      TRY(there.add_pair(way, kUp, ns));
      TRY(there.set_up(way));
      TRY(there.add_route(cidr.network, cidr.prefix, kVpcAddress, way));
    }
    TRY(enter_namespace(ns));
    TRY(netlink.add_address("lo", kVpcAddress, 32));
    TRY(netlink.set_up(kUp));
    TRY(netlink.add_route(0, 0, kCoreAddress, kUp));
    TRY(netlink.add_pair("edge", leg, edge.get(), kBridge));
    TRY(netlink.set_up("edge"));
    TRY(enter_namespace(edge.get()));
    auto there = TRY(Netlink::open());
    TRY(there.add_address(leg, cidr.edge(), cidr.prefix));
    TRY(there.set_up(leg));
    return keep_namespace(ns, vpc_file(name));
  }));
  return {};
}

Result<void> Networks::ensure(const internal::NetworkSpec& spec) {
  TRY(check(spec));
  const auto wanted = TRY(parse_cidr(spec.cidr));
  const std::lock_guard lock(mutex_);
  const std::string name = key(spec.account, spec.vpc);
  for (const auto& [other, known] : known_) {
    const auto used = TRY(parse_cidr(known.cidr));
    if (other == name) {
      if (known.cidr != spec.cidr)
        return error("Invalid", spec.vpc + " exists with another CIDR block, " + known.cidr);
    } else if (used.overlaps(wanted)) {
      return error("Invalid", "the CIDR block " + spec.cidr + " overlaps that of " + known.vpc + ", " +
                                  known.cidr + ": on one host the edge could not tell their addresses apart");
    }
  }
  if (known_.size() >= kMaxNetworks)
    return error("TooLarge", "more than " + std::to_string(kMaxNetworks) + " VPCs");
  if (!has_namespaces(stage_.tier()))
    TRY(check_plain(spec));
  else if (!open_namespace(vpc_file(name)))
    TRY(make(spec));
  if (has_namespaces(stage_.tier()) && !resolver_->serves(name)) TRY(serve_names(name, wanted));
  if (known_.contains(name)) return {};
  known_[name] = spec;
  return save();
}

Result<void> Networks::remove(const std::string& account, const std::string& vpc) {
  const std::lock_guard lock(mutex_);
  const std::string name = key(account, vpc);
  if (!known_.contains(name)) return {};
  if (!has_namespaces(stage_.tier())) {
    known_.erase(name);
    return save();
  }
  const auto edge = TRY(shared_locked("edge"));
  TRY(in_namespace(edge.get(), [&]() -> Result<void> {
    auto netlink = TRY(Netlink::open());
    return netlink.remove(network_device('v', name));
  }));
  const auto core = TRY(shared_locked("core"));
  TRY(in_namespace(core.get(), [&]() -> Result<void> {
    auto netlink = TRY(Netlink::open());
    return netlink.remove(network_device('c', name));
  }));
  resolver_->drop(name);
  TRY(drop_namespace(vpc_file(name)));
  known_.erase(name);
  TRY(save());
  TRY(forget_policy(name));
  if (!known_.empty()) return {};
  TRY(drop_namespace(folder_ + "/link"));
  TRY(drop_namespace(folder_ + "/core"));
  return drop_namespace(folder_ + "/edge");
}

std::vector<internal::NetworkSpec> Networks::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<internal::NetworkSpec> out;
  for (const auto& [key, spec] : known_) out.push_back(spec);
  return out;
}

Result<Cidr> Networks::cidr(const std::string& account, const std::string& vpc) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(key(account, vpc));
  if (found == known_.end())
    return error("NotFound", "there is no network " + vpc + " of the account " + account);
  return parse_cidr(found->second.cidr);
}

Result<TaskNetwork> Networks::add_task(const internal::TaskSpec& spec) {
  if (!has_namespaces(stage_.tier())) return add_plain_task(spec);
  return join(spec.id, spec.account, spec.vpc, spec.address, true);
}

Result<TaskNetwork> Networks::join(const std::string& id, const std::string& account, const std::string& vpc_id,
                                   const std::string& address_wanted, bool with_link) {
  const auto range = TRY(cidr(account, vpc_id));
  const uint32_t address = TRY(parse_address(address_wanted));
  if (!range.contains(address) || address <= range.edge() || address == range.last()) {
    return error("Invalid", address_wanted + " is not an address for tasks of " + vpc_id);
  }
  TRY(remove_task(account, vpc_id, id));
  const auto vpc = TRY(open_namespace(vpc_file(key(account, vpc_id))));
  sys::Fd link;
  if (with_link) link = TRY(link_namespace());
  const std::string task_end = network_device('t', id), link_end = network_device('l', id);
  TaskNetwork network;
  TRY(in_new_namespace([&](int ns) -> Result<void> {
    TRY(enter_namespace(vpc.get()));
    {
      auto netlink = TRY(Netlink::open());
      TRY(netlink.add_pair(task_end, "eth0", ns, kBridge, address));
      TRY(netlink.set_up(task_end));
    }
    if (link) {
      TRY(enter_namespace(link.get()));
      auto netlink = TRY(Netlink::open());
      TRY(netlink.add_pair(link_end, kLinkDevice, ns));
      TRY(netlink.set_up(link_end));
      TRY(netlink.add_host_route(kTaskLinkLocal, link_end));
      TRY(open_sockets(network, id));
    }
    TRY(enter_namespace(ns));
    auto netlink = TRY(Netlink::open());
    TRY(netlink.add_address("eth0", address, range.prefix));
    TRY(netlink.set_up("eth0"));
    TRY(netlink.add_default_route(range.bridge()));
    if (link) {
      TRY(netlink.add_address(kLinkDevice, kTaskLinkLocal, 32));
      TRY(netlink.set_up(kLinkDevice));
      TRY(netlink.add_host_route(kLinkLocal, kLinkDevice));
    }
    return keep_namespace(ns, task_file(id));
  }));
  TRY(guard(id, account, vpc_id, address_wanted, with_link));
  auto ns = TRY(open_namespace(task_file(id)));
  network.ns = std::move(ns);
  return network;
}

Result<sys::Fd> Networks::attach(const std::string& id, const std::string& account, const std::string& vpc,
                                 const std::string& address) {
  auto network = TRY(join(id, account, vpc, address, false));
  return std::move(network.ns);
}

Result<void> Networks::detach(const std::string& id, const std::string& account, const std::string& vpc) {
  return remove_task(account, vpc, id);
}

Result<sys::Fd> Networks::link_namespace() {
  const std::lock_guard lock(mutex_);
  return shared_locked("link");
}

Result<TaskNetwork> Networks::listen_again(const std::string& task) {
  if (!has_namespaces(stage_.tier())) return error("Unsupported", "a task keeps the sockets it was started with in this tier");
  TaskNetwork network;
  auto ns = TRY(open_namespace(task_file(task)));
  network.ns = std::move(ns);
  const auto link = TRY(link_namespace());
  TRY(in_namespace(link.get(), [&] { return open_sockets(network, task); }));
  return network;
}

Result<void> Networks::remove_task(const std::string& account, const std::string& vpc,
                                   const std::string& task) {
  if (!has_namespaces(stage_.tier())) return {};
  {
    const std::lock_guard lock(filter_mutex_);
    guarded_.erase(task);
  }
  auto ns = open_namespace(vpc_file(key(account, vpc)));
  if (ns) {
    // The namespace itself goes some time later; the device must go now, so that the address is free.
    TRY(in_namespace(ns->get(), [&]() -> Result<void> {
      auto netlink = TRY(Netlink::open());
      return netlink.remove(network_device('t', task));
    }));
  }
  auto link = open_namespace(folder_ + "/link");
  if (link) {
    TRY(in_namespace(link->get(), [&]() -> Result<void> {
      auto netlink = TRY(Netlink::open());
      return netlink.remove(network_device('l', task));
    }));
  }
  return drop_namespace(task_file(task));
}

Result<void> Networks::add_lonely(const std::string& id) {
  if (!has_namespaces(stage_.tier())) return {};
  TRY(drop_namespace(task_file(id)));
  return in_new_namespace([&](int ns) { return keep_namespace(ns, task_file(id)); });
}

Result<void> Networks::remove_lonely(const std::string& id) {
  return has_namespaces(stage_.tier()) ? drop_namespace(task_file(id)) : Result<void>();
}

}  // namespace bastide::runner
