// The metric store: compressed time series with CloudWatch's resolutions and roll-ups. Acknowledged means on
// disk (a write-ahead file with one fdatasync a group of appends). Blocking: call through net::offload.
// Thread-safe. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
//
// Kept: cells under a minute for 3 hours, of a minute for 15 days, of 5 minutes for 63 days, of an hour for
// 455.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace bastide::store {

inline constexpr Millis kFineRetention = 3 * kHour;
inline constexpr Millis kMinuteRetention = 15 * kDay;
inline constexpr Millis kFiveMinuteRetention = 63 * kDay;
inline constexpr Millis kHourRetention = 455 * kDay;

// A metric as CloudWatch tells them apart: the same name with another dimension or unit is another one.
struct MetricName {
  std::string account, region, space, name;
  std::vector<std::pair<std::string, std::string>> dimensions;  // sorted
  std::string unit;                                             // "None" where nobody said one

  std::string key() const;
  static Result<MetricName> from_key(std::string_view key);
};

// What is known of a span of time. `raw`: every value is known, by `values` (value, how often; ascending), or
// by min and count where min == max. Beyond kExactValues values are rounded to 1 % (error at most 0.5 %).
struct MetricCell {
  Millis time = 0;          // start of the span
  int32_t resolution = 60;  // seconds
  bool raw = true;
  double count = 0, sum = 0, min = 0, max = 0;
  std::vector<std::pair<double, double>> values;

  static MetricCell of(Millis time, double value, double count = 1, int32_t resolution = 60);
  void merge(const MetricCell& other);
};
inline constexpr size_t kExactValues = 150;

// Every unit that a metric can have.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
inline constexpr const char* kUnits[] = {"None",
                                         "Count",
                                         "Percent",
                                         "Seconds",
                                         "Milliseconds",
                                         "Microseconds",
                                         "Bytes",
                                         "Kilobytes",
                                         "Megabytes",
                                         "Gigabytes",
                                         "Terabytes",
                                         "Bits",
                                         "Kilobits",
                                         "Megabits",
                                         "Gigabits",
                                         "Terabits",
                                         "Bytes/Second",
                                         "Kilobytes/Second",
                                         "Megabytes/Second",
                                         "Gigabytes/Second",
                                         "Terabytes/Second",
                                         "Bits/Second",
                                         "Kilobits/Second",
                                         "Megabits/Second",
                                         "Gigabits/Second",
                                         "Terabits/Second",
                                         "Count/Second"};

struct MetricSample {
  MetricName name;
  MetricCell cell;
};

class Metrics {
 public:
  static Result<std::unique_ptr<Metrics>> open(const std::string& folder, Clock& clock);
  Metrics();
  ~Metrics();

  Result<void> append(std::vector<MetricSample> samples);

  // Cells of `period` seconds that start at start, start + period, ...; those without data are left out. One
  // row of cells for each unit that the metric has, or that of `name.unit` alone where it is not empty.
  struct Row {
    std::string unit;
    std::vector<MetricCell> cells;
  };
  Result<std::vector<Row>> read(const MetricName& name, Millis start, Millis end, int64_t period);

  struct Listed {
    MetricName name;
    Millis last = 0;  // of its newest cell
  };
  // Those of which `wanted` says true; account and region empty: of all.
  std::vector<Listed> list(const std::string& account, const std::string& region,
                           const std::function<bool(const MetricName&)>& wanted);

  // Moves what is in memory to segments and merges, rolls up and drops segments; the store's own thread does
  // both.
  Result<void> flush();
  Result<void> compact();

  struct Usage {
    int64_t series = 0, segments = 0, bytes = 0, cells = 0, in_memory = 0;
  };
  Usage usage();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bastide::store
