#include "edge/edge.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "edge/explain.h"
#include "edge/fetch.h"
#include "internal/loopback.h"
#include "sys/file.h"
#include "sys/privilege.h"

namespace bastide::edge {
namespace {

constexpr Millis kDrainFor = 9 * kSecond;  // serve waits 10 s before it kills
constexpr Millis kSweepEvery = 10 * kSecond;
constexpr size_t kMaxGuests = 16;

// The calling thread's alone; the listening sockets stay where they were made.
Result<void> enter_namespace(const sys::Fd& fd) {
  if (::setns(fd.get(), CLONE_NEWNET) != 0) return sys::system_error("setns to the targets' network");
  return {};
}

// Where runner has no rights on the host: its network can be entered from its user namespace only.
Result<void> enter_user_namespace(const sys::Fd& fd) {
  if (::setns(fd.get(), CLONE_NEWUSER) != 0) return sys::system_error("setns to the runner's user namespace");
  return {};
}

// From its start, wherever others who share the descriptor have read to.
Result<std::string> read_snapshot(int fd) {
  std::string out;
  std::vector<char> buffer(64u << 10);
  while (true) {
    auto n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(out.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::system_error("read of a snapshot");
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > internal::kMaxEdgeSnapshotBytes)
      return error("TooLarge", "the snapshot is too large");
    out.append(buffer.data(), static_cast<size_t>(n));
  }
}

void use_loopback(internal::EdgeSnapshot& snapshot) {
  for (auto& group : snapshot.target_groups) {
    for (auto& target : group.targets) {
      in_addr address{};
      char text[INET_ADDRSTRLEN];
      if (::inet_pton(AF_INET, target.address.c_str(), &address) != 1) continue;
      address.s_addr = htonl(internal::loopback_address(ntohl(address.s_addr)));
      if (::inet_ntop(AF_INET, &address, text, sizeof text)) target.address = text;
    }
  }
}

std::string kept_path(const std::string& home) { return home + "/edge/snapshot.json"; }

}  // namespace

Edge::Edge(EdgeOptions options, Clock& clock)
    : options_(std::move(options)), core_(std::make_shared<Core>(clock)) {
  core_->limits = options_.limits;
  const auto home = options_.home.empty() ? std::string() : options_.home + "/edge/cache";
  core_->cdn = std::make_shared<Cdn>(clock, home, options_.cache);
  auto& origins = core_->cdn->origins.options();
  origins.s3_socket = options_.home + "/s3.sock";
  origins.host_network = std::move(options_.host_network);
  std::weak_ptr<Core> weak = core_;
  origins.is_balancer = [weak](bool https, const std::string& host) {
    auto core = weak.lock();
    return core && core->config && core->config->has_listener(https, host);
  };
  origins.serve = [weak](net::Socket socket, bool https, std::string client) {
    if (auto core = weak.lock()) serve_inside(core, std::move(socket), https, std::move(client));
  };
}

Edge::~Edge() {
  *alive_ = false;
  core_->cdn->cache.stop();
}

Result<void> Edge::start() {
  if (options_.netns) TRY(enter_namespace(options_.netns));
  for (const auto& [name, fd] : options_.listeners) {
    if (name != "https" && name != "http") return error("edge: no socket is called '" + name + "'");
    auto port = TRY(net::local_port(fd.get()));
    (name == "https" ? core_->https_port : core_->http_port) = port;
  }
  // What serve kept is newer than what is on disk, or the same.
  std::string kept;
  if (options_.snapshot) {
    auto text = read_snapshot(options_.snapshot.get());
    if (text) kept = std::move(*text);
  }
  if (kept.empty() && !options_.home.empty()) {
    auto text = sys::read_file(kept_path(options_.home), internal::kMaxEdgeSnapshotBytes);
    if (text) kept = std::move(*text);
  }
  if (!kept.empty()) {
    auto applied = apply(kept, false);
    if (!applied) log::warn("edge: the kept snapshot is not usable: {}", applied.error().message);
  }
  if (!options_.home.empty()) {
    if (auto opened = core_->cdn->cache.start(); !opened)
      log::warn("edge: the cache is in memory alone: {}", opened.error().message);
  }
  for (auto& [name, fd] : options_.listeners) {
    bool https = name == "https";
    acceptors_.emplace_back(std::move(fd), [core = core_, https](net::Socket socket) {
      serve_connection(core, std::move(socket), https);
    });
  }
  options_.listeners.clear();
  if (options_.channel) {
    channels_ = std::make_unique<net::ChannelListener>(
        std::move(options_.channel), "edge",
        [this](std::unique_ptr<net::Channel> channel) { serve_channel(std::move(channel)); });
  }
  net::spawn([core = core_] { core->reporter.run(); });
  net::spawn([this, alive = alive_] {
    while (*alive && !core_->draining) {
      sweep();
      net::sleep_for(kSweepEvery);
    }
  });
  return {};
}

void Edge::sweep() {
  core_->cdn->origins.sweep(core_->clock.steady());
  if (!core_->config) return;
  for (const auto& g : core_->config->groups()) {
    for (const auto& t : g->targets) t->drop_idle(core_->clock.steady() - kIdleToTarget);
  }
}

void Edge::serve_channel(std::unique_ptr<net::Channel> channel) {
  std::shared_ptr<net::Channel> shared = std::move(channel);
  const bool control = shared->peer_role() == "control";
  shared->on_message([this, control, alive = alive_](net::Message message) -> Result<net::Message> {
    if (!*alive) return error("Closed", "edge is going");
    const auto kind = message.body.get("kind");
    if (!control && kind != "status" && !kind.starts_with("cdn."))
      return error("Denied", "only control changes what edge serves");
    return answer(std::move(message));
  });
  if (control) {
    core_->reporter.connected(std::move(shared));
    return;
  }
  std::erase_if(guests_, [](const auto& guest) { return guest->closed(); });
  if (guests_.size() < kMaxGuests) guests_.push_back(std::move(shared));
}

Result<net::Message> Edge::answer(net::Message message) {
  auto kind = message.body.get("kind");
  net::Message out;
  if (kind == "snapshot") {
    if (message.fds.size() != 1) return error("Invalid", "a snapshot comes with one descriptor");
    auto text = TRY(read_snapshot(message.fds[0].get()));
    auto number = TRY(apply(text, true));
    out.body = json::object({{"number", number}});
    return out;
  }
  if (kind == "namespace") {
    if (message.fds.size() != 1) return error("Invalid", "a namespace comes with one descriptor");
    TRY(enter_namespace(message.fds[0]));
    out.body = json::object();
    return out;
  }
  if (kind == "cdn.stats") {
    out.body = cdn_stats(*core_);
    return out;
  }
  if (kind == "cdn.explain") {
    out.body = TRY(cdn_explain(*core_, message.body));
    return out;
  }
  if (kind == "status") {
    out.body = json::object({{"number", core_->config ? core_->config->number() : int64_t{0}},
                             {"connections", core_->connections},
                             {"requests", core_->requests},
                             {"dropped", core_->reporter.dropped()}});
    return out;
  }
  return error("Invalid", "edge has no request '" + kind + "'");
}

Result<int64_t> Edge::apply(const std::string& text, bool keep) {
  const auto turn = ++received_;
  auto built = net::offload_result([&]() -> Result<std::shared_ptr<Config>> {
    auto value = TRY(json::parse(text));
    auto snapshot = TRY(internal::edge_snapshot(value));
    if (options_.loopback) use_loopback(snapshot);
    auto config = TRY(Config::build(std::move(snapshot)));
    if (keep && !options_.home.empty()) {
      TRY(sys::make_folders(options_.home + "/edge"));
      TRY(sys::write_file(kept_path(options_.home), text));
    }
    return config;
  });
  if (!built) return std::move(built).error();
  auto config = std::move(*built);
  if (turn != received_) return error("Invalid", "a later snapshot came meanwhile");
  config->adopt_targets(core_->config.get());
  auto before = std::move(core_->config);
  core_->config = config;
  if (before) {
    for (const auto& g : before->groups()) {
      for (const auto& t : g->targets) {
        if (t->gone) core_->reporter.forget(t->group_id, t->spec.id);
      }
    }
  }
  auto& origins = core_->cdn->origins;
  if (std::exchange(origins.options().allow_private, config->private_origins()) && !config->private_origins())
    origins.sweep(INT64_MAX);  // connections to what is no longer allowed
  if (!config->distributions().empty()) origins.set_authorities(config->authority());
  start_checks(core_);
  log::info("edge: snapshot {} is in use", config->number());
  return config->number();
}

void Edge::drain() {
  acceptors_.clear();
  core_->draining = true;
  for (auto* socket : core_->idle) socket->abort();
  const Millis deadline = core_->clock.steady() + kDrainFor;
  while (core_->connections > 0 && core_->clock.steady() < deadline) net::sleep_for(20);
  core_->cdn->cache.stop();
  core_->reporter.stop();
  if (core_->config) {
    for (const auto& g : core_->config->groups()) {
      for (const auto& t : g->targets) t->wake.set();
    }
  }
}

int run_edge(EdgeOptions options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // inherited by every thread: one of them waits
  ::signal(SIGPIPE, SIG_IGN);
  // Before any thread is there, so that all of them stand in the targets' network.
  if (options.userns) {
    if (auto entered = enter_user_namespace(options.userns); !entered) {
      log::error("edge: {}", entered.error().message);
      return 1;
    }
  }
  if (options.netns) {
    options.host_network = std::make_shared<HostNetwork>(static_cast<bool>(options.userns));
    auto entered = enter_namespace(options.netns);
    if (!entered) {
      log::error("edge: {}", entered.error().message);
      return 1;
    }
    options.netns.reset();
  }
  if (options.userns) {
    options.userns.reset();
    options.become = 0;  // that user namespace has no other users
    if (auto dropped = sys::drop_capabilities(); !dropped) {
      log::error("edge: {}", dropped.error().message);
      return 1;
    }
  }
  if (options.become != 0) {
    if (auto became = sys::become_user(options.become, options.become); !became) {
      log::error("edge: {}", became.error().message);
      return 1;
    }
  }
  int status = 0;
  net::Loop loop;
  Edge edge(std::move(options));
  std::thread waiter;
  loop.spawn([&] {
    auto started = edge.start();
    if (!started) {
      log::error("edge: {}", started.error().message);
      status = 1;
      loop.stop();
    }
  });
  waiter = std::thread([&] {
    int got = 0;
    sigwait(&signals, &got);
    loop.spawn([&] {
      edge.drain();
      loop.stop();
    });
  });
  loop.run();
  if (status != 0) ::kill(::getpid(), SIGTERM);  // ends the waiter
  waiter.join();
  return status;
}

}  // namespace bastide::edge
