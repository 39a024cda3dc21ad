// Readiness of one descriptor, for src/net/*.cc: waits of fibers, waits that hold no fiber, and outside a
// fiber poll(). Does not own the descriptor; detach() before closing it.
#pragma once

#include <functional>
#include <memory>

#include "base/time.h"

namespace bastide::net {

enum class Direction { read, write };
enum class Wake { ready, timeout, closed };

class Descriptor {
 public:
  explicit Descriptor(int fd);
  ~Descriptor();
  Descriptor(Descriptor&&) noexcept;
  Descriptor& operator=(Descriptor&&) noexcept;

  // Waits. `ready` may come without cause: try, and wait again.
  Wake wait(Direction direction, Millis timeout);
  // Calls back on the loop, outside any fiber; at most one a direction.
  void when_ready(Direction direction, Millis timeout, std::function<void(Wake)> f);
  void detach();  // every wait ends as `closed`

  struct Watch;

 private:
  Watch& watch();  // registered with the current loop at the first need

  int fd_;
  bool detached_ = false;
  std::shared_ptr<Watch> watch_;
};

}  // namespace bastide::net
