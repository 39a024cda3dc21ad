// bastide-unpack: reads and writes archives for runner, in a throw-away process with a user namespace of its
// own and no rights outside it: descriptor 3 is the archive, 4 the folder it is confined to (by chroot), 5
// takes an error.
//   bastide-unpack layer owners|one-owner USER   an OCI layer into the folder, whiteouts as overlayfs wants them
//   bastide-unpack files owners|one-owner USER   a plain archive into the folder; everything belongs to the folder's root
//   bastide-unpack pack-changes owners|one-owner USER   the folder, overlayfs's upper one, as an OCI layer
//   bastide-unpack pack-files owners|one-owner USER   the folder as a plain archive
//   bastide-unpack merge one-owner USER   descriptor 3, an unpacked layer, over the folder
// and as the last word the user to be after that, where there is no user namespace; else 0.
// https://github.com/opencontainers/image-spec/blob/main/layer.md
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "runner/merge.h"
#include "runner/unpack.h"

namespace {

// Without a user namespace of its own: a user who owns nothing but the folder. "0": stays.
bool become(const char* user) {
  const auto uid = static_cast<uid_t>(std::strtoul(user, nullptr, 10));
  if (uid == 0) return true;
  return ::setgroups(0, nullptr) == 0 && ::setresgid(uid, uid, uid) == 0 && ::setresuid(uid, uid, uid) == 0 &&
         ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace bastide::runner;
  std::setlocale(LC_ALL, "C.UTF-8");
  std::string why;
  const std::string_view mode = argc == 4 ? argv[1] : "";
  if (mode.empty()) {
    why = "bastide-unpack is started by the runner role";
  } else if (::fchdir(4) != 0 || ::chroot(".") != 0 || !become(argv[3])) {
    why = std::string("confining to the folder: ") + std::strerror(errno);
  } else if (mode == "merge") {
    ::umask(022);
    why = merge(3);
  } else if (mode == "layer" || mode == "files") {
    ::umask(022);
    why = unpack(3, mode == "layer" ? Unpack::layer : Unpack::files, argv[2] == std::string_view("one-owner"));
  } else if (mode == "pack-changes" || mode == "pack-files") {
    why = pack(3, mode == "pack-changes" ? Pack::changes : Pack::files);
  } else {
    why = "unknown mode";
  }
  if (why.empty()) return 0;
  why.resize(std::min<size_t>(why.size(), 2000));
  [[maybe_unused]] const ssize_t told = ::write(5, why.data(), why.size());
  return 1;
}
