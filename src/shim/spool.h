// The format of a container's output spool, between the shim that writes it and runner that reads it.
// A folder of segments, each a file named by the 16 hexadecimal digits of its first byte's place in the whole
// stream; in them records: this header, then `length` bytes of text (without the line's end). Sequence
// numbers count records from 1 without a gap: what is missing between two was dropped.
#pragma once

#include <stdint.h>

namespace bastide::shim {

struct Record {
  uint32_t length;
  uint8_t stream;   // 1 stdout, 2 stderr
  uint8_t partial;  // 1: the line goes on in the stream's next record
  uint16_t reserved;
  int64_t time;  // UTC milliseconds
  uint64_t sequence;
};
static_assert(sizeof(Record) == 24);

inline constexpr uint32_t kMaxRecord = 16 * 1024;  // bytes of text; longer lines are split
inline constexpr uint64_t kSegmentBytes = 1024 * 1024;
inline constexpr int kMaxSegments = 8;  // the oldest goes

// Descriptors the shim is started with.
inline constexpr int kReadyFd = 3;      // "ok PID\n" or "failed: why\n", once
inline constexpr int kFirstKeptFd = 4;  // kept open for the container's life: listeners, namespace
inline constexpr int kMaxKeptFds = 4;

}  // namespace bastide::shim
