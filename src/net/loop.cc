#include "net/loop.h"

#include <signal.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <thread>

#include "base/check.h"
#include "net/loop_impl.h"

namespace bastide::net {

namespace asio = boost::asio;
using detail::Fiber;

namespace {

thread_local Loop* current_loop = nullptr;

std::chrono::milliseconds millis(Millis m) { return std::chrono::milliseconds(m); }

}  // namespace

// --- timers ---

void Timer::start(Millis after) {
  cancel();
  constexpr Millis kLongest = 365 * kDay;
  at = Steady::now() + millis(std::clamp<Millis>(after, 0, kLongest));
  loop->timers.emplace(at, this);
  armed = true;
  loop->arm();
}

void Timer::cancel() {
  if (!armed) return;
  loop->timers.erase({at, this});
  armed = false;
}

// Asio's timer is only ever moved forward here: most deadlines are cancelled long before they come, and a
// tick that finds nothing due is cheaper than a system call for every wait.
void Loop::Impl::arm() {
  if (timers.empty() || timers.begin()->first >= armed_for) return;
  armed_for = timers.begin()->first;
  reactor->tick.expires_at(armed_for);
  reactor->tick.async_wait([this](const boost::system::error_code& failed) {
    if (!failed) fire_due();
  });
}

void Loop::Impl::fire_due() {
  armed_for = Timer::Steady::time_point::max();
  const auto now = Timer::Steady::now();
  while (!timers.empty() && timers.begin()->first <= now) {
    Timer* timer = timers.begin()->second;
    timer->cancel();
    timer->fire();
  }
  arm();
}

// --- fibers ---

Loop::Impl::Impl() = default;
Loop::Impl::~Impl() = default;

void Loop::Impl::start(std::function<void()> body) {
  auto* fiber = new Fiber(stacks, std::move(body));
  fiber->next = fibers;
  if (fibers != nullptr) fibers->previous = fiber;
  fibers = fiber;
  run_fiber(fiber);
}

void Loop::Impl::run_fiber(Fiber* fiber) {
  if (!fiber->resume()) return;
  if (fiber->previous != nullptr) fiber->previous->next = fiber->next;
  if (fiber->next != nullptr) fiber->next->previous = fiber->previous;
  if (fibers == fiber) fibers = fiber->next;
  delete fiber;
}

void Loop::Impl::resume_soon(Fiber* fiber) {
  asio::post(reactor->io, [this, fiber] { run_fiber(fiber); });
}

void Loop::Impl::end() {
  offload_pool.reset();  // before the stacks that its jobs refer to
  while (fibers != nullptr) {
    Fiber* fiber = fibers;
    fibers = fiber->next;
    if (fibers != nullptr) fibers->previous = nullptr;
    delete fiber;
  }
  while (!watches.empty()) (*watches.begin())->close();
  reactor.reset();
}

OffloadPool& Loop::Impl::pool() {
  if (!offload_pool) offload_pool = std::make_unique<OffloadPool>();
  return *offload_pool;
}

// --- the loop ---

Loop::Loop() : impl_(std::make_shared<Impl>()) {
  if (current_loop == nullptr) current_loop = this;
  ::signal(SIGPIPE, SIG_IGN);  // sendfile() has no MSG_NOSIGNAL
}

Loop::~Loop() {
  impl_->end();
  if (current_loop == this) current_loop = nullptr;
}

void Loop::run() {
  CHECK(!in_fiber());
  Loop* before = std::exchange(current_loop, this);
  impl_->reactor->io.restart();
  impl_->reactor->io.run();
  current_loop = before;
}

void Loop::stop() { impl_->reactor->io.stop(); }

void Loop::post(std::function<void()> f) { asio::post(impl_->reactor->io, std::move(f)); }

void Loop::spawn(std::function<void()> f) {
  asio::post(impl_->reactor->io,
             [impl = impl_.get(), f = std::move(f)]() mutable { impl->start(std::move(f)); });
}

void Loop::on_signals(const std::vector<int>& signals, std::function<void(int)> f) {
  auto& set = impl_->reactor->signals;
  set.clear();
  for (const int number : signals) set.add(number);
  struct Wait {
    static void again(boost::asio::signal_set& set, std::function<void(int)> f) {
      set.async_wait([&set, f = std::move(f)](const boost::system::error_code& failed, int number) mutable {
        if (failed) return;
        auto copy = f;
        again(set, std::move(f));
        copy(number);
      });
    }
  };
  Wait::again(set, std::move(f));
}

Loop& Loop::current() {
  CHECK(current_loop != nullptr);
  return *current_loop;
}

bool in_fiber() { return Fiber::current() != nullptr; }

void spawn(std::function<void()> f) { Loop::current().spawn(std::move(f)); }

void sleep_for(Millis duration) {
  if (!in_fiber()) {
    if (duration > 0) std::this_thread::sleep_for(millis(duration));
    return;
  }
  auto& loop = Loop::current().impl();
  if (duration <= 0) {
    loop.resume_soon(Fiber::current());
    Fiber::suspend();
    return;
  }
  struct Sleep final : Timer {
    using Timer::Timer;
    Fiber* fiber = Fiber::current();
    void fire() override { loop->run_fiber(fiber); }
  } sleep(loop);
  sleep.start(duration);
  Fiber::suspend();
}

void offload(std::function<void()> f) {
  if (!in_fiber()) {
    f();
    return;
  }
  auto& loop = Loop::current().impl();
  loop.pool().submit([&loop, &f, fiber = Fiber::current()] {
    f();
    loop.resume_soon(fiber);
  });
  Fiber::suspend();
}

// --- events ---

struct Event::Impl {
  struct Waiting final : Timer {
    Waiting(Loop::Impl& l, std::shared_ptr<Impl> e) : Timer(l), event(std::move(e)) {
      event->waiting.push_back(this);
    }
    ~Waiting() override { forget(); }
    void forget() { std::erase(event->waiting, this); }
    void fire() override {
      forget();
      loop->run_fiber(fiber);
    }
    std::shared_ptr<Impl> event;
    Fiber* fiber = Fiber::current();
    bool woken = false;
  };
  bool set = false;
  std::vector<Waiting*> waiting;
};

Event::Event() : impl_(std::make_shared<Impl>()) {}
Event::~Event() = default;

void Event::set() {
  if (impl_->waiting.empty()) {
    impl_->set = true;
    return;
  }
  for (auto* waiting : std::exchange(impl_->waiting, {})) {
    waiting->woken = true;
    waiting->cancel();
    waiting->loop->resume_soon(waiting->fiber);
  }
}

void Event::wait() {
  CHECK(in_fiber());
  if (std::exchange(impl_->set, false)) return;
  Impl::Waiting waiting(Loop::current().impl(), impl_);
  Fiber::suspend();
}

bool Event::wait_for(Millis duration) {
  CHECK(in_fiber());
  if (std::exchange(impl_->set, false)) return true;
  Impl::Waiting waiting(Loop::current().impl(), impl_);
  waiting.start(duration);
  Fiber::suspend();
  return waiting.woken;
}

}  // namespace bastide::net
