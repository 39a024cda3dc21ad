#include "sys/fd.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace bastide::sys {

void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<Fd> Fd::duplicate() const {
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return system_error("dup");
  return Fd(copy);
}

Error system_error(std::string_view what) { return system_error(what, errno); }

Error system_error(std::string_view what, int error_number) {
  const char* code = "";
  switch (error_number) {
    case ENOENT: code = "NotFound"; break;
    case EEXIST: code = "Exists"; break;
    case EACCES:
    case EPERM: code = "Denied"; break;
    case ETIMEDOUT: code = "Timeout"; break;
    default: break;
  }
  return error(code, std::string(what) + ": " + ::strerrordesc_np(error_number));
}

}  // namespace bastide::sys
