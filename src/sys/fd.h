// An owned file descriptor, always CLOEXEC. Move-only; closes at the end of its life.
#pragma once

#include <utility>

#include "base/result.h"

namespace bastide::sys {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();
  Result<Fd> duplicate() const;

 private:
  int fd_ = -1;
};

// An error of the running system: "what: No such file or directory", with code "NotFound" for ENOENT, "Exists"
// for EEXIST, "Denied" for EACCES and EPERM. Read errno before anything else can change it.
Error system_error(std::string_view what);
Error system_error(std::string_view what, int error_number);

}  // namespace bastide::sys
