// Worker threads for what would hold up a loop. submit() may be called from one thread; jobs run on any
// worker.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bastide::net {

class OffloadPool {
 public:
  OffloadPool();
  ~OffloadPool();  // finishes running jobs, drops waiting ones
  void submit(std::function<void()> job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // at most one a fiber
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bastide::net
