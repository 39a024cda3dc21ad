// Records of the metric store's write-ahead files: definitions of series, then samples.
#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "store/metrics_format.h"

namespace bastide::store::metrics {

class WalRecord {
 public:
  void define(uint64_t id, std::string_view key);
  void add(uint64_t id, const MetricCell& cell);
  size_t size() const { return 20 + definitions_.size() + samples_.size(); }
  void write_to(std::string& out) const;  // counts first; exactly what decode_wal takes

 private:
  std::string definitions_, samples_;
  uint64_t defined_ = 0, added_ = 0;
  Millis time_ = 0;
};

// The body of a frame: any number of records, each behind its size. False: damaged.
bool decode_wal(std::string_view body, const std::function<void(uint64_t id, std::string_view key)>& define,
                const std::function<void(uint64_t id, MetricCell cell)>& add);

}  // namespace bastide::store::metrics
