// A way to the internet for one sandbox, in user space (slirp4netns): the host's own network settings stay as
// they are and its loopback stays out of reach. Ends with this object, and with this process. Thread-safe as
// a value.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

class Outward {
 public:
  // Answers when the way is open; "Unsupported" where the host lacks slirp4netns.
  static Result<std::unique_ptr<Outward>> open(const std::string& network_namespace);
  ~Outward();

  static constexpr const char* kResolver = "nameserver 10.0.2.3\n";  // for /etc/resolv.conf in there

 private:
  Outward(pid_t pid, sys::Fd life) : pid_(pid), life_(std::move(life)) {}
  pid_t pid_;
  sys::Fd life_;  // it ends when this closes
};

}  // namespace bastide::runner
