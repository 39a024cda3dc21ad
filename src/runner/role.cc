#include "runner/role.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "runner/own_thread.h"
#include "runner/user_namespace.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr Millis kMaxStopTimeout = 10 * kMinute;
constexpr Millis kKillTimeout = 15 * kSecond;
constexpr Millis kPoll = 20;

net::Message answer(json::Value body = json::object()) { return net::Message{std::move(body), {}}; }

Result<sys::Fd> only_descriptor(net::Message& message) {
  if (message.fds.size() != 1)
    return error("Invalid", message.body.get("kind") + " comes with one descriptor");
  return std::move(message.fds[0]);
}

net::Message started(Tasks::Started task) {
  net::Message out = answer(to_json(task.state));
  if (task.credentials) out.fds.push_back(std::move(task.credentials));
  if (task.api) out.fds.push_back(std::move(task.api));
  return out;
}

}  // namespace

Role::Role(std::unique_ptr<Parts> parts, Error unavailable, std::vector<Guarantee> guarantees)
    : parts_(std::move(parts)), unavailable_(std::move(unavailable)), guarantees_(std::move(guarantees)) {}

const std::map<std::string, Role::Handler, std::less<>>& Role::handlers() {
  static const std::map<std::string, Handler, std::less<>> kHandlers{
      {"status", &Role::status},
      {"layers.missing", &Role::layers_missing},
      {"layers.put", &Role::layers_put},
      {"network.ensure", &Role::network_ensure},
      {"network.remove", &Role::network_remove},
      {"network.list", &Role::network_list},
      {"network.policy", &Role::network_policy},
      {"network.paths", &Role::network_paths},
      {"edge.namespace", &Role::edge_namespace},
      {"task.start", &Role::task_start},
      {"task.stop", &Role::task_stop},
      {"task.list", &Role::task_list},
      {"task.usage", &Role::task_usage},
      {"task.listeners", &Role::task_listeners},
      {"task.forget", &Role::task_forget},
      {"sandbox.open", &Role::sandbox_open},
      {"sandbox.exec", &Role::sandbox_exec},
      {"sandbox.export", &Role::sandbox_export},
      {"sandbox.close", &Role::sandbox_close},
  };
  return kHandlers;
}

void Role::connect(std::unique_ptr<net::Channel> channel) {
  const std::string role = channel->peer_role();
  if (role != "control" && role != "edge" && role != "serve") {
    log::warn("a connection as '{}' was refused", role);
    return;
  }
  auto link = std::make_shared<Link>();
  link->channel = std::move(channel);
  link->channel->on_message(
      [this, weak = std::weak_ptr<Link>(link), role](net::Message message) -> Result<net::Message> {
        const auto self = weak.lock();
        if (!self) return error("Closed", "the connection is closed");
        const auto kind = message.body.get("kind");
        if (role != "control" && kind != "status" && kind != "edge.namespace")
          return error("Denied", "'" + role + "' may not ask for " + kind);
        return handle(*self, std::move(message));
      });
  // The channel's own callbacks keep the link: it goes when the peer does.
  link->channel->on_close([this, link] {
    std::erase(links_, link);
    for (const auto& id : link->sandboxes) {
      auto closed = on_own_thread([&] { return parts_->sandboxes->close(id); });
      if (!closed) log::warn("sandbox {}: {}", id, closed.error().message);
    }
  });
  if (role != "control") return;
  links_.push_back(link);
  ++connection_;
  for (auto& [id, feed] : feeds_) feed->wake.set();
}

bool Role::idle() const { return !parts_ || !parts_->tasks->any_running(); }

Result<net::Message> Role::handle(Link& link, net::Message message) {
  const auto kind = message.body.get("kind");
  const auto found = handlers().find(kind);
  if (found == handlers().end())
    return error("Unknown", "runner knows no request '" + kind.substr(0, 100) + "'");
  if (!parts_ && kind != "status") return unavailable_;
  return (this->*found->second)(link, message);
}

Result<net::Message> Role::status(Link&, net::Message&) {
  json::Array list;
  for (const auto& g : guarantees_)
    list.push_back(json::object({{"name", g.name}, {"enforced", g.enforced}, {"why", g.why}}));
  return answer(json::object({{"tier", parts_ ? std::string(tier_name(parts_->stage.tier())) : "none"}, {"guarantees", list}}));
}

Result<net::Message> Role::layers_missing(Link&, net::Message& m) {
  json::Array missing;
  for (const auto& digest : m.body.get_array("digests")) {
    if (!digest.is_string() || !is_digest(digest.string())) return error("Invalid", "not a digest");
    if (!parts_->layers->has(digest.string())) missing.push_back(digest);
  }
  return answer(json::object({{"digests", missing}}));
}

Result<net::Message> Role::layers_put(Link&, net::Message& m) {
  auto blob = TRY(only_descriptor(m));
  TRY(on_own_thread(
      [&] { return parts_->layers->put(m.body.get("digest"), m.body.get("media_type"), std::move(blob)); }));
  return answer();
}

