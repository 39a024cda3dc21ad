#include "delivery/progress.h"

namespace bastide::delivery {
namespace {

constexpr size_t kLinesKept = 2'000;
constexpr size_t kFinishedKept = 50;
constexpr Millis kLook = 40;

}  // namespace

void Progress::say(const std::string& run, std::string line) {
  Feed& feed = feeds_[run];
  feed.lines.push_back(std::move(line));
  if (feed.lines.size() > kLinesKept) {
    feed.lines.pop_front();
    ++feed.dropped;
  }
}

void Progress::finish(const std::string& run) {
  feeds_[run].finished = true;
  finished_.push_back(run);
  if (finished_.size() > kFinishedKept) {
    feeds_.erase(finished_.front());
    finished_.pop_front();
  }
}

void Progress::watch(const std::string& run, const std::function<bool(const std::string&)>& f) {
  size_t next = 0;
  feeds_[run];
  for (;;) {
    const auto feed = feeds_.find(run);
    if (feed == feeds_.end()) return;
    const bool finished = feed->second.finished;
    next = std::max(next, feed->second.dropped);
    if (next < feed->second.dropped + feed->second.lines.size()) {
      const std::string line = feed->second.lines[next - feed->second.dropped];
      ++next;
      if (!f(line)) return;
    } else if (finished) {
      return;
    } else {
      net::sleep_for(kLook);
    }
  }
}

}  // namespace bastide::delivery
