#include "runner/signals.h"

#include <signal.h>
#include <string.h>

#include "base/bytes.h"

namespace bastide::runner {

int signal_number(std::string_view name) {
  if (auto number = parse_int(name); number && *number > 0 && *number < NSIG)
    return static_cast<int>(*number);
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int number = 1; number < NSIG; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known && name == known) return number;
  }
  return SIGTERM;
}

}  // namespace bastide::runner