Result<net::Message> Role::network_ensure(Link&, net::Message& m) {
  const auto spec = TRY(internal::network_spec(m.body));
  TRY(net::offload_result([&] { return parts_->networks->ensure(spec); }));
  return answer();
}

Result<net::Message> Role::network_remove(Link&, net::Message& m) {
  const auto spec = TRY(internal::network_spec(m.body));
  if (parts_->tasks->uses_network(spec.account, spec.vpc) ||
      parts_->networks->attached(spec.account, spec.vpc))
    return error("Invalid", "tasks are in " + spec.vpc);
  TRY(net::offload_result([&] { return parts_->networks->remove(spec.account, spec.vpc); }));
  return answer();
}

Result<net::Message> Role::network_list(Link&, net::Message&) {
  json::Array list;
  for (const auto& spec : parts_->networks->list()) list.push_back(to_json(spec));
  return answer(json::object({{"networks", list}}));
}

namespace {

constexpr size_t kMaxPolicyBytes = 64u << 20;

Result<json::Value> body_of(net::Message& m) {
  const auto fd = TRY(only_descriptor(m));
  return net::offload_result([&]() -> Result<json::Value> {
    if (::lseek(fd.get(), 0, SEEK_SET) != 0) return sys::system_error("a policy");
    return json::parse(TRY(sys::read_all(fd.get(), kMaxPolicyBytes)));
  });
}

}  // namespace

Result<net::Message> Role::network_policy(Link&, net::Message& m) {
  const auto policy = TRY(internal::network_policy(TRY(body_of(m))));
  TRY(net::offload_result([&] { return parts_->networks->apply(policy); }));
  return answer();
}

Result<net::Message> Role::network_paths(Link&, net::Message& m) {
  const auto body = TRY(body_of(m));
  std::vector<internal::NetworkPath> paths;
  for (const auto& one : body.get_array("paths")) paths.push_back(TRY(internal::network_path(one)));
  TRY(net::offload_result([&] { return parts_->networks->set_paths(paths); }));
  return answer();
}

Result<net::Message> Role::edge_namespace(Link&, net::Message&) {
  if (!has_namespaces(parts_->stage.tier())) return answer(json::object({{"loopback", true}}));
  auto ns = TRY(net::offload_result([&] { return parts_->networks->edge_namespace(); }));
  struct stat st {};
  if (::fstat(ns.get(), &st) != 0) return sys::system_error("the edge's namespace");
  auto out = answer(json::object({{"inode", static_cast<int64_t>(st.st_ino)}}));
  out.fds.push_back(std::move(ns));
  if (parts_->stage.tier() == Tier::userns) {
    auto user = TRY(own_user_namespace());
    out.fds.push_back(std::move(user));
  }
  return out;
}

Result<net::Message> Role::task_start(Link&, net::Message& m) {
  const auto spec = TRY(internal::task_spec(m.body));
  auto task = TRY(net::offload_result([&] { return parts_->tasks->start(spec); }));
  add_feed(spec.id);
  return started(std::move(task));
}

Result<net::Message> Role::task_stop(Link&, net::Message& m) {
  const auto id = m.body.get("id");
  const Millis now = Clock::system().steady();
  const Millis soft =
      now + std::clamp<Millis>(m.body.get_int("timeout_ms", 30 * kSecond), 0, kMaxStopTimeout);
  TRY(net::offload_result([&] { return parts_->tasks->signal_stop(id); }));
  bool killed = false;
  for (;;) {
    const auto state = TRY(net::offload_result([&] { return parts_->tasks->observe(id); }));
    if (state.state == "stopped") return answer();
    const Millis at = Clock::system().steady();
    if (!killed && at >= soft) {
      TRY(net::offload_result([&] { return parts_->tasks->kill(id); }));
      killed = true;
    }
    if (at >= soft + kKillTimeout) return error("Timeout", "the task does not end");
    net::sleep_for(kPoll);
  }
}

Result<net::Message> Role::task_list(Link&, net::Message&) {
  const auto all = net::offload_result([&] { return parts_->tasks->list(); });
  json::Array list;
  for (const auto& state : all) list.push_back(to_json(state));
  return answer(json::object({{"tasks", list}}));
}

Result<net::Message> Role::task_usage(Link&, net::Message&) {
  return answer(json::object({{"tasks", json::Value(net::offload_result([&] { return parts_->tasks->usage(); }))}}));
}

Result<net::Message> Role::task_listeners(Link&, net::Message& m) {
  auto task = TRY(net::offload_result([&] { return parts_->tasks->listeners(m.body.get("id")); }));
  net::Message out = started(std::move(task));
  return out;
}

Result<net::Message> Role::task_forget(Link&, net::Message& m) {
  const auto id = m.body.get("id");
  TRY(net::offload_result([&] { return parts_->tasks->forget(id); }));
  const auto feed = feeds_.find(id);
  if (feed != feeds_.end()) {
    feed->second->over = true;
    feed->second->wake.set();
  }
  return answer();
}

}  // namespace bastide::runner
