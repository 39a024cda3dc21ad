#include "net/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace bastide::net::detail {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackBytes = 1u << 20;  // instrumented frames are several times as large
#else
constexpr size_t kStackBytes = 256u << 10;
#endif

thread_local Fiber* running = nullptr;

struct PooledStacks {
  StackPool* pool;
  boost::context::stack_context allocate() { return pool->take(); }
  void deallocate(boost::context::stack_context& stack) { pool->give(stack); }
};

size_t page() {
  static const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

void unmap(const boost::context::stack_context& stack) {
  ::munmap(static_cast<char*>(stack.sp) - stack.size - page(), stack.size + page());
}

}  // namespace

StackPool::~StackPool() {
  for (auto& stack : free_) unmap(stack);
}

boost::context::stack_context StackPool::take() {
  if (!free_.empty()) {
    auto stack = free_.back();
    free_.pop_back();
    return stack;
  }
  void* memory = ::mmap(nullptr, kStackBytes + page(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  CHECK(::mprotect(memory, page(), PROT_NONE) == 0);
  boost::context::stack_context stack;
  stack.size = kStackBytes;
  stack.sp = static_cast<char*>(memory) + page() + kStackBytes;
  return stack;
}

void StackPool::give(boost::context::stack_context stack) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(static_cast<char*>(stack.sp) - stack.size, stack.size);
#endif
  if (free_.size() < kKept) {
    free_.push_back(stack);
  } else {
    unmap(stack);
  }
}

Fiber::Fiber(StackPool& stacks, std::function<void()> body) : stack_(stacks.take()), body_(std::move(body)) {
#if defined(__SANITIZE_THREAD__)
  // Making the context runs Boost's entry function up to its first switch back.
  tsan_ = __tsan_create_fiber(0);
  tsan_caller_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_, 0);
#endif
  self_ =
      boost::context::fiber(std::allocator_arg, boost::context::preallocated(stack_.sp, stack_.size, stack_),
                            PooledStacks{&stacks}, [this](boost::context::fiber&& caller) {
                              struct Leaving {  // also when the stack is unwound
                                Fiber* fiber;
                                ~Leaving() { fiber->leave(true); }
                              };
                              entered();
                              caller_ = std::move(caller);
                              Leaving leaving{this};
                              body_();
                              body_ = nullptr;
                              done_ = true;
                              return std::move(caller_);
                            });
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(tsan_caller_, 0);
#endif
}

Fiber::~Fiber() {
  if (self_) {
    enter();
    self_ = {};
    left();
  }
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(tsan_);
#endif
}

Fiber* Fiber::current() { return running; }

bool Fiber::resume() {
  CHECK(running == nullptr);
  running = this;
  enter();
  self_ = std::move(self_).resume();
  left();
  running = nullptr;
  return done_;
}

void Fiber::suspend() {
  Fiber* fiber = running;
  CHECK(fiber != nullptr);
  struct Landing {  // also when the stack is unwound
    Fiber* fiber;
    ~Landing() { fiber->entered(); }
  } landing{fiber};
  fiber->leave(false);
  fiber->caller_ = std::move(fiber->caller_).resume();
}

void Fiber::enter() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&caller_fake_stack_, static_cast<char*>(stack_.sp) - stack_.size,
                                 stack_.size);
#endif
#if defined(__SANITIZE_THREAD__)
  tsan_caller_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_, 0);
#endif
}

void Fiber::entered() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &caller_bottom_, &caller_size_);
#endif
}

void Fiber::leave([[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, caller_bottom_, caller_size_);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(tsan_caller_, 0);
#endif
}

void Fiber::left() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(caller_fake_stack_, nullptr, nullptr);
#endif
}

}  // namespace bastide::net::detail
