// How it works: append() joins a batch; the first of a batch writes it to the write-ahead file with one
// fdatasync and puts its cells into the memory of their series. A thread turns memory into a segment every
// two hours or when there is much, merges the segments of a day, and rolls up and drops what is old. A
// segment names those that it replaces, so that a crash in between shows none of them twice.
//
// Locks: `work` is held by flush and compaction, before `mutex`; `mutex` guards the rest and no file is read
// under it.
#include "store/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/bytes.h"
#include "base/log.h"
#include "store/metrics_format.h"
#include "store/metrics_segments.h"
#include "store/metrics_wal.h"
#include "sys/file.h"

namespace bastide::store {

using metrics::Segment;
using metrics::Segments;

namespace {

constexpr size_t kManyCells = 250'000;   // in memory, that are moved to a segment
constexpr size_t kMaxCells = 1'000'000;  // beyond it appends are refused
constexpr int64_t kMaxWal = 64 << 20;
constexpr size_t kMaxSeries = 1'000'000;
constexpr Millis kFlushEvery = 2 * kHour;
constexpr Millis kCompactEvery = 10 * kMinute;
constexpr auto kRound = std::chrono::seconds(20);

// The finest that is kept of something so old.
int64_t resolution_at(Millis age) {
  if (age > kFiveMinuteRetention) return 3600;
  if (age > kMinuteRetention) return 300;
  return age > kFineRetention ? 60 : 1;
}

}  // namespace

struct Metrics::Impl {
  struct Series {
    uint64_t id = 0;
    MetricName name;
    std::string key;
    bool logged = false;  // its definition is in a write-ahead file, or in the catalogue
    bool catalogued = false;
    std::vector<MetricCell> memory, flushing;  // by time
    Millis last = 0;
  };
  struct Batch {
    std::string bytes;
    std::vector<std::pair<Series*, MetricCell>> cells;
    std::vector<Series*> defined;
    bool done = false;
    Result<void> result;
  };

  std::string folder;
  Clock* clock = nullptr;
  std::mutex work, mutex;
  std::condition_variable batch_done, wake;
  std::unordered_map<std::string, std::unique_ptr<Series>> series;
  std::vector<Series*> by_id;  // id - 1
  std::shared_ptr<Batch> pending = std::make_shared<Batch>();
  bool leading = false, stopping = false;
  sys::Fd wal;
  int64_t wal_number = 0, wal_bytes = 0;
  std::vector<std::string> old_wals;
  size_t in_memory = 0;
  Millis flushed_at = 0, compacted_at = 0;
  std::unique_ptr<Segments> segments;
  std::thread worker;

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    if (worker.joinable()) worker.join();
  }

  Series* define(const MetricName& name, std::string key, uint64_t id) {  // under mutex
    auto& s = series[key];
    if (s) return s.get();
    s = std::make_unique<Series>();
    s->name = name;
    s->key = std::move(key);
    s->id = id == 0 ? by_id.size() + 1 : id;
    if (by_id.size() < s->id) by_id.resize(s->id, nullptr);
    by_id[s->id - 1] = s.get();
    return s.get();
  }

  void remember(Series& s, const MetricCell& cell) {  // under mutex
    auto at = std::lower_bound(s.memory.begin(), s.memory.end(), cell,
                               [](const MetricCell& a, const MetricCell& b) {
                                 return std::pair(a.time, a.resolution) < std::pair(b.time, b.resolution);
                               });
    s.last = std::max(s.last, cell.time);
    if (at != s.memory.end() && at->time == cell.time && at->resolution == cell.resolution)
      return at->merge(cell);
    s.memory.insert(at, cell);
    ++in_memory;
  }

  std::string wal_path(int64_t number) const { return fmt::format("{}/wal-{:012}", folder, number); }

