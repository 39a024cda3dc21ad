// Reads a container's spool (shim/spool.h) from a place on, while its shim goes on writing. One thread at a
// time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::runner {

struct OutputLine {
  Millis time = 0;
  uint64_t sequence = 0;
  int stream = 1;
  bool partial = false;
  std::string text;  // valid UTF-8: what is not is replaced
};

struct SpoolPlace {
  uint64_t offset = 0;    // in the whole stream
  uint64_t sequence = 0;  // of the last record before it
};

class SpoolReader {
 public:
  SpoolReader(std::string folder, SpoolPlace from) : folder_(std::move(folder)), place_(from) {}

  // The next lines, at most `max_bytes` of them as JSON and at least one where there is any. `dropped` counts
  // the records that went missing before them.
  struct Batch {
    std::vector<OutputLine> lines;
    uint64_t dropped = 0;
    SpoolPlace end;
  };
  Result<Batch> read(size_t max_bytes);
  void advance(const SpoolPlace& to) { place_ = to; }
  const SpoolPlace& place() const { return place_; }

 private:
  std::string folder_;
  SpoolPlace place_;
};

std::string make_utf8(std::string_view bytes);  // U+FFFD in place of what is not valid

}  // namespace bastide::runner
