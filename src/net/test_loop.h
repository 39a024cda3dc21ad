// For tests: a loop that runs one fiber to its end.
#pragma once

#include <gtest/gtest.h>

#include "net/loop.h"

namespace bastide::net {

struct TestLoop {
  Loop loop;
  void run(const std::function<void()>& body) {
    bool ended = false;
    loop.spawn([&] {
      body();
      ended = true;
      loop.stop();
    });
    loop.run();
    EXPECT_TRUE(ended);
  }
};

}  // namespace bastide::net
