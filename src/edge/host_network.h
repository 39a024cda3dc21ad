// Threads that stay in the host's network while the rest of edge stands in the targets': they look names up
// and make the sockets that reach origins outside.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bastide::edge {

class HostNetwork {
 public:
  // Before the process enters another network. `harmless`: its threads give up their capabilities at once.
  explicit HostNetwork(bool harmless);
  ~HostNetwork();
  HostNetwork(const HostNetwork&) = delete;
  HostNetwork& operator=(const HostNetwork&) = delete;
  void run(const std::function<void()>& f);  // on one of them; blocks: through net::offload

 private:
  void serve();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bastide::edge
