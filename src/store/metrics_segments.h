// The segment files of the metric store: which there are, what they hold, merging, roll-ups and retention.
// prepare() and compact() are called by one thread at a time; the rest from any.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "store/metrics.h"
#include "store/metrics_format.h"

namespace bastide::store::metrics {

struct Segment {
  uint64_t number = 0;
  std::string path;
  SegmentInfo info;
  int64_t bytes = 0, cell_count = 0;
  Millis min_time = INT64_MAX, max_time = INT64_MIN;

  Result<std::vector<MetricCell>> cells(uint64_t series) const;  // "NotFound": the file is gone
};

class Segments {
 public:
  Segments() = default;
  static Result<std::unique_ptr<Segments>> open(const std::string& folder);

  std::vector<std::shared_ptr<const Segment>> overlapping(Millis start, Millis end) const;
  // On disk, but not seen by readers before publish().
  Result<std::shared_ptr<const Segment>> prepare(const std::string& bytes);
  void publish(std::shared_ptr<const Segment> segment);
  Result<void> compact(Millis now);
  void each_series(const std::function<void(uint64_t id, Millis last)>& f) const;
  Metrics::Usage usage() const;

 private:
  using Pointers = std::vector<std::shared_ptr<const Segment>>;
  static Result<std::shared_ptr<const Segment>> load(const std::string& path, uint64_t number);
  Result<void> merge(const Pointers& these, int32_t resolution, Millis now);
  Result<void> replace(const Pointers& gone, std::shared_ptr<const Segment> fresh);

  std::string folder_;
  mutable std::mutex mutex_;
  Pointers segments_;
  uint64_t next_ = 1;
};

// Sorts cells and merges those of one bucket; afterwards each starts where its bucket does.
void to_buckets(std::vector<MetricCell>& cells, Millis start, int64_t period);

}  // namespace bastide::store::metrics
