// The reactor of a role and the fibers on it. Straight-line code that waits: inside a fiber, every call of net/
// that says "waits" suspends that fiber alone. A fiber stays on its loop's thread; it never suspends under a
// mutex, in a store transaction, in a destructor, in noexcept code or in a catch. Boost.Asio is hidden in *.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/time.h"

namespace bastide::net {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;

  void run();   // until stop(); on the thread that is to be this loop's
  void stop();  // from any thread
  void post(std::function<void()> f);   // from any thread; f runs on the loop and must not wait
  void spawn(std::function<void()> f);  // from any thread; f runs as a fiber (256 KiB of stack)

  static Loop& current();  // the loop of this thread; CHECKs that there is one

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

bool in_fiber();

// Starts a fiber on the current loop.
void spawn(std::function<void()> f);

// Waits. Negative and zero durations yield once.
void sleep_for(Millis duration);

// Runs f on a worker thread (work over 200 us: hashing bodies, RSA, files, subprocesses); waits for it.
// Outside a fiber it runs f in place.
void offload(std::function<void()> f);
template <class F>
auto offload_result(F f) -> decltype(f()) {
  std::optional<decltype(f())> out;
  offload([&] { out.emplace(f()); });
  return std::move(*out);
}

// A wake-up between fibers of one loop (or from other threads by post): wait() returns at once when set() came
// since the last wait.
class Event {
 public:
  Event();
  ~Event();
  void set();                                   // on the loop's thread
  void wait();                                  // waits
  bool wait_for(Millis duration);               // waits; false: nothing came in time

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::net
