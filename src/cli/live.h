// The live tree of what is being made: redrawn in place on a terminal, one line a change elsewhere.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/time.h"

namespace bastide::cli {

class LiveTree {
 public:
  explicit LiveTree(std::string region);
  void step(const std::string& account, const std::string& what, const std::string& state, const std::string& reason);
  void tick();    // how long things take, while nothing changes
  void finish();  // leaves the last picture standing
  bool changed() const { return changed_; }

 private:
  struct Item {
    std::string what, state, reason;
    Millis since = 0, took = 0;
  };
  void draw();

  std::string region_;
  bool terminal_;
  bool changed_ = false;
  std::vector<std::pair<std::string, std::vector<Item>>> accounts_;
  size_t lines_drawn_ = 0;
  Millis drawn_ = 0;
};

}  // namespace bastide::cli
