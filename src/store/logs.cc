// How it works: append() joins a batch; the first of a batch writes it to the write-ahead file with one
// fdatasync and puts its events into the memory of their groups. A thread turns memory into compressed blocks
// of segments, when a group has gathered kBlockRaw or when a new write-ahead file was begun, and then removes
// the old one. After a crash, events of write-ahead files beyond what a group's segments hold are memory
// again.
//
// Locks: `mutex` guards everything but LogGroup objects, which have one each; `mutex` is never held while
// waiting for a group's, and the flusher alone appends blocks.
#include "store/logs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <queue>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "store/log_group.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr size_t kBlockRaw = 256 << 10;  // bytes of a group in memory that become a block
constexpr size_t kMaxBlock = 1 << 20;    // raw bytes of one block, about
constexpr int64_t kWalBytes = 4 << 20;   // then a new write-ahead file
constexpr size_t kMaxMemory = 16 << 20;  // of all groups; appends wait beyond it
constexpr size_t kMaxAppend = 16 << 20;  // bytes of one append
constexpr size_t kMaxWalRead = 256 << 20;
constexpr size_t kEventOverhead = 64;

size_t weight(const LogEvent& e) { return e.message.size() + e.stream.size() + kEventOverhead; }

}  // namespace

struct Logs::Impl {
  struct Group {
    std::string name;
    std::vector<LogEvent> memory;    // by sequence
    std::vector<LogEvent> flushing;  // before `memory`; becomes blocks now
    size_t bytes = 0;                // of both
    std::mutex disk_mutex;
    std::unique_ptr<LogGroup> disk;  // opened on first use
  };
  struct Batch {
    std::string bytes;
    std::vector<std::pair<std::string, std::vector<LogEvent>>> items;
    bool done = false;
    Result<void> result;
  };

  std::string folder;
  Clock* clock = nullptr;
  std::mutex mutex;
  std::condition_variable batch_done, wake_flusher, memory_freed;
  std::map<std::string, std::shared_ptr<Group>> groups;
  std::shared_ptr<Batch> pending = std::make_shared<Batch>();
  bool leading = false;
  sys::Fd wal;
  std::string wal_path;
  int64_t wal_number = 0;
  int64_t wal_bytes = 0;
  int64_t next_sequence = 1;
  std::vector<std::string> old_wals;
  size_t memory_bytes = 0;
  std::string flush_error;  // of the last flush; empty: it went well
  bool stopping = false;
  std::thread flusher;

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake_flusher.notify_all();
    memory_freed.notify_all();
    if (flusher.joinable()) flusher.join();
  }

  std::string group_folder(const std::string& group) const {
    return folder + "/groups/" + sha256_hex(group).substr(0, 40);
  }
  std::shared_ptr<Group> group(const std::string& name) {  // under mutex
    auto& g = groups[name];
    if (!g) {
      g = std::make_shared<Group>();
      g->name = name;
    }
    return g;
  }
  Result<LogGroup*> disk(Group& g) {  // under its disk_mutex
    if (!g.disk) g.disk = TRY(LogGroup::open(group_folder(g.name), g.name));
    return g.disk.get();
  }

  Result<void> begin_wal();
  Result<void> replay();
  Result<void> replay_file(const std::string& path);
  void lead(std::unique_lock<std::mutex>& lock);
  Result<void> write_batch(const Batch& batch);
  void remember(Batch& batch);
  void flush_loop();
  bool flush_due();
  Result<void> flush_group(const std::shared_ptr<Group>& g);
  Result<void> flush_all();
};

Result<std::unique_ptr<Logs>> Logs::open(const std::string& folder, Clock& clock) {
  TRY(sys::make_folders(folder + "/groups"));
  auto logs = std::make_unique<Logs>();
  logs->impl_ = std::make_shared<Impl>();
  Impl& impl = *logs->impl_;
  impl.folder = folder;
  impl.clock = &clock;
  TRY(impl.replay());
  TRY(impl.begin_wal());
  impl.flusher = std::thread([&impl] { impl.flush_loop(); });
  return logs;
}

Logs::Logs() = default;
Logs::~Logs() = default;

Result<void> Logs::Impl::replay() {
  const auto names = TRY(sys::list_folder(folder));
  for (const auto& name : names) {
    if (!name.starts_with("wal-")) continue;
    auto number = unhex(std::string_view(name).substr(4));
    if (!number || number->size() != 8) continue;
    int64_t n = 0;
    for (const char c : *number) n = (n << 8) | static_cast<uint8_t>(c);
    wal_number = std::max(wal_number, n);
    const std::string path = folder + "/" + name;
    TRY(replay_file(path));
    old_wals.push_back(path);
  }
  return {};
}

