#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "runner/unpack.h"

namespace bastide::runner {
namespace {

constexpr int kMaxDepth = 512;

struct WriterEnd {
  void operator()(archive* a) const { ::archive_write_free(a); }
};
struct EntryEnd {
  void operator()(archive_entry* e) const { ::archive_entry_free(e); }
};

std::string wrong(const std::string& path) { return path + ": " + std::strerror(errno); }

// Walks in the order of names; owners are as this user namespace sees them, so uids are shifted back already.
class Packer {
 public:
  explicit Packer(Pack how) : how_(how) {}

  std::string run(int fd) {
    out_.reset(::archive_write_new());
    ::archive_write_set_format_pax_restricted(out_.get());
    ::archive_write_add_filter_none(out_.get());
    if (::archive_write_open_fd(out_.get(), fd) != ARCHIVE_OK) return failed("archive");
    if (auto why = folder(".", "", 0); !why.empty()) return why;
    if (::archive_write_close(out_.get()) != ARCHIVE_OK) return failed("archive");
    return {};
  }

 private:
  std::string failed(const std::string& name) {
    const char* text = ::archive_error_string(out_.get());
    return name + ": " + (text ? text : "not written");
  }

  std::string folder(const std::string& path, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) return path + ": folders too deep";
    DIR* open = ::opendir(path.c_str());
    if (!open) return wrong(path);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(open)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(open);
    std::sort(names.begin(), names.end());
    for (const auto& name : names) {
      if (++entries_ > kMaxEntries) return "more than " + std::to_string(kMaxEntries) + " entries";
      if (auto why = one(path + "/" + name, prefix, name, depth); !why.empty()) return why;
    }
    return {};
  }

  std::string one(const std::string& path, const std::string& prefix, const std::string& name, int depth) {
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) return wrong(path);
    if (how_ == Pack::changes && S_ISCHR(st.st_mode) && st.st_rdev == 0) return mark(prefix + ".wh." + name);
    if (S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) return {};
    std::unique_ptr<archive_entry, EntryEnd> entry(::archive_entry_new());
    ::archive_entry_copy_stat(entry.get(), &st);
    ::archive_entry_unset_atime(entry.get());
    ::archive_entry_unset_ctime(entry.get());
    ::archive_entry_set_mtime(entry.get(), st.st_mtime, 0);
    ::archive_entry_set_nlink(entry.get(), 1);
    ::archive_entry_copy_pathname(entry.get(), (prefix + name + (S_ISDIR(st.st_mode) ? "/" : "")).c_str());
    if (S_ISLNK(st.st_mode)) {
      char target[4096];
      const ssize_t n = ::readlink(path.c_str(), target, sizeof target - 1);
      if (n < 0) return wrong(path);
      target[n] = 0;
      ::archive_entry_copy_symlink(entry.get(), target);
    }
    if (S_ISREG(st.st_mode) && st.st_nlink > 1) {
      const auto [known, fresh] = links_.emplace(std::make_pair(st.st_dev, st.st_ino), prefix + name);
      if (!fresh) {
        ::archive_entry_copy_hardlink(entry.get(), known->second.c_str());
        ::archive_entry_set_size(entry.get(), 0);
      }
    }
    if (::archive_write_header(out_.get(), entry.get()) != ARCHIVE_OK) return failed(path);
    if (S_ISREG(st.st_mode) && !::archive_entry_hardlink(entry.get())) {
      if (auto why = content(path, st.st_size); !why.empty()) return why;
    }
    if (!S_ISDIR(st.st_mode)) return {};
    if (how_ == Pack::changes && opaque(path)) {
      if (auto why = mark(prefix + name + "/.wh..wh..opq"); !why.empty()) return why;
    }
    return folder(path, prefix + name + "/", depth + 1);
  }

  static bool opaque(const std::string& path) {
    char value = 0;
    return ::lgetxattr(path.c_str(), "user.overlay.opaque", &value, 1) == 1 && value == 'y';
  }

  std::string mark(const std::string& name) {
    std::unique_ptr<archive_entry, EntryEnd> entry(::archive_entry_new());
    ::archive_entry_copy_pathname(entry.get(), name.c_str());
    ::archive_entry_set_filetype(entry.get(), AE_IFREG);
    ::archive_entry_set_perm(entry.get(), 0644);
    ::archive_entry_set_size(entry.get(), 0);
    ::archive_entry_set_mtime(entry.get(), 0, 0);
    if (::archive_write_header(out_.get(), entry.get()) != ARCHIVE_OK) return failed(name);
    return {};
  }

  std::string content(const std::string& path, int64_t size) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return wrong(path);
    static char buffer[256 * 1024];
    std::string why;
    while (size > 0) {
      const ssize_t n = ::read(fd, buffer, static_cast<size_t>(std::min<int64_t>(size, sizeof buffer)));
      if (n <= 0) {
        why = n < 0 ? wrong(path) : path + ": changed meanwhile";
        break;
      }
      if (::archive_write_data(out_.get(), buffer, static_cast<size_t>(n)) != n) {
        why = failed(path);
        break;
      }
      size -= n;
    }
    ::close(fd);
    return why;
  }

  Pack how_;
  std::unique_ptr<archive, WriterEnd> out_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  int64_t entries_ = 0;
};

}  // namespace

std::string pack(int archive, Pack how) { return Packer(how).run(archive); }

}  // namespace bastide::runner
