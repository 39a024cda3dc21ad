#include "delivery/image_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "base/crypto.h"
#include "delivery/image_utf8.h"
#include "sys/file.h"

namespace bastide::delivery {
namespace {

constexpr size_t kBlock = 256u << 10;
constexpr int kLevel = 1;  // gzip's fastest: a commit waits for it

// The tar goes through here: hashed, compressed, hashed again, written.
class Sink {
 public:
  Result<void> open(const std::string& folder) {
    file_ = sys::Fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file_) return sys::system_error("cannot make a temporary file in " + folder);
    // 15 + 16: a gzip header, whose time zlib leaves at zero.
    if (deflateInit2(&zip_, kLevel, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      return error("cannot start the compression");
    }
    started_ = true;
    return {};
  }
  Sink() { std::memset(&zip_, 0, sizeof zip_); }
  ~Sink() {
    if (started_) deflateEnd(&zip_);
  }
  Sink(const Sink&) = delete;

  Result<void> write(std::string_view bytes, bool last) {
    plain_.update(bytes);
    zip_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    zip_.avail_in = static_cast<uInt>(bytes.size());
    int status = Z_OK;
    do {
      zip_.next_out = reinterpret_cast<Bytef*>(out_.data());
      zip_.avail_out = static_cast<uInt>(out_.size());
      status = deflate(&zip_, last ? Z_FINISH : Z_NO_FLUSH);
      const std::string_view made = std::string_view(out_).substr(0, out_.size() - zip_.avail_out);
      packed_.update(made);
      size_ += static_cast<int64_t>(made.size());
      TRY(sys::write_all(file_.get(), made));
    } while (zip_.avail_out == 0 || (last && status != Z_STREAM_END));
    return {};
  }

  Result<WrittenLayer> finish() {
    TRY(write("", true));
    if (::lseek(file_.get(), 0, SEEK_SET) < 0) return sys::system_error("cannot rewind the layer");
    WrittenLayer out;
    out.layer = {"sha256:" + hex(packed_.finish()), "sha256:" + hex(plain_.finish()), std::string(kLayerType),
                 size_};
    out.file = std::move(file_);
    return out;
  }

  std::optional<Error> failed;

