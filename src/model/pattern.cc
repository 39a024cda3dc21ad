#include <re2/re2.h>

#include "base/check.h"
#include "model/check.h"

namespace bastide::model {
namespace {

RE2::Options options() {
  RE2::Options out;
  out.set_log_errors(false);
  out.set_dot_nl(false);
  out.set_max_mem(16 << 20);
  return out;
}

}  // namespace

bool matches(const Pattern& pattern, std::string_view text) {
  const void* known = pattern.compiled.load(std::memory_order_acquire);
  if (known == nullptr) {
    auto* made = new RE2(pattern.re2, options());  // kept for the life of the process
    CHECK(made->ok());                             // a test compiles every one of them
    if (pattern.compiled.compare_exchange_strong(known, made, std::memory_order_acq_rel))
      known = made;
    else
      delete made;
  }
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *static_cast<const RE2*>(known));
}

std::string pattern_error(const Pattern& pattern) {
  const RE2 made(pattern.re2, options());
  return made.ok() ? "" : made.error();
}

}  // namespace bastide::model
