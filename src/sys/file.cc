#include "sys/file.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::sys {
namespace {

std::string parent(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

Result<Fd> open_read(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(path);
  return fd;
}

Result<std::string> read_all(int fd, size_t max_bytes) {
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read");
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > max_bytes) return error("TooLarge", "larger than " + std::to_string(max_bytes) + " bytes");
    out.append(buffer, static_cast<size_t>(n));
  }
}

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  const Fd fd = TRY(open_read(path));
  auto content = read_all(fd.get(), max_bytes);
  if (!content) return std::move(content).error().context(path);
  return content;
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<void> write_file(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string beside = path + ".new-" + hex(random_bytes(6));
  Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return system_error(beside);
  const auto fail = [&](Error e) {
    ::unlink(beside.c_str());
    return e;
  };
  if (::fchmod(fd.get(), mode) != 0) return fail(system_error(beside));
  if (auto written = write_all(fd.get(), bytes); !written) return fail(std::move(written).error().context(path));
  if (::fsync(fd.get()) != 0) return fail(system_error(path));
  if (::rename(beside.c_str(), path.c_str()) != 0) return fail(system_error(path));
  return sync_folder(parent(path));
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<void> make_folders(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return system_error(path);
  TRY(make_folders(parent(path), mode));
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return system_error(path);
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return system_error(path);
}

Result<void> remove_tree(const std::string& path) {
  char* roots[] = {const_cast<char*>(path.c_str()), nullptr};
  FTS* walk = ::fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (!walk) return system_error(path);
  Result<void> outcome;
  while (FTSENT* entry = ::fts_read(walk)) {
    int failed = 0;
    switch (entry->fts_info) {
      case FTS_D:
        ::chmod(entry->fts_accpath, 0700);  // so that its entries can go; our own folders only
        continue;
      case FTS_DP: failed = ::rmdir(entry->fts_accpath); break;
      case FTS_DNR:
      case FTS_ERR:
      case FTS_NS:
        if (entry->fts_errno != ENOENT && outcome) outcome = system_error(entry->fts_path, entry->fts_errno);
        continue;
      default: failed = ::unlink(entry->fts_accpath);
    }
    if (failed != 0 && errno != ENOENT && outcome) outcome = system_error(entry->fts_path);
  }
  ::fts_close(walk);
  return outcome;
}

Result<std::vector<std::string>> list_folder(const std::string& path) {
  std::vector<std::string> names;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    names.push_back(it->path().filename().string());
  }
  if (ec) return system_error(path, ec.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> sync_folder(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return system_error(path);
  return {};
}

Result<Fd> memory_file(std::string_view name, std::string_view bytes, bool sealed) {
  Fd fd(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return system_error("memfd_create");
  TRY(write_all(fd.get(), bytes));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return system_error("lseek");
  if (sealed && ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return system_error("seal");
  }
  return fd;
}

}  // namespace bastide::sys
