#include "edge/reporter.h"

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"

namespace bastide::edge {

namespace {
constexpr Millis kAnswerTimeout = 10 * kSecond;
}

Reporter::Reporter() : source_(hex(random_bytes(8))) {}

void Reporter::health(HealthReport report) {
  auto& known = health_[{report.target_group, report.target}];
  known.report = std::move(report);
  known.told = false;
  wake_.set();
}

void Reporter::forget(const std::string& target_group, const std::string& target) {
  health_.erase({target_group, target});
}

void Reporter::access(internal::AccessEntry entry) {
  if (spool_.size() >= kMaxSpooledEntries) {
    spool_.pop_front();
    ++dropped_;
  }
  spool_.push_back(std::move(entry));
}

void Reporter::connected(std::shared_ptr<net::Channel> channel) {
  channel_ = std::move(channel);
  for (auto& [key, known] : health_) known.told = false;
  wake_.set();
}

void Reporter::stop() {
  stopped_ = true;
  wake_.set();
}

Result<void> Reporter::send_health(net::Channel& channel) {
  while (true) {
    Known* next = nullptr;
    for (auto& [key, known] : health_) {
      if (!known.told) {
        next = &known;
        break;
      }
    }
    if (next == nullptr) return {};
    const auto& r = next->report;
    auto key = std::make_pair(r.target_group, r.target);
    auto at = r.at;
    net::Message message;
    message.body = json::object({{"kind", "target.health"},
                                 {"target_group", r.target_group},
                                 {"target", r.target},
                                 {"state", r.state},
                                 {"reason", r.reason},
                                 {"description", r.description},
                                 {"at", at}});
    next->told = true;  // a change that comes while this waits makes it untold again
    auto answer = channel.call(std::move(message), kAnswerTimeout);
    if (!answer) {
      auto found = health_.find(key);
      if (found != health_.end()) found->second.told = false;
      return std::move(answer).error();
    }
  }
}

Result<void> Reporter::send_access(net::Channel& channel) {
  while (pending_ || !spool_.empty()) {
    if (!pending_) {
      json::Array entries;
      size_t bytes = 0;
      while (!spool_.empty()) {
        auto entry = internal::to_json(spool_.front());
        auto size = json::print(entry).size();
        if (bytes + size > kMaxBatchBytes && !entries.empty()) break;
        bytes += size;
        entries.push_back(std::move(entry));
        spool_.pop_front();
      }
      pending_ = json::object({{"kind", "access"},
                               {"source", source_},
                               {"sequence", ++sequence_},
                               {"dropped", dropped_},
                               {"entries", std::move(entries)}});
    }
    // The same batch until it is answered: control drops what it has seen by source and sequence.
    net::Message message;
    message.body = *pending_;
    TRY(channel.call(std::move(message), kAnswerTimeout));
    pending_.reset();
  }
  return {};
}

void Reporter::run() {
  while (true) {
    auto channel = channel_;
    if (channel && !channel->closed()) {
      auto sent = send_health(*channel);
      if (sent) sent = send_access(*channel);
      if (!sent) {
        log::debug("edge: control did not take an event: {}", sent.error().message);
        if (channel_ == channel && channel->closed()) channel_.reset();
      }
    }
    if (stopped_) return;
    wake_.wait_for(kReportEvery);
  }
}

}  // namespace bastide::edge
