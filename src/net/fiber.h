// Stackful fibers on Boost.Context, annotated for the sanitizers. Inside src/net only: everybody else uses
// loop.h. A fiber is made, resumed and destroyed on one thread; destroying a suspended one unwinds its stack.
#pragma once

#include <boost/context/fiber.hpp>
#include <functional>
#include <vector>

namespace bastide::net::detail {

// Stacks are kept for reuse, so that a fiber costs no system call. One a loop.
class StackPool {
 public:
  StackPool() = default;
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  boost::context::stack_context take();
  void give(boost::context::stack_context stack);

 private:
  static constexpr size_t kKept = 64;
  std::vector<boost::context::stack_context> free_;
};

class Fiber {
 public:
  Fiber(StackPool& stacks, std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From the loop: runs it until it suspends; true once it has ended.
  bool resume();
  // From inside: back to whoever resumed it.
  static void suspend();
  static Fiber* current();

  Fiber* previous = nullptr;  // of the loop's list of all fibers
  Fiber* next = nullptr;

 private:
  void enter();  // sanitizer notes around each switch
  void entered();
  void leave(bool for_good);
  void left();

  boost::context::stack_context stack_;
  boost::context::fiber self_;    // while suspended
  boost::context::fiber caller_;  // while running
  std::function<void()> body_;
  bool done_ = false;
  [[maybe_unused]] void* fake_stack_ = nullptr;
  [[maybe_unused]] void* caller_fake_stack_ = nullptr;
  [[maybe_unused]] const void* caller_bottom_ = nullptr;
  [[maybe_unused]] size_t caller_size_ = 0;
  [[maybe_unused]] void* tsan_ = nullptr;
  [[maybe_unused]] void* tsan_caller_ = nullptr;
};

}  // namespace bastide::net::detail
