// The bytes of the metric store. Pure functions over strings; what they read may be damaged.
//
// A chunk holds the cells of one series in columns: times as runs of equal steps, numbers as scaled integers
// where they are decimals, else as the bytes that changed. A segment is blocks of chunks (zstd), a directory,
// a footer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/metrics.h"

namespace bastide::store::metrics {

inline constexpr size_t kMaxChunk = 16u << 20;
inline constexpr size_t kMaxSegment = 1u << 30;

void put_varint(std::string& out, uint64_t v);
bool take_varint(std::string_view& in, uint64_t& v);
inline uint64_t zigzag(int64_t v) { return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63); }
inline int64_t unzigzag(uint64_t v) { return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1); }

std::string encode_cells(const std::vector<MetricCell>& cells);  // sorted by time
Result<std::vector<MetricCell>> decode_cells(std::string_view bytes);

// Frames of write-ahead and catalogue files: u32 length, u32 crc32, body.
void put_frame(std::string& out, std::string_view body);
// The frame at the front of `bytes`, which then begins after it; false: cut or damaged.
bool take_frame(std::string_view& bytes, std::string_view& body);

struct Entry {  // of a segment's directory
  uint64_t series = 0;
  uint64_t block = 0;               // offset in the file
  uint32_t offset = 0, length = 0;  // inside the unpacked block
  uint32_t cells = 0;
  Millis min_time = 0, max_time = 0;  // of the starts of cells
};

struct SegmentInfo {
  int32_t resolution = 60;         // the coarsest of its cells may be this: 60, 300, 3600
  std::vector<uint64_t> replaces;  // numbers of segments that it stands for
  std::vector<Entry> entries;      // by series
};

// Cells of one series are added once; series ascending.
class SegmentWriter {
 public:
  void add(uint64_t series, const std::vector<MetricCell>& cells);
  std::string finish(int32_t resolution, std::vector<uint64_t> replaces);

 private:
  void end_block();
  std::string out_, block_;
  SegmentInfo info_;
  size_t first_of_block_ = 0;
};

Result<SegmentInfo> read_directory(int fd);
Result<std::string> read_block(int fd, uint64_t offset);  // unpacked

}  // namespace bastide::store::metrics
