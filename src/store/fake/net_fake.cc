// Stands in for the room `net` in store_test until it is there: no fibers, so no event is ever waited for.
#include "net/loop.h"

namespace bastide::net {
struct Loop::Impl {};
struct Event::Impl {};
Loop& Loop::current() { check_failed("a loop", __FILE__, __LINE__); }
void Loop::post(std::function<void()>) { check_failed("a loop", __FILE__, __LINE__); }
bool in_fiber() { return false; }
void spawn(std::function<void()>) { check_failed("a loop", __FILE__, __LINE__); }
void sleep_for(Millis) {}
Event::Event() = default;
Event::~Event() = default;
void Event::set() {}
void Event::wait() { check_failed("a fiber", __FILE__, __LINE__); }
bool Event::wait_for(Millis) { check_failed("a fiber", __FILE__, __LINE__); }
}  // namespace bastide::net
