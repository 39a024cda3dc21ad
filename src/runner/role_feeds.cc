// What runner tells control by itself. A task's feed is one fiber: it tells what the task printed, then how
// it stands, each again and again until control has taken it; the place up to which output was taken is on
// disk.
#include "base/bytes.h"
#include "base/log.h"
#include "runner/role.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr size_t kBatchBytes = 40 * 1024;  // of a message's 64 KiB
constexpr Millis kAnswer = 30 * kSecond;
constexpr Millis kRetry = kSecond;
constexpr Millis kResync = 30 * kSecond;

SpoolPlace read_place(const std::string& file) {
  const auto text = sys::read_file(file, 128);
  const auto parts = split(trim(text ? *text : ""), ' ');
  if (parts.size() != 2) return {};
  const auto offset = parse_int(parts[0]).value_or(0);
  const auto sequence = parse_int(parts[1]).value_or(0);
  return {static_cast<uint64_t>(offset), static_cast<uint64_t>(sequence)};
}

}  // namespace

Result<void> Role::start() {
  if (!parts_) return {};
  auto watcher = TRY(Watcher::start());
  watcher_ = std::move(watcher);
  for (const auto& task : parts_->tasks->list()) add_feed(task.id);
  return {};
}

void Role::add_feed(const std::string& id) {
  if (feeds_.contains(id)) return;
  auto one = std::make_shared<Feed>();
  one->id = id;
  const std::string folder = parts_->tasks->folder(id);
  one->reader = SpoolReader(folder + "/spool", read_place(folder + "/taken"));
  auto shim = parts_->tasks->shim(id);
  if (shim) {
    auto watched = watcher_->watch(folder, std::move(*shim),
                                   [&loop = net::Loop::current(), weak = std::weak_ptr<Feed>(one)] {
                                     const auto feed = weak.lock();
                                     if (!feed || feed->woken.exchange(true)) return;
                                     loop.post([weak] {
                                       if (const auto woken = weak.lock()) woken->wake.set();
                                     });
                                   });
    if (watched)
      one->watch = *watched;
    else
      log::warn("task {}: {}", id, watched.error().message);
  }
  feeds_[id] = one;
  net::spawn([this, one] { feed(one); });
}

void Role::feed(std::shared_ptr<Feed> one) {
  while (!one->over) {
    one->woken = false;
    const auto state = net::offload_result([&] { return parts_->tasks->observe(one->id); });
    if (!state && state.error().code == "NotFound") break;
    if (!state) log::warn("task {}: {}", one->id, state.error().message);
    if (!state || links_.empty()) {
      one->wake.wait_for(state ? kResync : kRetry);
      continue;
    }
    if (tell_output(*one)) continue;
    if (!tell_state(*one, *state)) {
      one->wake.wait_for(kRetry);
      continue;
    }
    one->wake.wait_for(kResync);
  }
  watcher_->forget(one->watch);
  feeds_.erase(one->id);
}

Result<void> Role::tell(json::Value event) {
  const auto links = links_;
  Error last = error("Closed", "no control is connected");
  for (auto link = links.rbegin(); link != links.rend(); ++link) {
    auto taken = (*link)->channel->call(net::Message{event, {}}, kAnswer);
    if (taken) return {};
    last = std::move(taken).error();
  }
  return last;
}

bool Role::tell_output(Feed& one) {
  auto batch = net::offload_result([&] { return one.reader.read(kBatchBytes); });
  if (!batch) {
    log::warn("task {}: {}", one.id, batch.error().message);
    return false;
  }
  if (batch->lines.empty()) return false;
  json::Array lines;
  for (const auto& line : batch->lines)
    lines.push_back(json::object({{"time", line.time}, {"text", line.text}}));
  const auto told = tell(json::object({{"kind", "task.output"},
                                       {"id", one.id},
                                       {"sequence", static_cast<int64_t>(batch->lines.front().sequence)},
                                       {"dropped", static_cast<int64_t>(batch->dropped)},
                                       {"lines", lines}}));
  if (!told) {
    one.wake.wait_for(kRetry);
    return true;
  }
  one.reader.advance(batch->end);
  const std::string place =
      std::to_string(batch->end.offset) + " " + std::to_string(batch->end.sequence) + "\n";
  const std::string file = parts_->tasks->folder(one.id) + "/taken";
  const auto kept =
      net::offload_result([&] { return one.over ? Result<void>() : sys::write_file(file, place); });
  if (!kept) log::warn("task {}: {}", one.id, kept.error().message);
  return true;
}

bool Role::tell_state(Feed& one, const internal::TaskState& state) {
  const uint64_t connection = connection_;
  if (one.reported == state.state && one.reported_to == connection) return true;
  auto event = to_json(state);
  event["kind"] = "task.changed";
  if (const auto told = tell(std::move(event)); !told) return false;
  one.reported = state.state;
  one.reported_to = connection;
  return true;
}

}  // namespace bastide::runner
