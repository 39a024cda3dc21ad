#include "edge/host_network.h"

#include <future>

#include "sys/privilege.h"

namespace bastide::edge {

namespace {
constexpr int kThreads = 3;
}

HostNetwork::HostNetwork(bool harmless) {
  for (int i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this, harmless] {
      if (harmless && !sys::drop_capabilities()) return;
      serve();
    });
  }
}

HostNetwork::~HostNetwork() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void HostNetwork::run(const std::function<void()>& f) {
  std::promise<void> done;
  {
    std::lock_guard lock(mutex_);
    queue_.push_back([&] {
      f();
      done.set_value();
    });
  }
  wake_.notify_one();
  done.get_future().wait();
}

void HostNetwork::serve() {
  while (true) {
    std::function<void()> next;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (queue_.empty()) return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    next();
  }
}

}  // namespace bastide::edge