  Result<void> begin_wal() {  // under mutex, while nobody leads
    const std::string path = wal_path(wal_number + 1);
    sys::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    if (!fd) return sys::system_error("making " + path);
    TRY(sys::sync_folder(folder));
    if (wal) old_wals.push_back(wal_path(wal_number));
    wal = std::move(fd);
    ++wal_number;
    wal_bytes = 0;
    // What the new file refers to is defined in the catalogue by the time that the old one goes.
    return {};
  }

  Result<void> load_catalogue() {
    const std::string path = folder + "/series";
    if (!sys::exists(path)) return {};
    const auto bytes = TRY(sys::read_file(path, 1u << 30));
    std::string_view in = bytes, body;
    while (metrics::take_frame(in, body)) {
      uint64_t id = 0;
      if (!metrics::take_varint(body, id) || id == 0 || id > kMaxSeries) continue;
      auto name = MetricName::from_key(body);
      if (!name) continue;
      auto* s = define(*name, std::string(body), id);
      s->logged = s->catalogued = true;
    }
    if (!in.empty() && ::truncate(path.c_str(), static_cast<off_t>(bytes.size() - in.size())) != 0)
      return sys::system_error("cutting " + path);
    return {};
  }

  Result<void> replay() {
    for (const auto& name : TRY(sys::list_folder(folder))) {
      if (!name.starts_with("wal-")) continue;
      const std::string path = folder + "/" + name;
      const auto bytes = TRY(sys::read_file(path, 4u << 28));
      std::string_view in = bytes, body;
      while (metrics::take_frame(in, body)) {
        const bool whole = metrics::decode_wal(
            body,
            [&](uint64_t id, std::string_view key) {
              if (auto n = MetricName::from_key(key); n && id > 0 && id <= kMaxSeries)
                define(*n, std::string(key), id)->logged = true;
            },
            [&](uint64_t id, MetricCell cell) {
              if (id > 0 && id <= by_id.size() && by_id[id - 1]) remember(*by_id[id - 1], cell);
            });
        if (!whole) log::warn("metrics: a damaged record in {}", name);
      }
      if (!in.empty()) log::warn("metrics: {} bytes at the end of {} were cut by a crash", in.size(), name);
      old_wals.push_back(path);
      wal_number = std::max(wal_number, parse_int(name.substr(4)).value_or(0));
    }
    return {};
  }

  Result<void> write(const Batch& batch) {
    std::string frame;
    metrics::put_frame(frame, batch.bytes);
    auto done = sys::write_all(wal.get(), frame);
    if (done && ::fdatasync(wal.get()) != 0) done = sys::system_error("writing metrics to disk");
    if (done) {
      wal_bytes += static_cast<int64_t>(frame.size());
      return {};
    }
    // Nothing may follow half a record.
    if (::ftruncate(wal.get(), wal_bytes) != 0)
      log::error("metrics: the write-ahead file cannot be cut back");
    return done;
  }

  Result<void> append(std::vector<MetricSample>& samples);
  Result<void> flush();
  Result<void> compact();
  void run();
};

Result<void> Metrics::Impl::append(std::vector<MetricSample>& samples) {
  std::unique_lock lock(mutex);
  if (in_memory > kMaxCells) return error("TooLarge", "too many samples wait to be written to disk");
  if (series.size() > kMaxSeries) return error("TooLarge", "there are too many metrics");
  auto batch = pending;
  metrics::WalRecord record;
  for (auto& sample : samples) {
    std::string key = sample.name.key();
    const auto it = series.find(key);
    Series* s = it != series.end() ? it->second.get() : define(sample.name, std::move(key), 0);
    if (!s->logged) {
      record.define(s->id, s->key);
      batch->defined.push_back(s);
    }
    record.add(s->id, sample.cell);
    batch->cells.emplace_back(s, std::move(sample.cell));
  }
  metrics::put_varint(batch->bytes, record.size());
  record.write_to(batch->bytes);
  while (!batch->done) {
    if (leading) {
      batch_done.wait(lock);
      continue;
    }
    leading = true;
    auto mine = std::exchange(pending, std::make_shared<Batch>());
    lock.unlock();
    auto written = write(*mine);
    lock.lock();
    if (written) {
      for (auto* s : mine->defined) s->logged = true;
      for (const auto& [s, cell] : mine->cells) remember(*s, cell);
    }
    mine->result = std::move(written);
    mine->done = true;
    leading = false;
    batch_done.notify_all();
    if (in_memory > kManyCells || wal_bytes > kMaxWal) wake.notify_all();
  }
  return batch->result;
}

