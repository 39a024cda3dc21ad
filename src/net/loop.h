// The reactor of a role and the fibers on it. Straight-line code that waits: inside a fiber, every call of
// net/ that says "waits" suspends that fiber alone. A fiber stays on its loop's thread; it never suspends
// under a mutex, in a store transaction, in a destructor, in noexcept code or in a catch. Boost.Asio is
// hidden in *.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace bastide::net {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;

  void run();                           // until stop(); on the thread that is to be this loop's
  void stop();                          // from any thread
  void post(std::function<void()> f);   // from any thread; f runs on the loop and must not wait
  void spawn(std::function<void()> f);  // from any thread; f runs as a fiber (256 KiB of stack)

  // Calls f on the loop for each of these signals from now on; must not wait. One call a loop, on its thread.
  void on_signals(const std::vector<int>& signals, std::function<void(int)> f);

  // The loop of this thread: the one it runs, else the first it made. CHECKs that there is one.
  static Loop& current();

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

bool in_fiber();

// Starts a fiber on the current loop.
void spawn(std::function<void()> f);

// Waits. Negative and zero durations yield once.
void sleep_for(Millis duration);

// Waits until the descriptor (a pidfd, a pipe, ...) is readable or its peer is gone; false: not within that
// time. Works outside a fiber too.
Result<bool> wait_readable(int fd, Millis timeout);

// Runs f on a worker thread (work over 200 us: hashing bodies, RSA, files, subprocesses); waits for it.
// Outside a fiber it runs f in place.
void offload(std::function<void()> f);
template <class F>
auto offload_result(F f) -> decltype(f()) {
  std::optional<decltype(f())> out;
  offload([&] { out.emplace(f()); });
  return std::move(*out);
}

// A wake-up between fibers of one loop (or from other threads by post): wait() returns at once when set()
// came since the last wait. A set() wakes every fiber that waits at that time.
class Event {
 public:
  Event();
  ~Event();
  void set();                      // on the loop's thread
  void wait();                     // waits
  bool wait_for(Millis duration);  // waits; false: nothing came in time

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::net
