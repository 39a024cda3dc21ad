#include "runner/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runner/archives.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {
constexpr size_t kMaxOptions = 4095;  // a page
}

Result<void> Roots::show_as_account(const std::string& account, const std::string& tree,
                                    const std::string& at) {
  const auto ids = TRY(accounts_.mapping(account));
  const sys::Fd copy(::open_tree(AT_FDCWD, tree.c_str(), OPEN_TREE_CLONE | O_CLOEXEC));
  if (!copy) return sys::system_error(tree);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY;
  attributes.userns_fd = static_cast<uint64_t>(ids.get());
  if (::mount_setattr(copy.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return sys::system_error("an idmapped mount of an image layer");
  }
  TRY(sys::make_folders(at, 0755));
  if (::move_mount(copy.get(), "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return sys::system_error(at);
  return {};
}

Result<void> Roots::mount(const std::string& account, const std::vector<std::string>& trees,
                          const std::string& disk, const std::string& target) {
  if (!has_namespaces(stage_.tier())) return error("Unsupported", "this tier cannot mount");
  const uint32_t uid = TRY(accounts_.first_uid(account));
  TRY(make_owned_folder(disk + "/upper", uid));
  TRY(make_owned_folder(disk + "/work", uid));
  TRY(sys::make_folders(target, 0755));
  const std::lock_guard lock(mutex_);
  std::string lower;
  size_t mounted = 0;
  const auto assemble = [&]() -> Result<void> {
    for (const auto& tree : trees) {
      if (!stage_.ids().per_account) {
        lower = lower.empty() ? tree : tree + ":" + lower;
        continue;
      }
      const std::string at = stage_.path() + "/l/" + std::to_string(mounted);
      TRY(show_as_account(account, tree, at));
      ++mounted;
      lower = lower.empty() ? at : at + ":" + lower;  // overlayfs names the highest first
    }
    const std::string options =
        "userxattr,lowerdir=" + lower + ",upperdir=" + disk + "/upper,workdir=" + disk + "/work";
    if (options.size() > kMaxOptions) return error("TooLarge", "the image has too many layers for one mount");
    if (::mount("overlay", target.c_str(), "overlay", MS_NODEV, options.c_str()) != 0)
      return sys::system_error("overlay mount");
    return {};
  };
  auto assembled = assemble();
  for (size_t i = 0; i < mounted; ++i)
    ::umount2((stage_.path() + "/l/" + std::to_string(i)).c_str(), MNT_DETACH);
  return assembled;
}

Result<void> Roots::unmount(const std::string& target) {
  if (::umount2(target.c_str(), MNT_DETACH) == 0 || errno == EINVAL || errno == ENOENT) return {};
  return sys::system_error(target);
}

}  // namespace bastide::runner
