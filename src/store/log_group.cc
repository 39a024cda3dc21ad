#include "store/log_group.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr int64_t kSegmentBytes = 32 << 20;  // then a new file
constexpr Millis kSegmentSpan = kDay;        // retention removes whole files
constexpr size_t kMetaBytes = 16 << 20;

Result<std::string> read_at(int fd, int64_t offset, size_t size) {
  std::string out(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, out.data() + done, size - done, offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::system_error("reading a log segment");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  out.resize(done);
  return out;
}

}  // namespace

void Segment::add(const Block& b) {
  blocks.push_back(b);
  size = b.end();
  min_time = std::min(min_time, b.min_time);
  max_time = std::max(max_time, b.max_time);
}

Result<std::unique_ptr<LogGroup>> LogGroup::open(const std::string& folder, const std::string& name) {
  auto group = std::make_unique<LogGroup>();
  group->folder_ = folder;
  group->name_ = name;
  const std::string meta_path = folder + "/group.json";
  if (!sys::exists(meta_path)) {
    TRY(sys::make_folders(folder));
    TRY(group->save_meta());
    return group;
  }
  const auto text = TRY(sys::read_file(meta_path, kMetaBytes));
  const auto meta = TRY(json::parse(text));
  group->dropped_below_ = meta.get_int("droppedBelow");
  for (const auto& [stream, sequence] : meta.get_object("droppedStreams")) {
    if (sequence.is_int()) group->dropped_streams_[stream] = sequence.integer();
  }
  const auto names = TRY(sys::list_folder(folder));
  for (const auto& file : names) {
    if (file.ends_with(".seg")) TRY(group->load_segment(folder + "/" + file));
  }
  return group;
}

Result<void> LogGroup::load_segment(const std::string& path) {
  const sys::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return sys::system_error(path);
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return sys::system_error(path);
  auto segment = std::make_shared<Segment>();
  segment->path = path;
  while (segment->size < st.st_size) {
    const auto bytes = TRY(read_at(fd.get(), segment->size, kBlockHeader));
    const auto block = decode_header(bytes, segment->size);
    if (!block || block->end() > st.st_size) break;
    if (block->end() == st.st_size) {  // the last one may be torn inside
      const auto body =
          TRY(read_at(fd.get(), block->offset + static_cast<int64_t>(kBlockHeader), block->packed));
      if (!decode_block(*block, body)) break;
    }
    segment->add(*block);
  }
  if (segment->size < st.st_size) {
    log::warn("logs: {} bytes of an unfinished block removed from {}", st.st_size - segment->size, path);
    if (::ftruncate(fd.get(), segment->size) != 0 || ::fsync(fd.get()) != 0) return sys::system_error(path);
  }
  if (segment->blocks.empty()) return sys::remove_file(path);
  flushed_ = std::max(flushed_, segment->blocks.back().max_sequence);
  segments_.push_back(std::move(segment));
  return {};
}

Result<void> LogGroup::save_meta() {
  auto streams = json::object();
  for (const auto& [stream, sequence] : dropped_streams_) streams[stream] = sequence;
  auto meta = json::object({{"group", name_}, {"droppedBelow", dropped_below_}, {"droppedStreams", streams}});
  return sys::write_file(folder_ + "/group.json", json::print(meta));
}

bool LogGroup::visible(const LogEvent& e) const {
  if (e.sequence < dropped_below_) return false;
  if (dropped_streams_.empty()) return true;
  const auto it = dropped_streams_.find(e.stream);
  return it == dropped_streams_.end() || e.sequence >= it->second;
}

