// A tree of files in memory (metadata) over one spool file (contents): a build's context, or the root
// filesystem of a stage. Nothing is unpacked onto the host: paths and links of an archive are data here.
// Blocking: call through net::offload. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::delivery {

inline constexpr size_t kMaxEntries = 1'000'000;
inline constexpr int64_t kMaxSpoolBytes = 16ll << 30;

// An unnamed file that contents are appended to. Shared by every tree of a build.
class Spool {
 public:
  static Result<std::shared_ptr<Spool>> open(const std::string& folder);
  Result<void> append(std::string_view bytes);
  int64_t size() const { return size_; }
  Result<size_t> read(int64_t at, char* buffer, size_t count) const;

 private:
  sys::Fd fd_;
  int64_t size_ = 0;
};

struct TreeEntry {
  enum class Type : uint8_t { file, folder, symlink, hard_link, device, fifo };
  Type type = Type::file;
  uint32_t mode = 0;  // permission bits, setuid and its like
  uint32_t uid = 0, gid = 0;
  std::string link;  // target of a symlink, path of a hard link
  uint64_t device = 0;
  bool block_device = false;
  int64_t offset = 0, size = 0;                   // within the spool
  std::map<std::string, std::string> attributes;  // extended ones: security.capability, user.*
};

class FileTree {
 public:
  explicit FileTree(std::shared_ptr<Spool> spool) : spool_(std::move(spool)) {}

  // Reads a tar (plain, gzip, zstd, xz). Contents are kept only with `contents`. `skip` leaves paths out.
  Result<void> read_archive(int fd, bool contents, const std::function<bool(const std::string&)>& skip = {});
  // The same for a layer: whiteouts remove what lies below (OCI image-spec layer.md).
  Result<void> apply_layer(int fd, bool contents);
  // As read_archive, but whiteouts stay entries: a layer to be written anew.
  Result<void> apply(const FileTree& layer);

  const TreeEntry* find(const std::string& path) const;
  // Where a path leads after all symlinks inside the tree, the last component too; it need not exist.
  Result<std::string> resolve(const std::string& path) const;
  bool is_folder(const std::string& path) const;                       // after symlinks; "" is the root
  std::vector<std::string> children(const std::string& folder) const;  // names
  void put(const std::string& path, TreeEntry entry);  // replaces what is there, makes no parents
  void remove_below(const std::string& path, bool itself);
  Result<std::string> read(const TreeEntry& entry, size_t max_bytes) const;

  const std::map<std::string, TreeEntry>& entries() const { return entries_; }
  const std::shared_ptr<Spool>& spool() const { return spool_; }

 private:
  std::shared_ptr<Spool> spool_;
  std::map<std::string, TreeEntry> entries_;  // by path without leading and trailing slash
};

// "a//./b/../c" -> "a/c"; ".." stops at the root.
std::string clean_path(std::string_view path);
std::string join_path(const std::string& folder, const std::string& name);

}  // namespace bastide::delivery
