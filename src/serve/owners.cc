#include "serve/owners.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "base/crypto.h"
#include "sys/file.h"
#include "sys/privilege.h"

namespace bastide::serve {
namespace {

// Pairs from 0x6f000000 on, by the home's path: above what distributions hand out, below the containers'.
constexpr uid_t kFirst = 0x6f000000;
constexpr uint32_t kPairs = 0x700000;

Result<void> own(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return sys::system_error(path);
  const sys::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || ::fchown(fd.get(), uid, gid) != 0 || ::fchmod(fd.get(), mode) != 0)
    return sys::system_error(path);
  return {};
}

Result<void> own_tree(const std::string& path, uid_t uid) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return sys::system_error(path);
  if (st.st_uid == uid) return {};
  char* roots[] = {const_cast<char*>(path.c_str()), nullptr};
  FTS* walk = ::fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (!walk) return sys::system_error(path);
  Result<void> outcome;
  // The top comes last: where this is interrupted, the next start does it again.
  while (FTSENT* entry = ::fts_read(walk)) {
    if (entry->fts_info == FTS_D) continue;
    if (::lchown(entry->fts_accpath, uid, uid) != 0 && errno != ENOENT && outcome)
      outcome = sys::system_error(entry->fts_path);
  }
  ::fts_close(walk);
  if (outcome && S_ISDIR(st.st_mode) && ::chmod(path.c_str(), 0700) != 0) return sys::system_error(path);
  return outcome;
}

}  // namespace

std::optional<Owners> owners_of(const std::string& home, std::string& why) {
  if (::geteuid() != 0) return std::nullopt;
  if (!sys::may_change_users()) {
    why = "root may not change users here";
    return std::nullopt;
  }
  char resolved[PATH_MAX];
  if (!::realpath(home.c_str(), resolved)) {
    why = home + " cannot be resolved";
    return std::nullopt;
  }
  const std::string real = resolved;
  for (size_t slash = real.find('/', 1); slash != std::string::npos; slash = real.find('/', slash + 1)) {
    struct stat st;
    const std::string folder = real.substr(0, slash);
    if (::stat(folder.c_str(), &st) != 0 || !(st.st_mode & S_IXOTH)) {
      why = "others than root may not pass " + folder + ", above the home";
      return std::nullopt;
    }
  }
  const auto n =
      static_cast<uint32_t>(std::strtoul(sha256_hex(real).substr(0, 8).c_str(), nullptr, 16)) % kPairs;
  return Owners{kFirst + 2 * n, kFirst + 2 * n + 1};
}

Result<void> give_home(const std::string& home, const Owners& owners) {
  TRY(own(home, 0, owners.control, 01771));
  TRY(own(home + "/run", 0, 0, 0711));
  for (const char* name : {"/runner", "/aws", "/work"}) TRY(own(home + name, 0, 0, 0700));
  TRY(own(home + "/edge", owners.edge, owners.edge, 0700));
  const auto names = TRY(sys::list_folder(home));
  for (const auto& name : names) {
    const bool ours =
        name == "run" || name == "runner" || name == "aws" || name == "work" || name == "lost+found";
    if (ours) continue;
    TRY(own_tree(home + "/" + name, name == "edge" ? owners.edge : owners.control));
  }
  const auto kept = TRY(sys::list_folder(home + "/edge"));
  for (const auto& name : kept) TRY(own_tree(home + "/edge/" + name, owners.edge));
  return {};
}

}  // namespace bastide::serve
