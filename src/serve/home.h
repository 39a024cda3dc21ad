// One serve a home: the lock and what the instance says of itself.
#pragma once

#include <string>

#include "base/result.h"
#include "serve/supervisor.h"
#include "sys/fd.h"

namespace bastide::serve {

// Makes the home's folders (0700) and takes its lock; "Exists", naming the holder's pid, where another has it.
Result<sys::Fd> lock_home(const std::string& home);
Result<void> announce(const std::string& home, const Instance& instance);

}  // namespace bastide::serve
