// One log group on disk: its segment files and what was dropped of it. Not thread-safe: Logs guards it.
// Segments are named by the sequence of their first event; a block is on disk when append_block returns.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/log_format.h"
#include "sys/fd.h"

namespace bastide::store {

struct Segment {
  std::string path;
  std::vector<Block> blocks;
  int64_t size = 0;
  Millis min_time = INT64_MAX;
  Millis max_time = INT64_MIN;
  bool removed = false;
  void add(const Block& b);
};

// A block to read, with the segment that holds it (which may be removed meanwhile: then its events are gone).
struct BlockRef {
  std::shared_ptr<const Segment> segment;
  Block block;
};

class LogGroup {
 public:
  // Reads the headers of its segments; a tail that a crash cut is removed.
  static Result<std::unique_ptr<LogGroup>> open(const std::string& folder, const std::string& name);

  int64_t flushed_sequence() const { return flushed_; }  // events up to here are in segments
  bool visible(const LogEvent& e) const;
  Result<void> append_block(const std::vector<LogEvent>& events);
  std::vector<BlockRef> blocks() const;
  int64_t bytes() const;
  bool empty() const { return segments_.empty(); }

  Result<void> drop_before(Millis time);
  Result<void> drop_all(int64_t next_sequence);
  Result<void> drop_stream(const std::string& stream, int64_t next_sequence);

  std::map<std::string, int64_t> dropped_streams() const { return dropped_streams_; }
  int64_t dropped_below() const { return dropped_below_; }
  const std::string& folder() const { return folder_; }

 private:
  Result<void> load_segment(const std::string& path);
  Result<void> save_meta();
  template <class Predicate>
  Result<void> remove_segments(Predicate gone);

  std::string folder_;
  std::string name_;
  std::vector<std::shared_ptr<Segment>> segments_;  // by first sequence
  sys::Fd tail_;                                    // of the last segment, open for appending
  int64_t flushed_ = -1;
  int64_t dropped_below_ = 0;                       // events of a smaller sequence are gone
  std::map<std::string, int64_t> dropped_streams_;  // the same, by stream
};

Result<std::vector<LogEvent>> read_block(const BlockRef& ref);  // empty where the segment is gone

}  // namespace bastide::store
