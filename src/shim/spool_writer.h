// Splits the output of a container into lines and appends them to the bounded spool (shim/spool.h). What
// cannot be written is dropped; its sequence number tells. Single-threaded.
#pragma once

#include "shim/spool.h"

namespace bastide::shim {

class SpoolWriter {
 public:
  explicit SpoolWriter(int folder) : folder_(folder) {}  // of the segments, open
  void append(int stream, const char* bytes, unsigned size);
  void flush(int stream, bool partial);  // the line that has no end yet; partial: more of it may come
  bool pending(int stream) const { return lines_[stream - 1].length > 0; }
  void finish();  // both lines, to disk

 private:
  struct Line {
    unsigned length = 0;
    char text[kMaxRecord];
  };
  void write_record(int stream, const char* text, unsigned length, bool partial);
  bool next_segment();

  int folder_;
  int segment_ = -1;
  uint64_t segment_size_ = 0, offset_ = 0, sequence_ = 0;
  uint64_t starts_[kMaxSegments] = {};  // of the segments that exist, oldest first
  int segments_ = 0;
  Line lines_[2];
};

}  // namespace bastide::shim
