// What edge tells control: health of targets (the latest state each) and access entries (a bounded spool,
// oldest dropped and counted). Kept while control is away, sent when it is back. On the loop's thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "internal/edge.h"
#include "net/loop.h"
#include "net/message.h"

namespace bastide::edge {

inline constexpr size_t kMaxSpooledEntries = 10'000;
inline constexpr size_t kMaxBatchBytes = 40u << 10;  // of 64 KiB a message
inline constexpr Millis kReportEvery = 500;

struct HealthReport {
  std::string target_group, target, state, reason, description;
  Millis at = 0;
};

class Reporter {
 public:
  Reporter();
  void health(HealthReport report);
  void access(internal::AccessEntry entry);
  void connected(std::shared_ptr<net::Channel> channel);  // everything known of health is told anew
  void forget(const std::string& target_group, const std::string& target);

  void run();  // the fiber that sends; ends after stop()
  void stop();
  int64_t dropped() const { return dropped_; }

 private:
  Result<void> send_health(net::Channel& channel);
  Result<void> send_access(net::Channel& channel);

  std::string source_;
  std::shared_ptr<net::Channel> channel_;
  struct Known {
    HealthReport report;
    bool told = false;
  };
  std::map<std::pair<std::string, std::string>, Known> health_;
  std::deque<internal::AccessEntry> spool_;
  std::optional<json::Value> pending_;  // a batch that is not answered yet
  int64_t dropped_ = 0;
  int64_t sequence_ = 0;
  bool stopped_ = false;
  net::Event wake_;
};

}  // namespace bastide::edge
