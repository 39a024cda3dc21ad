#include "delivery/image_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "base/bytes.h"

namespace bastide::delivery {
namespace {

constexpr int kMaxLinks = 40;
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

}  // namespace

Result<std::shared_ptr<Spool>> Spool::open(const std::string& folder) {
  auto spool = std::make_shared<Spool>();
  spool->fd_ = sys::Fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!spool->fd_) return sys::system_error("cannot make a temporary file in " + folder);
  return spool;
}

Result<void> Spool::append(std::string_view bytes) {
  if (size_ + static_cast<int64_t>(bytes.size()) > kMaxSpoolBytes) {
    return error("TooLarge", "the files of the build are larger than 16 GiB");
  }
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), size_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::system_error("cannot write the build's temporary file");
    size_ += n;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<size_t> Spool::read(int64_t at, char* buffer, size_t count) const {
  while (true) {
    const ssize_t n = ::pread(fd_.get(), buffer, count, at);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return sys::system_error("cannot read the build's temporary file");
  }
}

std::string clean_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else {
      parts.push_back(part);
    }
  }
  return join(parts, "/");
}

std::string join_path(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

const TreeEntry* FileTree::find(const std::string& path) const {
  const auto it = entries_.find(path);
  return it == entries_.end() ? nullptr : &it->second;
}

Result<std::string> FileTree::resolve(const std::string& path) const {
  std::vector<std::string> pending;
  const auto push = [&](std::string_view text) {
    const auto parts = split(text, '/');
    for (size_t i = parts.size(); i-- > 0;) {
      if (!parts[i].empty() && parts[i] != ".") pending.emplace_back(parts[i]);
    }
  };
  push(path);
  std::string at;
  int links = 0;
  while (!pending.empty()) {
    const std::string part = std::move(pending.back());
    pending.pop_back();
    if (part == "..") {
      const size_t slash = at.rfind('/');
      at = slash == std::string::npos ? "" : at.substr(0, slash);
      continue;
    }
    const std::string next = join_path(at, part);
    const TreeEntry* entry = find(next);
    if (entry == nullptr || entry->type != TreeEntry::Type::symlink) {
      at = next;
      continue;
    }
    if (++links > kMaxLinks) return error("too many symbolic links in " + path);
    if (entry->link.starts_with('/')) at.clear();
    push(entry->link);
  }
  return at;
}

bool FileTree::is_folder(const std::string& path) const {
  auto real = resolve(path);
  if (!real) return false;
  if (real.value().empty()) return true;
  const TreeEntry* entry = find(real.value());
  if (entry != nullptr) return entry->type == TreeEntry::Type::folder;
  const auto below = entries_.lower_bound(real.value() + "/");
  return below != entries_.end() && below->first.starts_with(real.value() + "/");
}

std::vector<std::string> FileTree::children(const std::string& folder) const {
  std::set<std::string> names;
  const std::string prefix = folder.empty() ? "" : folder + "/";
  for (auto it = entries_.lower_bound(prefix); it != entries_.end() && it->first.starts_with(prefix); ++it) {
    const std::string name =
        it->first.substr(prefix.size(), it->first.find('/', prefix.size()) - prefix.size());
    if (!name.empty()) names.insert(name);
  }
  return {names.begin(), names.end()};
}

void FileTree::put(const std::string& path, TreeEntry entry) {
  const TreeEntry* old = find(path);
  if (old != nullptr && old->type == TreeEntry::Type::folder && entry.type != TreeEntry::Type::folder) {
    remove_below(path, true);
  }
  entries_[path] = std::move(entry);
}

void FileTree::remove_below(const std::string& path, bool itself) {
  if (itself) entries_.erase(path);
  const std::string prefix = path.empty() ? "" : path + "/";
  auto it = entries_.lower_bound(prefix);
  while (it != entries_.end() && it->first.starts_with(prefix)) it = entries_.erase(it);
}

Result<std::string> FileTree::read(const TreeEntry& entry, size_t max_bytes) const {
  if (entry.size > static_cast<int64_t>(max_bytes)) return error("TooLarge", "the file is too large");
  std::string out(static_cast<size_t>(entry.size), '\0');
  size_t at = 0;
  while (at < out.size()) {
    const size_t n =
        TRY(spool_->read(entry.offset + static_cast<int64_t>(at), out.data() + at, out.size() - at));
    if (n == 0) return error("the build's temporary file is shorter than expected");
    at += n;
  }
  return out;
}

Result<void> FileTree::apply(const FileTree& layer) {
  for (const auto& [path, entry] : layer.entries_) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name == kOpaque) {
      remove_below(folder, false);
    } else if (name.starts_with(kWhiteout)) {
      remove_below(join_path(folder, name.substr(kWhiteout.size())), true);
    }
  }
  for (const auto& [path, entry] : layer.entries_) {
    const size_t slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name.starts_with(kWhiteout)) continue;
    if (entries_.size() >= kMaxEntries) return error("TooLarge", "the image has more than a million files");
    put(path, entry);
  }
  return {};
}

Result<void> FileTree::apply_layer(int fd, bool contents) {
  FileTree layer(spool_);
  TRY(layer.read_archive(fd, contents));
  return apply(layer);
}

}  // namespace bastide::delivery
