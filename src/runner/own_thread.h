// Runs long work (unpacking, packing) on a thread of its own, so that it does not hold one of the few workers
// that short work shares. In a fiber; waits.
#pragma once

#include <memory>
#include <optional>
#include <thread>

#include "net/loop.h"

namespace bastide::runner {

template <class F>
auto on_own_thread(F f) -> decltype(f()) {
  net::Loop& loop = net::Loop::current();
  net::Event done;
  std::optional<decltype(f())> out;
  std::thread thread([&] {
    out.emplace(f());
    loop.post([&done] { done.set(); });
  });
  done.wait();
  thread.join();
  return std::move(*out);
}

}  // namespace bastide::runner
