#include "runner/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <string_view>

namespace bastide::runner {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

struct ReaderEnd {
  void operator()(archive* a) const { ::archive_read_free(a); }
};
struct WriterEnd {
  void operator()(archive* a) const { ::archive_write_free(a); }
};

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string text_of(archive* a, const std::string& name) {
  const char* text = ::archive_error_string(a);
  return name + ": " + (text ? text : "unreadable");
}

class Unpacker {
 public:
  Unpacker(Unpack how, bool one_owner) : how_(how), one_owner_(one_owner || how == Unpack::files) {}

  std::string run(int fd) {
    std::unique_ptr<archive, ReaderEnd> reader(::archive_read_new());
    ::archive_read_support_filter_gzip(reader.get());
    ::archive_read_support_filter_zstd(reader.get());
    ::archive_read_support_format_tar(reader.get());
    ::archive_read_support_format_empty(reader.get());
    if (::archive_read_open_fd(reader.get(), fd, 256 * 1024) != ARCHIVE_OK)
      return text_of(reader.get(), "archive");
    disk_.reset(::archive_write_disk_new());
    ::archive_write_disk_set_options(disk_.get(), ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM |
                                                      ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_NODOTDOT);
    for (;;) {
      archive_entry* entry = nullptr;
      const int status = ::archive_read_next_header(reader.get(), &entry);
      if (status == ARCHIVE_EOF) break;
      if (status < ARCHIVE_WARN) return text_of(reader.get(), "archive");
      if (++entries_ > kMaxEntries) return "more than " + std::to_string(kMaxEntries) + " entries";
      if (auto why = take(reader.get(), entry); !why.empty()) return why;
    }
    if (::archive_write_close(disk_.get()) < ARCHIVE_WARN) return text_of(disk_.get(), "closing");
    return apply_whiteouts();
  }

 private:
  std::string take(archive* reader, archive_entry* entry) {
    const char* raw = ::archive_entry_pathname(entry);
    if (!raw) raw = ::archive_entry_pathname_utf8(entry);
    std::string name;
    if (!raw || !clean_name(raw, name))
      return "an entry's name leads out of the archive: " + std::string(raw ? raw : "unreadable");
    if (name.empty()) name = ".";
    const auto slash = name.rfind('/');
    const std::string_view last = std::string_view(name).substr(slash == std::string::npos ? 0 : slash + 1);
    if (how_ == Unpack::layer && last.starts_with(kWhiteout)) {
      if (last == kOpaque) {
        opaque_.insert(parent_of(name));
      } else if (!last.starts_with(".wh..wh.")) {
        const auto hidden = std::string(last.substr(kWhiteout.size()));
        if (!hidden.empty() && hidden != "." && hidden != "..")
          hidden_.insert(slash == std::string::npos ? hidden : name.substr(0, slash + 1) + hidden);
      }
      return {};
    }
    const auto type = ::archive_entry_filetype(entry);
    if (type == AE_IFBLK || type == AE_IFCHR || type == AE_IFSOCK)
      return {};  // devices come from the runtime alone
    if (one_owner_) {
      ::archive_entry_set_uid(entry, 0);
      ::archive_entry_set_gid(entry, 0);
    } else if (::archive_entry_uid(entry) < 0 || ::archive_entry_uid(entry) > kMaxId ||
               ::archive_entry_gid(entry) < 0 || ::archive_entry_gid(entry) > kMaxId) {
      return name + ": its owner is beyond " + std::to_string(kMaxId);
    }
    ::archive_entry_copy_pathname(entry, name.c_str());
    if (const char* target = ::archive_entry_hardlink(entry)) {
      std::string to;
      if (!clean_name(target, to) || to.empty()) return name + ": a link that leads out of the archive";
      ::archive_entry_copy_hardlink(entry, to.c_str());
    }
    ::archive_entry_xattr_clear(entry);
    ::archive_entry_acl_clear(entry);
    ::archive_entry_set_fflags(entry, 0, 0);
    if (::archive_write_header(disk_.get(), entry) < ARCHIVE_OK) return text_of(disk_.get(), name);
    if (auto why = copy(reader, name); !why.empty()) return why;
    if (::archive_write_finish_entry(disk_.get()) < ARCHIVE_WARN) return text_of(disk_.get(), name);
    return {};
  }

  std::string copy(archive* reader, const std::string& name) {
    for (;;) {
      const void* block = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      const int status = ::archive_read_data_block(reader, &block, &size, &offset);
      if (status == ARCHIVE_EOF) return {};
      if (status < ARCHIVE_WARN) return text_of(reader, name);
      bytes_ += static_cast<int64_t>(size);
      if (bytes_ > kMaxUnpackedBytes)
        return "more than " + std::to_string(kMaxUnpackedBytes >> 30) + " GiB unpacked";
      if (::archive_write_data_block(disk_.get(), block, size, offset) < ARCHIVE_OK)
        return text_of(disk_.get(), name);
    }
  }

  static std::string make_folders(const std::string& path) {
    if (path == "." || ::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
    if (errno == ENOENT) {
      if (auto why = make_folders(parent_of(path)); !why.empty()) return why;
      if (::mkdir(path.c_str(), 0755) == 0) return {};
    }
    return path + ": " + std::strerror(errno);
  }

  static std::string mark_opaque(const std::string& folder) {
    if (auto why = make_folders(folder); !why.empty()) return why;
    if (::setxattr(folder.c_str(), "user.overlay.opaque", "y", 1, 0) != 0)
      return folder + ": opaque: " + std::strerror(errno);
    return {};
  }

  // What a whiteout hides lies in lower layers only: an entry of the same name in this layer stays.
  std::string apply_whiteouts() {
    for (const auto& folder : opaque_) {
      if (auto why = mark_opaque(folder); !why.empty()) return why;
    }
    for (const auto& name : hidden_) {
      struct stat st;
      if (::lstat(name.c_str(), &st) == 0) {
        if (!S_ISDIR(st.st_mode)) continue;
        if (auto why = mark_opaque(name); !why.empty()) return why;
        continue;
      }
      if (auto why = make_folders(parent_of(name)); !why.empty()) return why;
      if (::mknod(name.c_str(), S_IFCHR, ::makedev(0, 0)) != 0)
        return name + ": whiteout: " + std::strerror(errno);
    }
    return {};
  }

  Unpack how_;
  bool one_owner_;
  std::unique_ptr<archive, WriterEnd> disk_;
  std::set<std::string> opaque_, hidden_;
  int64_t entries_ = 0, bytes_ = 0;
};

}  // namespace

bool clean_name(const char* name, std::string& out) {
  out.clear();
  std::string_view rest(name);
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const auto part = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") return false;
    if (!out.empty()) out += '/';
    out += part;
  }
  return out.size() < 4096;
}

std::string unpack(int archive, Unpack how, bool one_owner) { return Unpacker(how, one_owner).run(archive); }

}  // namespace bastide::runner
