#include "runner/merge.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace bastide::runner {
namespace {

constexpr int kMaxDepth = 512;
constexpr size_t kBlock = 1 << 20;

struct Fd {
  explicit Fd(int number) : fd(number) {}
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int fd;
};

std::string wrong(const std::string& name) { return name + ": " + std::strerror(errno); }

int open_folder(int at, const char* name) {
  return ::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

std::vector<std::string> names_in(int folder) {
  std::vector<std::string> names;
  DIR* open = ::fdopendir(::fcntl(folder, F_DUPFD_CLOEXEC, 3));
  if (!open) return names;
  ::rewinddir(open);
  while (const dirent* entry = ::readdir(open)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(open);
  return names;
}

std::string remove(int at, const std::string& name, int depth);

std::string clear(int folder, int depth) {
  if (depth > kMaxDepth) return "folders too deep";
  ::fchmod(folder, 0700);
  for (const auto& name : names_in(folder)) {
    if (auto why = remove(folder, name, depth + 1); !why.empty()) return why;
  }
  return {};
}

std::string remove(int at, const std::string& name, int depth) {
  if (::unlinkat(at, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return wrong(name);
  if (::fchmodat(at, name.c_str(), 0700, 0) != 0) return wrong(name);
  const Fd folder(open_folder(at, name.c_str()));
  if (folder.fd < 0) return wrong(name);
  if (auto why = clear(folder.fd, depth); !why.empty()) return why;
  return ::unlinkat(at, name.c_str(), AT_REMOVEDIR) == 0 ? "" : wrong(name);
}

std::string copy_content(int from, int to, const std::string& name) {
  if (::ioctl(to, FICLONE, from) == 0) return {};
  static std::vector<char> block(kBlock);
  for (;;) {
    const ssize_t n = ::read(from, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return wrong(name);
    if (n == 0) return {};
    for (ssize_t done = 0; done < n;) {
      const ssize_t written = ::write(to, block.data() + done, static_cast<size_t>(n - done));
      if (written < 0 && errno != EINTR) return wrong(name);
      if (written > 0) done += written;
    }
  }
}

bool is_opaque(int folder) {
  char value = 0;
  return ::fgetxattr(folder, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

std::string copy_file(int from, int to, const std::string& name, const struct stat& st) {
  const Fd source(::openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const Fd target(::openat(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (source.fd < 0 || target.fd < 0) return wrong(name);
  if (auto why = copy_content(source.fd, target.fd, name); !why.empty()) return why;
  const timespec times[] = {st.st_atim, st.st_mtim};
  if (::fchmod(target.fd, st.st_mode & 0777) != 0 || ::futimens(target.fd, times) != 0) return wrong(name);
  return {};
}

std::string copy_link(int from, int to, const std::string& name) {
  char target[4096];
  const ssize_t n = ::readlinkat(from, name.c_str(), target, sizeof target - 1);
  if (n < 0) return wrong(name);
  target[n] = 0;
  return ::symlinkat(target, to, name.c_str()) == 0 ? "" : wrong(name);
}

std::string copy_folder(int from, int to, int depth) {
  if (depth > kMaxDepth) return "folders too deep";
  if (is_opaque(from)) {
    if (auto why = clear(to, depth); !why.empty()) return why;
  }
  for (const auto& name : names_in(from)) {
    struct stat st, there;
    if (::fstatat(from, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return wrong(name);
    const bool exists = ::fstatat(to, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && !(S_ISDIR(st.st_mode) && S_ISDIR(there.st_mode))) {
      if (auto why = remove(to, name, depth); !why.empty()) return why;
    }
    if (S_ISDIR(st.st_mode)) {
      if (::mkdirat(to, name.c_str(), 0700) != 0 && errno != EEXIST) return wrong(name);
      if (::fchmodat(to, name.c_str(), 0700, 0) != 0) return wrong(name);
      const Fd source(open_folder(from, name.c_str())), target(open_folder(to, name.c_str()));
      if (source.fd < 0 || target.fd < 0) return wrong(name);
      if (auto why = copy_folder(source.fd, target.fd, depth + 1); !why.empty()) return name + "/" + why;
      const timespec times[] = {st.st_atim, st.st_mtim};
      if (::fchmod(target.fd, st.st_mode & 01777) != 0 || ::futimens(target.fd, times) != 0)
        return wrong(name);
    } else if (S_ISREG(st.st_mode)) {
      if (auto why = copy_file(from, to, name, st); !why.empty()) return why;
    } else if (S_ISLNK(st.st_mode)) {
      if (auto why = copy_link(from, to, name); !why.empty()) return why;
    } else if (S_ISFIFO(st.st_mode)) {
      if (::mkfifoat(to, name.c_str(), st.st_mode & 0777) != 0) return wrong(name);
    }
    // A character device 0:0 is a whiteout: what it hides is gone already.
  }
  return {};
}

}  // namespace

std::string merge(int layer) {
  const Fd target(open_folder(AT_FDCWD, "."));
  if (target.fd < 0) return wrong("the root folder");
  return copy_folder(layer, target.fd, 0);
}

}  // namespace bastide::runner
