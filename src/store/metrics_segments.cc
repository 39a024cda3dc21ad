#include "store/metrics_segments.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "sys/file.h"

namespace bastide::store::metrics {
namespace {

constexpr size_t kManyOfToday = 8;  // segments of one day that are merged before it ends

Millis floor_to(Millis t, Millis step) {
  const Millis rest = t % step;
  return t - (rest < 0 ? rest + step : rest);
}

}  // namespace

void to_buckets(std::vector<MetricCell>& cells, Millis start, int64_t period) {
  const Millis width = period * kSecond;
  const Millis phase = floor_to(start, width);
  for (auto& c : cells) c.time = floor_to(c.time - (start - phase), width) + (start - phase);
  std::stable_sort(cells.begin(), cells.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  size_t kept = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i].resolution = static_cast<int32_t>(period);
    if (kept > 0 && cells[kept - 1].time == cells[i].time) {
      cells[kept - 1].merge(cells[i]);
    } else if (kept != i) {
      cells[kept++] = std::move(cells[i]);
    } else {
      ++kept;
    }
  }
  cells.resize(kept);
}

Result<std::vector<MetricCell>> Segment::cells(uint64_t series) const {
  const auto at = std::lower_bound(info.entries.begin(), info.entries.end(), series,
                                   [](const Entry& e, uint64_t id) { return e.series < id; });
  if (at == info.entries.end() || at->series != series) return std::vector<MetricCell>{};
  const auto fd = TRY(sys::open_read(path));
  const auto block = TRY(read_block(fd.get(), at->block));
  if (uint64_t{at->offset} + at->length > block.size()) return error("Invalid", path + " is damaged");
  return decode_cells(std::string_view(block).substr(at->offset, at->length));
}

Result<std::shared_ptr<const Segment>> Segments::load(const std::string& path, uint64_t number) {
  auto s = std::make_shared<Segment>();
  s->number = number;
  s->path = path;
  const auto fd = TRY(sys::open_read(path));
  s->info = TRY(read_directory(fd.get()));
  struct stat st {};
  if (::fstat(fd.get(), &st) == 0) s->bytes = st.st_size;
  for (const auto& e : s->info.entries) {
    s->min_time = std::min(s->min_time, e.min_time);
    s->max_time = std::max(s->max_time, e.max_time);
    s->cell_count += e.cells;
  }
  return std::shared_ptr<const Segment>(std::move(s));
}

Result<std::unique_ptr<Segments>> Segments::open(const std::string& folder) {
  auto out = std::make_unique<Segments>();
  out->folder_ = folder;
  std::set<uint64_t> replaced;
  for (const auto& name : TRY(sys::list_folder(folder))) {
    if (!name.ends_with(".seg")) continue;
    const auto number = parse_int(name.substr(0, name.size() - 4));
    if (!number || *number < 1) continue;
    auto s = load(folder + "/" + name, static_cast<uint64_t>(*number));
    out->next_ = std::max(out->next_, static_cast<uint64_t>(*number) + 1);
    if (!s) {
      log::error("metrics: {}: {}", name, s.error().message);  // kept for whoever wants to look at it
      continue;
    }
    replaced.insert((*s)->info.replaces.begin(), (*s)->info.replaces.end());
    out->segments_.push_back(std::move(*s));
  }
  for (const auto& s : out->segments_) {
    if (replaced.contains(s->number)) TRY(sys::remove_file(s->path));
  }
  std::erase_if(out->segments_, [&](const auto& s) { return replaced.contains(s->number); });
  return out;
}

std::vector<std::shared_ptr<const Segment>> Segments::overlapping(Millis start, Millis end) const {
  Pointers out;
  const std::lock_guard lock(mutex_);
  for (const auto& s : segments_) {
    if (s->max_time >= start && s->min_time < end) out.push_back(s);
  }
  return out;
}

Result<std::shared_ptr<const Segment>> Segments::prepare(const std::string& bytes) {
  const std::string path = fmt::format("{}/{:012}.seg", folder_, next_);
  TRY(sys::write_file(path, bytes));
  return load(path, next_++);
}

void Segments::publish(std::shared_ptr<const Segment> segment) {
  const std::lock_guard lock(mutex_);
  segments_.push_back(std::move(segment));
}

Result<void> Segments::replace(const Pointers& gone, std::shared_ptr<const Segment> fresh) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(segments_,
                  [&](const auto& s) { return std::find(gone.begin(), gone.end(), s) != gone.end(); });
    if (fresh) segments_.push_back(std::move(fresh));
  }
  for (const auto& s : gone) TRY(sys::remove_file(s->path));
  return {};
}

Result<void> Segments::merge(const Pointers& these, int32_t resolution, Millis now) {
  std::set<uint64_t> series;
  std::vector<uint64_t> numbers;
  for (const auto& s : these) {
    numbers.push_back(s->number);
    for (const auto& e : s->info.entries) series.insert(e.series);
  }
  SegmentWriter writer;
  for (const auto id : series) {
    std::vector<MetricCell> fine, rest;
    for (const auto& s : these) {
      for (auto& c : TRY(s->cells(id))) {
        const bool keep = resolution == 60 && c.resolution < 60 && now - c.time < kFineRetention;
        (keep ? fine : rest).push_back(std::move(c));
      }
    }
    to_buckets(rest, 0, resolution);
    to_buckets(fine, 0, 1);
    rest.insert(rest.end(), std::make_move_iterator(fine.begin()), std::make_move_iterator(fine.end()));
    std::stable_sort(rest.begin(), rest.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
    writer.add(id, rest);
  }
  const std::string path = fmt::format("{}/{:012}.seg", folder_, next_);
  TRY(sys::write_file(path, writer.finish(resolution, numbers)));
  auto fresh = TRY(load(path, next_++));
  return replace(these, std::move(fresh));
}

Result<void> Segments::compact(Millis now) {
  Pointers all, old;
  {
    const std::lock_guard lock(mutex_);
    all = segments_;
  }
  std::map<std::pair<int32_t, Millis>, Pointers> groups;
  for (const auto& s : all) {
    if (s->max_time < now - kHourRetention) {
      old.push_back(s);
      continue;
    }
    int32_t resolution = 60;
    Millis span = kDay;
    if (s->max_time < now - kFiveMinuteRetention) {
      resolution = 3600;
      span = 30 * kDay;
    } else if (s->max_time < now - kMinuteRetention) {
      resolution = 300;
    }
    groups[{resolution, floor_to(s->max_time, span)}].push_back(s);
  }
  if (!old.empty()) TRY(replace(old, nullptr));
  for (const auto& [key, group] : groups) {
    const auto& [resolution, day] = key;
    const bool rolls = std::any_of(group.begin(), group.end(),
                                   [r = resolution](const auto& s) { return s->info.resolution < r; });
    const bool today = resolution == 60 && day + kDay + kFineRetention > now;
    if (rolls || group.size() >= (today ? kManyOfToday : 2)) TRY(merge(group, resolution, now));
  }
  return {};
}

void Segments::each_series(const std::function<void(uint64_t id, Millis last)>& f) const {
  const std::lock_guard lock(mutex_);
  for (const auto& s : segments_) {
    for (const auto& e : s->info.entries) f(e.series, e.max_time);
  }
}

Metrics::Usage Segments::usage() const {
  Metrics::Usage u;
  const std::lock_guard lock(mutex_);
  for (const auto& s : segments_) {
    ++u.segments;
    u.bytes += s->bytes;
    u.cells += s->cell_count;
  }
  return u;
}

}  // namespace bastide::store::metrics
