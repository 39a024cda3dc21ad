#include "runner/plain_root.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "base/bytes.h"
#include "base/log.h"
#include "runner/archives.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

Result<void> give(const std::string& path, uint32_t uid) {
  char* roots[] = {const_cast<char*>(path.c_str()), nullptr};
  FTS* walk = ::fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (!walk) return sys::system_error(path);
  Result<void> outcome;
  while (FTSENT* entry = ::fts_read(walk)) {
    if (entry->fts_info == FTS_D) continue;
    if (::lchown(entry->fts_accpath, uid, uid) != 0 && outcome) outcome = sys::system_error(entry->fts_path);
  }
  ::fts_close(walk);
  return outcome;
}

}  // namespace

Result<void> make_plain_root(const Stage& stage, const std::vector<std::string>& trees,
                             const std::string& target, uint32_t uid) {
  const uint32_t owner = stage.ids().neutral;
  TRY(make_owned_folder(target, owner));
  for (const auto& tree : trees) {
    const auto layer = TRY(sys::open_read(tree));
    TRY(run_unpacker(stage, "merge", layer.get(), target, owner));
  }
  if (uid == owner) return {};
  return give(target, uid);
}

Result<void> make_devices(const std::string& root) {
  const sys::Fd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return sys::system_error(root);
  const sys::Fd dev(::openat(top.get(), "dev", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dev) return error("Invalid", "the image's /dev is not a folder");
  struct {
    const char* name;
    unsigned number;
  } const devices[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}, {"tty", 0}};
  for (const auto& d : devices) {
    if (::unlinkat(dev.get(), d.name, 0) != 0 && errno != ENOENT)
      return sys::system_error("a device of the image");
    if (::mknodat(dev.get(), d.name, S_IFCHR | 0666, ::makedev(d.number == 0 ? 5 : 1, d.number)) != 0 ||
        ::fchmodat(dev.get(), d.name, 0666, 0) != 0) {
      log::debug("{}", sys::system_error(d.name).message);
    }
  }
  return {};
}

Result<std::string> folder_inside(const std::string& root, const std::string& path, uint32_t uid) {
  std::string at = root;
  for (const auto part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return error("Invalid", path + " leads out of the root folder");
    at += "/" + std::string(part);
    struct stat st;
    if (::lstat(at.c_str(), &st) == 0) {
      if (!S_ISDIR(st.st_mode)) return error("Invalid", path + " of the image is not a folder");
      continue;
    }
    TRY(make_owned_folder(at, uid));
  }
  return at;
}

}  // namespace bastide::runner