Result<void> Logs::Impl::replay_file(const std::string& path) {
  const std::string text = TRY(sys::read_file(path, kMaxWalRead));
  std::string_view rest = text;
  const auto first = decode_wal_header(rest);
  if (!first) return {};  // made, and cut before its header was on disk: it holds nothing acknowledged
  next_sequence = std::max(next_sequence, *first);
  rest.remove_prefix(kWalHeader);
  while (!rest.empty()) {
    size_t taken = 0;
    auto record = decode_record(rest, &taken);
    if (!record) {
      log::warn("logs: {} bytes of an unfinished append ignored in {}", rest.size(), path);
      break;
    }
    rest.remove_prefix(taken);
    auto g = group(record->group);
    auto* on_disk = TRY(disk(*g));
    for (auto& e : record->events) {
      next_sequence = std::max(next_sequence, e.sequence + 1);
      if (e.sequence <= on_disk->flushed_sequence() || !on_disk->visible(e)) continue;
      g->bytes += weight(e);
      memory_bytes += weight(e);
      g->memory.push_back(std::move(e));
    }
  }
  return {};
}

Result<void> Logs::Impl::begin_wal() {
  const std::string path = fmt::format("{}/wal-{:016x}", folder, wal_number + 1);
  sys::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return sys::system_error(path);
  TRY(sys::write_all(fd.get(), encode_wal_header(next_sequence)));
  if (::fdatasync(fd.get()) != 0) return sys::system_error(path);
  TRY(sys::sync_folder(folder));
  if (!wal_path.empty()) old_wals.push_back(wal_path);
  wal = std::move(fd);
  wal_path = path;
  ++wal_number;
  wal_bytes = kWalHeader;
  return {};
}

Result<void> Logs::append(const std::string& group, const std::string& stream, std::vector<LogEvent> events) {
  if (events.empty()) return {};
  Impl& impl = *impl_;
  size_t bytes = 0;
  for (const auto& e : events) bytes += e.message.size() + kEventOverhead;
  if (bytes > kMaxAppend) return error("TooLarge", "more than 16 MiB of log events at once");
  const Millis now = impl.clock->wall();

  std::unique_lock lock(impl.mutex);
  impl.memory_freed.wait(
      lock, [&] { return impl.stopping || impl.memory_bytes < kMaxMemory || !impl.flush_error.empty(); });
  if (impl.stopping) return error("Closed", "the log store is closing");
  if (impl.memory_bytes >= kMaxMemory) return error("the log store cannot write: " + impl.flush_error);
  for (auto& e : events) {
    e.sequence = impl.next_sequence++;
    if (e.ingested == 0) e.ingested = now;
    e.stream = stream;
  }
  const auto batch = impl.pending;
  encode_record(batch->bytes, group, stream, events);
  batch->items.emplace_back(group, std::move(events));
  while (!batch->done) {
    if (impl.leading) {
      impl.batch_done.wait(lock);
    } else {
      impl.lead(lock);
    }
  }
  return batch->result;
}

// Writes the pending batch, which the caller may have joined.
void Logs::Impl::lead(std::unique_lock<std::mutex>& lock) {
  leading = true;
  const auto batch = std::exchange(pending, std::make_shared<Batch>());
  lock.unlock();
  auto result = write_batch(*batch);
  lock.lock();
  if (result) {
    remember(*batch);
  } else {
    log::error("logs: {}", result.error().message);
  }
  batch->result = std::move(result);
  batch->done = true;
  if (!wal || wal_bytes > kWalBytes) {
    if (auto begun = begin_wal(); !begun) log::error("logs: {}", begun.error().message);
  }
  leading = false;
  batch_done.notify_all();
  wake_flusher.notify_one();
}

// The leader alone uses `wal` and `wal_bytes`.
Result<void> Logs::Impl::write_batch(const Batch& batch) {
  if (!wal) return error("the write-ahead file of the log store is broken");
  auto written = sys::write_all(wal.get(), batch.bytes);
  if (written && ::fdatasync(wal.get()) != 0) written = sys::system_error(wal_path);
  if (written) {
    wal_bytes += static_cast<int64_t>(batch.bytes.size());
    return {};
  }
  // Records behind a torn one would not be found again: cut it off, or write no more to this file.
  if (::ftruncate(wal.get(), wal_bytes) != 0 || ::lseek(wal.get(), wal_bytes, SEEK_SET) < 0) wal.reset();
  return written;
}