Result<void> LogGroup::append_block(const std::vector<LogEvent>& events) {
  const std::string bytes = encode_block(events);
  const bool roll = !segments_.empty() && (segments_.back()->size >= kSegmentBytes ||
                                           events.back().time - segments_.back()->min_time > kSegmentSpan);
  const bool fresh = segments_.empty() || roll;
  auto segment = std::make_shared<Segment>();
  if (fresh) {
    segment->path = fmt::format("{}/{:016x}.seg", folder_, events.front().sequence);
    tail_ = sys::Fd(::open(segment->path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  } else {
    *segment = *segments_.back();  // readers may hold the old one
    if (!tail_) tail_ = sys::Fd(::open(segment->path.c_str(), O_WRONLY | O_CLOEXEC));
  }
  if (!tail_) return sys::system_error(segment->path);
  auto block = TRY(decode_header(bytes, segment->size));
  if (::lseek(tail_.get(), segment->size, SEEK_SET) < 0) return sys::system_error(segment->path);
  auto written = sys::write_all(tail_.get(), bytes);
  if (written && ::fdatasync(tail_.get()) != 0) written = sys::system_error(segment->path);
  if (written && fresh) written = sys::sync_folder(folder_);
  if (!written) {
    if (::ftruncate(tail_.get(), segment->size) != 0) log::warn("logs: {} keeps a torn tail", segment->path);
    tail_.reset();
    return std::move(written).error();
  }
  segment->add(block);
  if (fresh) {
    segments_.push_back(std::move(segment));
  } else {
    segments_.back() = std::move(segment);
  }
  flushed_ = std::max(flushed_, block.max_sequence);
  return {};
}

std::vector<BlockRef> LogGroup::blocks() const {
  std::vector<BlockRef> out;
  for (const auto& segment : segments_) {
    for (const auto& block : segment->blocks) out.push_back({segment, block});
  }
  return out;
}

int64_t LogGroup::bytes() const {
  int64_t total = 0;
  for (const auto& segment : segments_) total += segment->size;
  return total;
}

template <class Predicate>
Result<void> LogGroup::remove_segments(Predicate gone) {
  bool any = false;
  for (size_t i = 0; i < segments_.size();) {
    if (!gone(*segments_[i])) {
      ++i;
      continue;
    }
    if (i + 1 == segments_.size()) tail_.reset();
    TRY(sys::remove_file(segments_[i]->path));
    segments_.erase(segments_.begin() + static_cast<ptrdiff_t>(i));
    any = true;
  }
  if (any) TRY(sys::sync_folder(folder_));
  return {};
}

Result<void> LogGroup::drop_before(Millis time) {
  TRY(remove_segments([&](const Segment& s) { return s.max_time < time; }));
  // What was dropped of a stream before the oldest event kept need not be remembered.
  const int64_t oldest = segments_.empty() ? flushed_ : segments_.front()->blocks.front().min_sequence;
  const size_t before = dropped_streams_.size();
  std::erase_if(dropped_streams_, [&](const auto& entry) { return entry.second <= oldest; });
  if (dropped_streams_.size() == before) return {};
  return save_meta();
}

Result<void> LogGroup::drop_all(int64_t next_sequence) {
  dropped_below_ = next_sequence;
  dropped_streams_.clear();
  TRY(save_meta());  // first: events of the write-ahead file must not come back
  return remove_segments([&](const Segment& s) { return s.blocks.back().max_sequence < next_sequence; });
}

Result<void> LogGroup::drop_stream(const std::string& stream, int64_t next_sequence) {
  dropped_streams_[stream] = next_sequence;
  return save_meta();
}

Result<std::vector<LogEvent>> read_block(const BlockRef& ref) {
  const sys::Fd fd(::open(ref.segment->path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    Error e = sys::system_error(ref.segment->path);
    if (e.code == "NotFound") return std::vector<LogEvent>{};
    return e;
  }
  const auto body =
      TRY(read_at(fd.get(), ref.block.offset + static_cast<int64_t>(kBlockHeader), ref.block.packed));
  auto events = decode_block(ref.block, body);
  if (!events) return std::move(events).error().context(ref.segment->path);
  return events;
}

}  // namespace bastide::store
