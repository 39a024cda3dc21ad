// CHECK: a programmer's error ends the process, in release builds too. External input must never reach one.
#pragma once

namespace bastide {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::bastide::check_failed(#condition, __FILE__, __LINE__))
