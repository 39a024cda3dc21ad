// The log store: streams of (time, message) in append-only zstd segments with a WAL. Acknowledged means on
// disk. Blocking: call through net::offload. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace bastide::store {

struct LogEvent {
  Millis time = 0;
  Millis ingested = 0;
  int64_t sequence = 0;  // order within the store; unique
  std::string stream;
  std::string message;
};

class Logs {
 public:
  static Result<std::unique_ptr<Logs>> open(const std::string& folder, Clock& clock);
  Logs();
  ~Logs();

  // `group` identifies a log group uniquely (account/region/name). Events get their sequence here.
  Result<void> append(const std::string& group, const std::string& stream, std::vector<LogEvent> events);

  struct Query {
    std::string group;
    std::vector<std::string> streams;  // empty: all
    Millis start = 0;                  // inclusive
    Millis end = INT64_MAX;            // exclusive
    int64_t after_sequence = -1;       // only those with a greater sequence
    bool newest_first = false;
  };
  // Calls f for each event in order of (time, sequence) until it returns false.
  Result<void> scan(const Query& query, const std::function<bool(const LogEvent&)>& f);

  Result<void> drop_before(const std::string& group, Millis time);  // retention; whole segments
  Result<void> drop_stream(const std::string& group, const std::string& stream);
  Result<void> drop_group(const std::string& group);
  Result<int64_t> stored_bytes(const std::string& group);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::store
