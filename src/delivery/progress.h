// The lines of a running pipeline, for those who watch it live (`git push`). On the loop's thread. Bounded: the
// oldest of 2,000 lines go; the log group has them all.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/time.h"
#include "net/loop.h"

namespace bastide::delivery {

class Progress {
 public:
  void say(const std::string& run, std::string line);
  void finish(const std::string& run);  // watchers return; later ones find it finished

  // Calls f for each line from the start until the run has finished or f returns false. Waits.
  void watch(const std::string& run, const std::function<bool(const std::string& line)>& f);

 private:
  struct Feed {
    std::deque<std::string> lines;
    size_t dropped = 0;
    bool finished = false;
  };
  std::map<std::string, Feed> feeds_;
  std::deque<std::string> finished_;
};

}  // namespace bastide::delivery
