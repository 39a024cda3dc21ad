#include "net/descriptor.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "net/loop_impl.h"
#include "sys/fd.h"

namespace bastide::net {

using Native = Descriptor::Watch::Native;

Descriptor::Watch::Watch(std::shared_ptr<Loop::Impl> l, int fd)
    : loop(std::move(l)), native(std::in_place, loop->reactor->io, fd) {
  loop->watches.insert(this);
}

void Descriptor::Watch::close() {
  if (closed) return;
  closed = true;
  loop->watches.erase(this);
  native->release();  // the owner of the descriptor closes it
  native.reset();
}

namespace {

Native::wait_type wait_type(Direction d) {
  return d == Direction::read ? Native::wait_read : Native::wait_write;
}

Wake poll_one(int fd, Direction direction, Millis timeout) {
  const Millis end = Clock::system().steady() + timeout;
  for (;;) {
    pollfd p{fd, static_cast<short>(direction == Direction::read ? POLLIN : POLLOUT), 0};
    const Millis left = timeout <= 0 ? 0 : std::clamp<Millis>(end - Clock::system().steady(), 0, kHour);
    const int n = ::poll(&p, 1, static_cast<int>(left));
    if (n > 0) return (p.revents & POLLNVAL) != 0 ? Wake::closed : Wake::ready;
    if (n < 0 && errno != EINTR) return Wake::closed;
    if (timeout <= 0 || Clock::system().steady() >= end) return Wake::timeout;
  }
}

// A wait that ran out cancels the operation and ends when Asio has given it back, so that nothing refers to
// it.
struct Wait : Timer {
  Wait(std::shared_ptr<Descriptor::Watch> w) : Timer(*w->loop), watch(std::move(w)) {}
  void fire() override {
    timed_out = true;
    if (!watch->closed) watch->native->cancel();
  }
  Wake result() const {
    if (!failed) return Wake::ready;
    if (watch->closed) return Wake::closed;
    return timed_out ? Wake::timeout : Wake::ready;  // another wait's cancel: try again
  }
  std::shared_ptr<Descriptor::Watch> watch;
  boost::system::error_code failed;
  bool timed_out = false;
};

}  // namespace

Descriptor::Descriptor(int fd) : fd_(fd) {}
Descriptor::Descriptor(Descriptor&&) noexcept = default;
Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  detach();
  fd_ = other.fd_;
  detached_ = other.detached_;
  watch_ = std::move(other.watch_);
  return *this;
}
Descriptor::~Descriptor() { detach(); }

void Descriptor::detach() {
  detached_ = true;
  if (watch_) watch_->close();
  watch_.reset();
}

Descriptor::Watch& Descriptor::watch() {
  auto loop = Loop::current().impl().shared_from_this();
  if (!watch_) {
    watch_ = std::make_shared<Watch>(std::move(loop), fd_);
  } else if (watch_->loop != loop) {  // moved to another loop between two waits
    watch_->close();
    watch_ = std::make_shared<Watch>(std::move(loop), fd_);
  }
  return *watch_;
}

Wake Descriptor::wait(Direction direction, Millis timeout) {
  if (detached_) return Wake::closed;
  if (!in_fiber() || timeout <= 0) return poll_one(fd_, direction, timeout);
  watch();
  struct FiberWait final : Wait {
    using Wait::Wait;
    detail::Fiber* fiber = detail::Fiber::current();
  } wait(watch_);
  wait.start(timeout);
  watch_->native->async_wait(wait_type(direction), [&wait](const boost::system::error_code& failed) {
    wait.failed = failed;
    wait.cancel();
    wait.loop->run_fiber(wait.fiber);
  });
  detail::Fiber::suspend();
  return wait.result();
}

void Descriptor::when_ready(Direction direction, Millis timeout, std::function<void(Wake)> f) {
  if (detached_) {
    Loop::current().post([f = std::move(f)] { f(Wake::closed); });
    return;
  }
  watch();
  auto wait = std::make_unique<Wait>(watch_);
  wait->start(timeout);
  auto& native = *watch_->native;
  native.async_wait(wait_type(direction), [wait = std::move(wait), f = std::move(f)](
                                              const boost::system::error_code& failed) mutable {
    wait->failed = failed;
    wait->cancel();
    const Wake result = wait->result();
    wait.reset();
    f(result);
  });
}

Result<bool> wait_readable(int fd, Millis timeout) {
  Descriptor descriptor(fd);
  switch (descriptor.wait(Direction::read, timeout)) {
    case Wake::ready:
      return true;
    case Wake::timeout:
      return false;
    case Wake::closed:
      break;
  }
  return error("Closed", "the descriptor was closed during a wait");
}

}  // namespace bastide::net
