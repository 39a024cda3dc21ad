// The bytes of the log store. Pure functions over strings.
//
// A segment file is a row of blocks. A block: a header of kBlockHeader bytes, little-endian,
//   magic u32 | raw bytes u32 | packed bytes u32 | events u32 | min time i64 | max time i64 |
//   min sequence i64 | max sequence i64 | stream filter u64 | crc32 of what follows u32 | crc32 of this
//   header u32
// then the zstd-compressed body: the names of streams (varint count, then varint length and bytes of each),
// then events by sequence: varint stream, zigzag varints of time, ingestion and sequence against the event
// before, varint length and bytes of the message.
//
// A write-ahead file starts with kWalMagic and the next sequence (i64); records follow: u32 length, u32
// crc32, and a body: group, stream (varint length and bytes each), varint count, then events as above.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/logs.h"

namespace bastide::store {

inline constexpr size_t kBlockHeader = 64;
inline constexpr size_t kWalHeader = 16;
inline constexpr size_t kRecordHeader = 8;
inline constexpr size_t kMaxBlockRaw = 64u << 20;  // bound for reading
inline constexpr size_t kMaxRecord = 64u << 20;

struct Block {
  int64_t offset = 0;  // of its header in the file
  uint32_t raw = 0;
  uint32_t packed = 0;
  uint32_t events = 0;
  Millis min_time = 0;
  Millis max_time = 0;
  int64_t min_sequence = 0;
  int64_t max_sequence = 0;
  uint64_t filter = 0;  // of the names of its streams: bits of stream_bits()
  uint32_t crc = 0;
  int64_t end() const { return offset + static_cast<int64_t>(kBlockHeader + packed); }
};

uint64_t stream_bits(std::string_view stream);

std::string encode_block(const std::vector<LogEvent>& events);  // header and body; not empty
Result<Block> decode_header(std::string_view bytes, int64_t offset);
Result<std::vector<LogEvent>> decode_block(const Block& block, std::string_view body);

std::string encode_wal_header(int64_t next_sequence);
Result<int64_t> decode_wal_header(std::string_view bytes);
void encode_record(std::string& out, std::string_view group, std::string_view stream,
                   const std::vector<LogEvent>& events);

struct Record {
  std::string group;
  std::vector<LogEvent> events;
};
// The record at the beginning of `bytes` and how many bytes it takes; an error where it is cut or damaged.
Result<Record> decode_record(std::string_view bytes, size_t* taken);

}  // namespace bastide::store
