// Reading archives into a FileTree.
#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <memory>

#include "delivery/image_tree.h"
#include "delivery/image_utf8.h"

namespace bastide::delivery {
namespace {

constexpr size_t kBlock = 256u << 10;

struct ReadFree {
  void operator()(archive* a) const { archive_read_free(a); }
};

std::string text(const char* s) { return s ? s : ""; }

Result<TreeEntry> metadata(archive_entry* e, const std::string& path) {
  TreeEntry out;
  out.mode = archive_entry_perm(e) & 07777;
  out.uid = static_cast<uint32_t>(archive_entry_uid(e));
  out.gid = static_cast<uint32_t>(archive_entry_gid(e));
  if (const char* target = archive_entry_hardlink(e)) {
    out.type = TreeEntry::Type::hard_link;
    out.link = clean_path(target);
    return out;
  }
  switch (archive_entry_filetype(e)) {
    case AE_IFREG:
      out.type = TreeEntry::Type::file;
      break;
    case AE_IFDIR:
      out.type = TreeEntry::Type::folder;
      break;
    case AE_IFLNK:
      out.type = TreeEntry::Type::symlink;
      out.link = text(archive_entry_symlink(e));
      break;
    case AE_IFIFO:
      out.type = TreeEntry::Type::fifo;
      break;
    case AE_IFCHR:
    case AE_IFBLK:
      out.type = TreeEntry::Type::device;
      out.block_device = archive_entry_filetype(e) == AE_IFBLK;
      out.device = archive_entry_rdev(e);
      break;
    default:
      return error("Invalid", "the archive has an entry of an unknown kind: " + path);
  }
  archive_entry_xattr_reset(e);
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
    out.attributes[name] = std::string(static_cast<const char*>(value), size);
  }
  return out;
}

}  // namespace

Result<void> FileTree::read_archive(int fd, bool contents,
                                    const std::function<bool(const std::string&)>& skip) {
  const Utf8 utf8;
  if (::lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE) return sys::system_error("cannot read the archive");
  std::unique_ptr<archive, ReadFree> in(archive_read_new());
  archive_read_support_format_tar(in.get());
  archive_read_support_filter_gzip(in.get());
  archive_read_support_filter_zstd(in.get());
  archive_read_support_filter_xz(in.get());
  const auto broken = [&] {
    return error("Invalid", "not a readable tar archive: " + text(archive_error_string(in.get())));
  };
  if (archive_read_open_fd(in.get(), fd, kBlock) != ARCHIVE_OK) return broken();
  while (true) {
    archive_entry* e = nullptr;
    const int status = archive_read_next_header(in.get(), &e);
    if (status == ARCHIVE_EOF) return {};
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return broken();
    const std::string raw = text(archive_entry_pathname(e));
    const std::string path = clean_path(raw);
    if (path.empty() || (skip && skip(path))) continue;
    if (entries_.size() >= kMaxEntries) return error("TooLarge", "the archive has more than a million files");
    TreeEntry entry = TRY(metadata(e, path));
    entry.offset = spool_->size();
    if (entry.type == TreeEntry::Type::file && contents) {
      std::string buffer(kBlock, '\0');
      while (true) {
        const la_ssize_t n = archive_read_data(in.get(), buffer.data(), buffer.size());
        if (n < 0) return broken();
        if (n == 0) break;
        TRY(spool_->append(std::string_view(buffer).substr(0, static_cast<size_t>(n))));
      }
      entry.size = spool_->size() - entry.offset;
    } else if (entry.type == TreeEntry::Type::file) {
      entry.size = archive_entry_size(e);
    }
    put(path, std::move(entry));
  }
}

}  // namespace bastide::delivery
