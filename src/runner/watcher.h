// Wakes somebody when a file in a folder changes or a process ends: one thread over inotify and pidfds.
// Callbacks run on that thread and must be short (post to a loop). Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

class Watcher {
 public:
  static Result<std::unique_ptr<Watcher>> start();
  ~Watcher();

  // Watches a container: its folder and the spool in it, and its shim where that lives. The number is for
  // forget().
  Result<uint64_t> watch(const std::string& folder, sys::Fd shim, std::function<void()> wake);
  void forget(uint64_t number);

 private:
  struct Watched {
    std::function<void()> wake;
    sys::Fd shim;
    int folder = -1, spool = -1;  // inotify's numbers
  };
  void run();
  void changed(int inotify_number);
  void ended(uint64_t number);

  sys::Fd epoll_, inotify_, stop_;
  std::mutex mutex_;
  std::map<uint64_t, Watched> watched_;
  std::map<int, uint64_t> by_inotify_;
  uint64_t next_ = 16;
  std::thread thread_;
};

}  // namespace bastide::runner