Result<void> Metrics::Impl::flush() {
  const std::lock_guard working(work);
  std::vector<Series*> all;
  std::vector<std::string> wals;
  {
    std::unique_lock lock(mutex);
    batch_done.wait(lock, [this] { return !leading; });
    if (in_memory == 0) return {};
    TRY(begin_wal());
    wals = old_wals;
    for (auto* s : by_id) {
      if (!s) continue;
      // The new write-ahead file has no definitions yet: everything goes to the catalogue.
      if (!s->memory.empty()) s->flushing.swap(s->memory);
      if (!s->flushing.empty() || (s->logged && !s->catalogued)) all.push_back(s);
    }
    in_memory = 0;
    flushed_at = clock->wall();
  }
  auto save = [&]() -> Result<std::shared_ptr<const Segment>> {
    std::string catalogue;
    for (auto* s : all) {
      if (s->catalogued) continue;
      std::string body;
      metrics::put_varint(body, s->id);
      metrics::put_frame(catalogue, body + s->key);
    }
    if (!catalogue.empty()) {
      const std::string path = folder + "/series";
      sys::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
      if (!fd) return sys::system_error("opening " + path);
      const off_t before = ::lseek(fd.get(), 0, SEEK_END);
      auto done = sys::write_all(fd.get(), catalogue);
      if (done && ::fsync(fd.get()) != 0) done = sys::system_error("writing " + path);
      if (!done) {
        if (::ftruncate(fd.get(), before) != 0) log::error("metrics: {} cannot be cut back", path);
        return std::move(done).error();
      }
      TRY(sys::sync_folder(folder));
    }
    metrics::SegmentWriter writer;
    for (auto* s : all) writer.add(s->id, s->flushing);
    return segments->prepare(writer.finish(60, {}));
  };
  auto saved = save();
  const std::lock_guard lock(mutex);
  if (saved) segments->publish(*saved);  // together with the end of `flushing`, so that nobody sees both
  for (auto* s : all) {
    if (saved) {
      s->catalogued = true;
    } else {
      auto newer = std::exchange(s->memory, std::move(s->flushing));
      in_memory += s->memory.size();
      for (const auto& c : newer) remember(*s, c);
    }
    std::vector<MetricCell>().swap(s->flushing);
  }
  if (!saved) return std::move(saved).error();
  for (const auto& path : wals) TRY(sys::remove_file(path));
  std::erase_if(old_wals,
                [&](const std::string& w) { return std::find(wals.begin(), wals.end(), w) != wals.end(); });
  return {};
}

Result<void> Metrics::Impl::compact() {
  const std::lock_guard working(work);
  return segments->compact(clock->wall());
}

void Metrics::Impl::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    wake.wait_for(lock, kRound);
    if (stopping) return;
    const Millis now = clock->wall();
    const bool flush_due =
        in_memory > kManyCells || wal_bytes > kMaxWal || (in_memory > 0 && now - flushed_at > kFlushEvery);
    const bool compact_due = now - compacted_at > kCompactEvery;
    if (compact_due) compacted_at = now;
    lock.unlock();
    Result<void> done;
    if (flush_due) done = flush();
    if (done && compact_due) done = compact();
    if (!done) log::error("metrics: {}", done.error().message);
    lock.lock();
  }
}

