// The requests about sandboxes.
#include "base/log.h"
#include "runner/own_thread.h"
#include "runner/role.h"

namespace bastide::runner {
namespace {

constexpr size_t kBatchBytes = 40 * 1024;
constexpr Millis kAnswer = 30 * kSecond;
constexpr Millis kLook = kSecond;  // at most this late where no change was seen
constexpr Millis kEndTimeout = 15 * kSecond;

}  // namespace

Result<net::Message> Role::sandbox_open(Link& link, net::Message& m) {
  const auto spec = TRY(internal::sandbox_spec(m.body));
  if (m.fds.size() > 1) return error("Invalid", "sandbox.open comes with one descriptor at most");
  sys::Fd workspace = m.fds.empty() ? sys::Fd() : std::move(m.fds[0]);
  TRY(on_own_thread([&] { return parts_->sandboxes->open(spec, std::move(workspace)); }));
  link.sandboxes.insert(spec.id);
  return net::Message{json::object(), {}};
}

// Output goes to the connection that asked; what it does not take is lost with it.
void Role::stream(Link& link, SpoolReader& reader, const std::string& id) {
  for (;;) {
    auto batch = net::offload_result([&] { return reader.read(kBatchBytes); });
    if (!batch || batch->lines.empty()) {
      if (!batch) log::warn("sandbox {}: {}", id, batch.error().message);
      return;
    }
    reader.advance(batch->end);
    std::string text;
    if (batch->dropped > 0) text += "... " + std::to_string(batch->dropped) + " lines were dropped ...\n";
    for (const auto& line : batch->lines) text += line.text + (line.partial ? "" : "\n");
    if (link.channel->closed()) continue;
    const auto told = link.channel->call(
        net::Message{json::object({{"kind", "sandbox.output"}, {"id", id}, {"text", text}}), {}}, kAnswer);
    if (!told) log::debug("sandbox {}: {}", id, told.error().message);
  }
}

Result<net::Message> Role::sandbox_exec(Link& link, net::Message& m) {
  const auto exec = TRY(internal::sandbox_exec(m.body));
  if (!link.sandboxes.contains(exec.id))
    return error("NotFound", "there is no sandbox " + exec.id + " of this connection");
  const std::string folder = TRY(net::offload_result([&] { return parts_->sandboxes->begin(exec); }));
  const auto wake = std::make_shared<net::Event>();
  uint64_t watch = 0;
  if (auto shim = parts_->sandboxes->shim(exec.id)) {
    auto watched = watcher_->watch(folder, std::move(*shim), [&loop = net::Loop::current(), wake] {
      loop.post([wake] { wake->set(); });
    });
    if (watched) watch = *watched;
  }
  SpoolReader reader(folder + "/spool", {});
  const Millis deadline = Clock::system().steady() + exec.timeout;
  bool timed_out = false, killed = false;
  std::optional<Ending> ending;
  while (!ending) {
    ending = net::offload_result([&] { return parts_->sandboxes->poll(exec.id); });
    stream(link, reader, exec.id);
    if (ending) break;
    const Millis left = deadline - Clock::system().steady();
    timed_out |= left <= 0;
    if (!killed && (timed_out || link.channel->closed())) {
      killed = true;
      if (auto sent = net::offload_result([&] { return parts_->sandboxes->kill(exec.id); }); !sent)
        log::warn("sandbox {}: {}", exec.id, sent.error().message);
    }
    if (killed && left < -kEndTimeout) break;
    wake->wait_for(killed ? 100 : std::clamp<Millis>(left, 1, kLook));
  }
  if (watch != 0) watcher_->forget(watch);
  TRY(net::offload_result([&] { return parts_->sandboxes->finish(exec.id); }));
  if (!ending) return error("Timeout", "the command does not end");
  return net::Message{
      json::object(
          {{"status", ending->status}, {"timed_out", timed_out}, {"out_of_memory", ending->oom_kills > 0}}),
      {}};
}

Result<net::Message> Role::sandbox_export(Link& link, net::Message& m) {
  const auto id = m.body.get("id");
  const auto what = m.body.get("what");
  if (!link.sandboxes.contains(id))
    return error("NotFound", "there is no sandbox " + id.substr(0, 64) + " of this connection");
  if (what != "workspace" && what != "changes")
    return error("Invalid", "what is exported is the workspace or the changes");
  const auto part = what == "workspace" ? Sandboxes::Part::workspace : Sandboxes::Part::changes;
  auto tar = TRY(on_own_thread([&] { return parts_->sandboxes->pack(id, part); }));
  net::Message out{json::object(), {}};
  out.fds.push_back(std::move(tar));
  return out;
}

Result<net::Message> Role::sandbox_close(Link& link, net::Message& m) {
  const auto id = m.body.get("id");
  if (!link.sandboxes.contains(id)) return net::Message{json::object(), {}};
  TRY(on_own_thread([&] { return parts_->sandboxes->close(id); }));
  link.sandboxes.erase(id);
  return net::Message{json::object(), {}};
}

}  // namespace bastide::runner