 private:
  sys::Fd file_;
  z_stream zip_;
  bool started_ = false;
  Sha256 plain_, packed_;
  std::string out_ = std::string(kBlock, '\0');
  int64_t size_ = 0;
};

la_ssize_t on_write(archive* a, void* context, const void* data, size_t size) {
  auto& sink = *static_cast<Sink*>(context);
  auto written = sink.write({static_cast<const char*>(data), size}, false);
  if (written) return static_cast<la_ssize_t>(size);
  sink.failed = std::move(written).error();
  archive_set_error(a, EIO, "%s", "cannot write the layer");
  return -1;
}

struct WriteFree {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct ReadFree {
  void operator()(archive* a) const { archive_read_free(a); }
};
struct EntryFree {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};

void describe(archive_entry* e, const std::string& path, const TreeEntry& entry, Millis time) {
  archive_entry_clear(e);
  const bool folder = entry.type == TreeEntry::Type::folder;
  archive_entry_set_pathname(e, (folder ? path + "/" : path).c_str());
  archive_entry_set_perm(e, entry.mode);
  archive_entry_set_uid(e, entry.uid);
  archive_entry_set_gid(e, entry.gid);
  archive_entry_set_mtime(e, time / 1000, 0);
  archive_entry_set_size(e, 0);
  switch (entry.type) {
    case TreeEntry::Type::file:
      archive_entry_set_filetype(e, AE_IFREG);
      archive_entry_set_size(e, entry.size);
      break;
    case TreeEntry::Type::folder:
      archive_entry_set_filetype(e, AE_IFDIR);
      break;
    case TreeEntry::Type::symlink:
      archive_entry_set_filetype(e, AE_IFLNK);
      archive_entry_set_symlink(e, entry.link.c_str());
      break;
    case TreeEntry::Type::hard_link:
      archive_entry_set_filetype(e, AE_IFREG);
      archive_entry_set_hardlink(e, entry.link.c_str());
      break;
    case TreeEntry::Type::device:
      archive_entry_set_filetype(e, entry.block_device ? AE_IFBLK : AE_IFCHR);
      archive_entry_set_rdev(e, entry.device);
      break;
    case TreeEntry::Type::fifo:
      archive_entry_set_filetype(e, AE_IFIFO);
      break;
  }
  for (const auto& [name, value] : entry.attributes) {
    archive_entry_xattr_add_entry(e, name.c_str(), value.data(), value.size());
  }
}

}  // namespace

Result<WrittenLayer> write_layer(const FileTree& tree, Millis time, const std::string& work_folder) {
  const Utf8 utf8;
  Sink sink;
  TRY(sink.open(work_folder));
  std::unique_ptr<archive, WriteFree> out(archive_write_new());
  archive_write_set_format_pax_restricted(out.get());
  archive_write_set_bytes_per_block(out.get(), static_cast<int>(kBlock));
  archive_write_set_bytes_in_last_block(out.get(), 1);
  const auto failed = [&]() -> Error {
    if (sink.failed) return *sink.failed;
    const char* why = archive_error_string(out.get());
    return error(std::string("cannot write the layer: ") + (why ? why : "unknown"));
  };
  if (archive_write_open(out.get(), &sink, nullptr, on_write, nullptr) != ARCHIVE_OK) return failed();
  std::unique_ptr<archive_entry, EntryFree> e(archive_entry_new());
  std::string buffer(kBlock, '\0');
  // A hard link must follow its target: links come in a second pass.
  for (const bool links : {false, true}) {
    for (const auto& [path, entry] : tree.entries()) {
      if ((entry.type == TreeEntry::Type::hard_link) != links) continue;
      describe(e.get(), path, entry, time);
      if (archive_write_header(out.get(), e.get()) < ARCHIVE_WARN) return failed();
      if (entry.type != TreeEntry::Type::file) continue;
      int64_t done = 0;
      while (done < entry.size) {
        const auto want =
            static_cast<size_t>(std::min<int64_t>(entry.size - done, static_cast<int64_t>(kBlock)));
        const size_t n = TRY(tree.spool()->read(entry.offset + done, buffer.data(), want));
        if (n == 0) return error("the build's temporary file is shorter than expected");
        if (archive_write_data(out.get(), buffer.data(), n) < 0) return failed();
        done += static_cast<int64_t>(n);
      }
    }
  }
  if (archive_write_close(out.get()) != ARCHIVE_OK) return failed();
  out.reset();
  return sink.finish();
}

Result<WrittenLayer> repack_layer(int fd, const std::string& work_folder) {
  if (::lseek(fd, 0, SEEK_SET) < 0) return sys::system_error("cannot read the archive");
  Sink sink;
  TRY(sink.open(work_folder));
  std::unique_ptr<archive, ReadFree> in(archive_read_new());
  archive_read_support_format_raw(in.get());
  archive_read_support_filter_gzip(in.get());
  archive_read_support_filter_zstd(in.get());
  archive_read_support_filter_xz(in.get());
  archive_entry* e = nullptr;
  if (archive_read_open_fd(in.get(), fd, kBlock) != ARCHIVE_OK ||
      archive_read_next_header(in.get(), &e) != ARCHIVE_OK) {
    return error("Invalid", "cannot read the archive");
  }
  std::string buffer(kBlock, '\0');
  while (true) {
    const la_ssize_t n = archive_read_data(in.get(), buffer.data(), buffer.size());
    if (n < 0) return error("Invalid", "the archive is damaged");
    if (n == 0) return sink.finish();
    TRY(sink.write(std::string_view(buffer).substr(0, static_cast<size_t>(n)), false));
  }
}

}  // namespace bastide::delivery