void Logs::Impl::remember(Batch& batch) {
  for (auto& [name, events] : batch.items) {
    auto g = group(name);
    for (auto& e : events) {
      g->bytes += weight(e);
      memory_bytes += weight(e);
      g->memory.push_back(std::move(e));
    }
  }
}

bool Logs::Impl::flush_due() {
  if (!old_wals.empty()) return true;
  return std::any_of(groups.begin(), groups.end(),
                     [](const auto& g) { return g.second->bytes >= kBlockRaw; });
}

void Logs::Impl::flush_loop() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (!flush_error.empty()) {
      wake_flusher.wait_for(lock, std::chrono::seconds(1), [this] { return stopping; });
    } else {
      wake_flusher.wait(lock, [this] { return stopping || flush_due(); });
    }
    if (stopping) return;
    lock.unlock();
    auto flushed = flush_all();
    lock.lock();
    flush_error = flushed ? "" : flushed.error().message;
    if (!flushed) log::error("logs: {}", flush_error);
    memory_freed.notify_all();
  }
}

Result<void> Logs::Impl::flush_all() {
  std::vector<std::shared_ptr<Group>> due;
  std::vector<std::string> finished;
  {
    const std::lock_guard lock(mutex);
    finished = old_wals;
    for (const auto& [name, g] : groups) {
      if (g->bytes >= kBlockRaw || (!finished.empty() && g->bytes > 0)) due.push_back(g);
    }
  }
  for (const auto& g : due) TRY(flush_group(g));
  if (finished.empty()) return {};
  for (const auto& path : finished) TRY(sys::remove_file(path));
  const std::lock_guard lock(mutex);
  std::erase_if(old_wals, [&](const auto& p) {
    return std::find(finished.begin(), finished.end(), p) != finished.end();
  });
  return {};
}

Result<void> Logs::Impl::flush_group(const std::shared_ptr<Group>& g) {
  const std::lock_guard disk_lock(g->disk_mutex);
  auto* on_disk = TRY(disk(*g));
  {
    const std::lock_guard lock(mutex);
    g->flushing.insert(g->flushing.end(), std::make_move_iterator(g->memory.begin()),
                       std::make_move_iterator(g->memory.end()));
    g->memory.clear();
    g->memory.shrink_to_fit();
  }
  // Only this thread changes `flushing`, so it may be read without the lock.
  auto write = [&]() -> Result<void> {
    std::vector<LogEvent> block;
    size_t bytes = 0;
    for (const auto& e : g->flushing) {
      if (e.sequence <= on_disk->flushed_sequence() || !on_disk->visible(e)) continue;
      block.push_back(e);
      bytes += weight(e);
      if (bytes < kMaxBlock) continue;
      TRY(on_disk->append_block(block));
      block.clear();
      bytes = 0;
    }
    if (!block.empty()) TRY(on_disk->append_block(block));
    return {};
  };
  TRY(write());
  const std::lock_guard lock(mutex);
  for (const auto& e : g->flushing) {
    g->bytes -= weight(e);
    memory_bytes -= weight(e);
  }
  g->flushing.clear();
  g->flushing.shrink_to_fit();
  return {};
}

