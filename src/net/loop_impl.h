// The inside of a Loop, for src/net/*.cc only: Asio's reactor, the fibers, one timer for all deadlines,
// readiness.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <unordered_set>

#include "net/descriptor.h"
#include "net/fiber.h"
#include "net/loop.h"
#include "net/offload_pool.h"

namespace bastide::net {

// A deadline. `fire` runs on the loop, outside any fiber, after the timer has been taken off.
struct Timer {
  using Steady = std::chrono::steady_clock;
  explicit Timer(Loop::Impl& l) : loop(&l) {}
  virtual ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual void fire() = 0;
  void start(Millis after);
  void cancel();

  Loop::Impl* loop;
  Steady::time_point at;
  bool armed = false;
};

struct Loop::Impl : std::enable_shared_from_this<Loop::Impl> {
  Impl();
  ~Impl();
  void start(std::function<void()> body);  // a new fiber, at once; not from inside another
  void run_fiber(detail::Fiber* fiber);    // not from inside a fiber
  void resume_soon(detail::Fiber* fiber);
  void end();  // unwinds every suspended fiber, ends every wait
  void arm();
  void fire_due();
  OffloadPool& pool();

  struct Reactor {
    boost::asio::io_context io{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>
        tick{io};
    boost::asio::signal_set signals{io};
  };
  // Ends with the Loop. Watches keep the rest of this alive: a socket may outlive its loop.
  std::unique_ptr<Reactor> reactor = std::make_unique<Reactor>();
  std::unordered_set<Descriptor::Watch*> watches;
  Timer::Steady::time_point armed_for = Timer::Steady::time_point::max();
  std::set<std::pair<Timer::Steady::time_point, Timer*>> timers;
  detail::StackPool stacks;
  detail::Fiber* fibers = nullptr;
  std::unique_ptr<OffloadPool> offload_pool;
};

struct Descriptor::Watch {
  Watch(std::shared_ptr<Loop::Impl> loop, int fd);
  ~Watch() { close(); }
  void close();

  std::shared_ptr<Loop::Impl> loop;
  // Of this very executor: the type-erased default costs an allocation a wait.
  using Native = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;
  std::optional<Native> native;
  bool closed = false;
};

}  // namespace bastide::net
