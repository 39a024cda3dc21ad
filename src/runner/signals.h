// Signals by the names that image configurations use.
#pragma once

#include <string_view>

namespace bastide::runner {

// "SIGTERM", "TERM", "15"; SIGTERM for everything else, the empty text too.
int signal_number(std::string_view name);

}  // namespace bastide::runner