Result<void> Logs::scan(const Query& query, const std::function<bool(const LogEvent&)>& f) {
  Impl& impl = *impl_;
  const std::set<std::string, std::less<>> streams(query.streams.begin(), query.streams.end());
  uint64_t wanted_bits = 0;
  const bool one_stream = query.streams.size() == 1;
  if (one_stream) wanted_bits = stream_bits(query.streams[0]);
  auto wanted = [&](const LogEvent& e) {
    return e.time >= query.start && e.time < query.end && e.sequence > query.after_sequence &&
           (streams.empty() || streams.contains(e.stream));
  };

  std::shared_ptr<Impl::Group> g;
  std::vector<LogEvent> memory;
  {
    const std::lock_guard lock(impl.mutex);
    const auto it = impl.groups.find(query.group);
    if (it != impl.groups.end()) {
      g = it->second;
    } else if (sys::exists(impl.group_folder(query.group))) {
      g = impl.group(query.group);
    } else {
      return {};
    }
    for (const auto* events : {&g->flushing, &g->memory}) {
      std::copy_if(events->begin(), events->end(), std::back_inserter(memory), wanted);
    }
  }
  std::vector<BlockRef> blocks;
  std::map<std::string, int64_t> dropped;
  int64_t dropped_below = 0;
  {
    const std::lock_guard lock(g->disk_mutex);
    auto* on_disk = TRY(impl.disk(*g));
    blocks = on_disk->blocks();
    dropped = on_disk->dropped_streams();
    dropped_below = on_disk->dropped_below();
    // What became a block meanwhile is read from it.
    std::erase_if(memory, [&](const LogEvent& e) { return e.sequence <= on_disk->flushed_sequence(); });
  }
  auto visible = [&](const LogEvent& e) {
    if (e.sequence < dropped_below) return false;
    const auto it = dropped.empty() ? dropped.end() : dropped.find(e.stream);
    return it == dropped.end() || e.sequence >= it->second;
  };
  std::erase_if(blocks, [&](const BlockRef& r) {
    const Block& b = r.block;
    return b.max_time < query.start || b.min_time >= query.end || b.max_sequence <= query.after_sequence ||
           b.max_sequence < dropped_below || (b.filter & wanted_bits) != wanted_bits;
  });

  const bool newest = query.newest_first;
  auto before = [newest](const LogEvent& a, const LogEvent& b) {
    const auto ka = std::pair(a.time, a.sequence), kb = std::pair(b.time, b.sequence);
    return newest ? kb < ka : ka < kb;
  };
  std::sort(blocks.begin(), blocks.end(), [newest](const BlockRef& a, const BlockRef& b) {
    return newest ? a.block.max_time > b.block.max_time : a.block.min_time < b.block.min_time;
  });
  struct Source {
    std::vector<LogEvent> events;
    size_t at = 0;
  };
  std::vector<std::unique_ptr<Source>> sources;
  auto later = [&](const Source* a, const Source* b) { return before(b->events[b->at], a->events[a->at]); };
  std::priority_queue<Source*, std::vector<Source*>, decltype(later)> heap(later);
  auto add = [&](std::vector<LogEvent> events) {
    std::erase_if(events, [&](const LogEvent& e) { return !wanted(e) || !visible(e); });
    if (events.empty()) return;
    std::sort(events.begin(), events.end(), before);
    sources.push_back(std::make_unique<Source>(Source{std::move(events)}));
    heap.push(sources.back().get());
  };
  add(std::move(memory));
  size_t next = 0;
  while (true) {
    // Every block that may hold an event before the best one at hand must be open.
    while (next < blocks.size()) {
      const Block& b = blocks[next].block;
      if (!heap.empty()) {
        const Millis t = heap.top()->events[heap.top()->at].time;
        if (newest ? b.max_time < t : b.min_time > t) break;
      }
      auto events = TRY(read_block(blocks[next]));
      ++next;
      add(std::move(events));
    }
    if (heap.empty()) return {};
    Source* s = heap.top();
    heap.pop();
    if (!f(s->events[s->at])) return {};
    if (++s->at < s->events.size()) {
      heap.push(s);
    } else {
      std::vector<LogEvent>().swap(s->events);
    }
  }
}

Result<void> Logs::drop_before(const std::string& group, Millis time) {
  std::shared_ptr<Impl::Group> g;
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->groups.contains(group) && !sys::exists(impl_->group_folder(group))) return {};
    g = impl_->group(group);
  }
  const std::lock_guard lock(g->disk_mutex);
  auto* on_disk = TRY(impl_->disk(*g));
  return on_disk->drop_before(time);
}

Result<void> Logs::drop_stream(const std::string& group, const std::string& stream) {
  std::shared_ptr<Impl::Group> g;
  int64_t sequence = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    g = impl_->group(group);
    sequence = impl_->next_sequence;
  }
  const std::lock_guard lock(g->disk_mutex);
  auto* on_disk = TRY(impl_->disk(*g));
  return on_disk->drop_stream(stream, sequence);
}

Result<void> Logs::drop_group(const std::string& group) {
  std::shared_ptr<Impl::Group> g;
  int64_t sequence = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->groups.contains(group) && !sys::exists(impl_->group_folder(group))) return {};
    g = impl_->group(group);
    sequence = impl_->next_sequence;
  }
  const std::lock_guard lock(g->disk_mutex);
  auto* on_disk = TRY(impl_->disk(*g));
  return on_disk->drop_all(sequence);
}

Result<int64_t> Logs::stored_bytes(const std::string& group) {
  std::shared_ptr<Impl::Group> g;
  int64_t total = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->groups.contains(group) && !sys::exists(impl_->group_folder(group))) return int64_t{0};
    g = impl_->group(group);
    total = static_cast<int64_t>(g->bytes);
  }
  const std::lock_guard lock(g->disk_mutex);
  auto* on_disk = TRY(impl_->disk(*g));
  return total + on_disk->bytes();
}

}  // namespace bastide::store