Result<std::unique_ptr<Metrics>> Metrics::open(const std::string& folder, Clock& clock) {
  TRY(sys::make_folders(folder));
  auto out = std::make_unique<Metrics>();
  out->impl_ = std::make_unique<Impl>();
  Impl& impl = *out->impl_;
  impl.folder = folder;
  impl.clock = &clock;
  impl.flushed_at = impl.compacted_at = clock.wall();
  TRY(impl.load_catalogue());
  impl.segments = TRY(Segments::open(folder));
  TRY(impl.replay());
  impl.segments->each_series([&](uint64_t id, Millis last) {
    if (id > 0 && id <= impl.by_id.size() && impl.by_id[id - 1])
      impl.by_id[id - 1]->last = std::max(impl.by_id[id - 1]->last, last);
  });
  TRY(impl.begin_wal());
  // A definition of the old write-ahead files is repeated in the new one, should they go first.
  for (auto* s : impl.by_id) {
    if (s && !s->catalogued) s->logged = false;
  }
  impl.worker = std::thread([&impl] { impl.run(); });
  return out;
}

Metrics::Metrics() = default;
Metrics::~Metrics() = default;

Result<void> Metrics::append(std::vector<MetricSample> samples) {
  if (samples.empty()) return {};
  return impl_->append(samples);
}
Result<void> Metrics::flush() { return impl_->flush(); }
Result<void> Metrics::compact() { return impl_->compact(); }

Result<std::vector<Metrics::Row>> Metrics::read(const MetricName& name, Millis start, Millis end,
                                                int64_t period) {
  Impl& impl = *impl_;
  struct Found {
    uint64_t id;
    Row row;
  };
  std::vector<Found> found;
  const Millis now = impl.clock->wall();
  const auto segments = impl.segments->overlapping(start, end);
  auto wanted = [&](const MetricCell& c) {
    return c.time >= start && c.time < end &&
           period >= std::max<int64_t>(c.resolution, resolution_at(now - c.time));
  };
  {
    // After the list of segments: what became one meanwhile would be missing, so flushing cells are read here
    // and a segment that came later is asked for again below.
    const std::lock_guard lock(impl.mutex);
    auto take = [&](const Impl::Series& s) {
      Found f{s.id, {s.name.unit, {}}};
      for (const auto* cells : {&s.flushing, &s.memory}) {
        std::copy_if(cells->begin(), cells->end(), std::back_inserter(f.row.cells), wanted);
      }
      found.push_back(std::move(f));
    };
    MetricName asked = name;
    if (!asked.unit.empty()) {
      if (const auto it = impl.series.find(asked.key()); it != impl.series.end()) take(*it->second);
    } else {
      for (const char* unit : kUnits) {
        asked.unit = unit;
        if (const auto it = impl.series.find(asked.key()); it != impl.series.end()) take(*it->second);
      }
    }
  }
  const auto later = impl.segments->overlapping(start, end);
  if (later != segments) return read(name, start, end, period);
  std::vector<Row> out;
  for (auto& [id, row] : found) {
    for (const auto& segment : segments) {
      auto cells = segment->cells(id);
      if (!cells && cells.error().code == "NotFound")
        return read(name, start, end, period);  // merged meanwhile
      if (!cells) return std::move(cells).error();
      std::copy_if(cells->begin(), cells->end(), std::back_inserter(row.cells), wanted);
    }
    if (row.cells.empty()) continue;
    metrics::to_buckets(row.cells, start, period);
    out.push_back(std::move(row));
  }
  return out;
}

std::vector<Metrics::Listed> Metrics::list(const std::string& account, const std::string& region,
                                           const std::function<bool(const MetricName&)>& wanted) {
  std::vector<Listed> out;
  const std::lock_guard lock(impl_->mutex);
  for (const auto* s : impl_->by_id) {
    if (!s || s->last == 0) continue;
    if ((!account.empty() && s->name.account != account) || (!region.empty() && s->name.region != region))
      continue;
    if (wanted(s->name)) out.push_back({s->name, s->last});
  }
  return out;
}

Metrics::Usage Metrics::usage() {
  Usage u = impl_->segments->usage();
  const std::lock_guard lock(impl_->mutex);
  u.series = static_cast<int64_t>(impl_->series.size());
  u.in_memory = static_cast<int64_t>(impl_->in_memory);
  return u;
}

}  // namespace bastide::store
