// Network namespaces, kept by bind mounts in the stage's /net. Work inside one happens on a thread of its
// own.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

// Runs f on a thread that is in the namespace; the thread ends afterwards.
Result<void> in_namespace(int ns, const std::function<Result<void>()>& f);
// Runs f on a thread in a namespace made for it, whose descriptor f gets; nothing keeps it but f. The
// loopback device is up, IPv6 and forwarding are off, every port may be bound by anyone inside.
Result<void> in_new_namespace(const std::function<Result<void>(int ns)>& f);

Result<void> allow_forwarding();         // in the calling thread's namespace
Result<void> enter_namespace(int ns);  // the calling thread

Result<void> keep_namespace(int ns, const std::string& file);
Result<sys::Fd> open_namespace(const std::string& file);  // "NotFound" where none is kept there
Result<void> drop_namespace(const std::string& file);     // no error where there is none

}  // namespace bastide::runner
