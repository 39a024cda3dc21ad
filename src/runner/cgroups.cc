#include "runner/cgroups.h"

#include <dirent.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr const char* kMount = "/sys/fs/cgroup";

long magic(const char* path) {
  struct statfs st;
  return ::statfs(path, &st) == 0 ? static_cast<long>(st.f_type) : 0;
}

// rmdir from the leaves up: a control group's files go with its folder.
void remove_groups(const std::string& folder) {
  if (DIR* entries = ::opendir(folder.c_str())) {
    while (const dirent* entry = ::readdir(entries)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') remove_groups(folder + "/" + entry->d_name);
    }
    ::closedir(entries);
  }
  ::rmdir(folder.c_str());
}

}  // namespace

Cgroups::Cgroups(const std::string& home, bool usable) : top_("/bastide-" + sha256_hex(home).substr(0, 8)) {
  if (!usable) return;
  const long type = magic(kMount);
  if (type == CGROUP2_SUPER_MAGIC) version_ = 2;
  if (type == TMPFS_MAGIC && sys::exists(std::string(kMount) + "/memory")) version_ = 1;
}

std::string Cgroups::group(const std::string& account, const std::string& id) const {
  return top_ + "/" + account + "/" + id;
}

std::string Cgroups::oom_file(const std::string& group) const {
  if (version_ == 0) return "/dev/null";  // no group, no count
  return version_ == 2 ? kMount + group + "/memory.events"
                       : std::string(kMount) + "/memory" + group + "/memory.oom_control";
}

int64_t Cgroups::memory_limit(const std::string& group) const {
  const auto text =
      sys::read_file(version_ == 2 ? kMount + group + "/memory.max"
                                   : std::string(kMount) + "/memory" + group + "/memory.limit_in_bytes");
  return text ? parse_int(trim(*text)).value_or(-1) : -1;
}

bool Cgroups::limits_swap() const {
  const auto swaps = sys::read_file("/proc/swaps", 64 * 1024);
  if (!swaps || split(trim(*swaps), '\n').size() < 2) return false;
  return version_ == 2 || sys::exists(std::string(kMount) + "/memory/memory.memsw.limit_in_bytes");
}

std::vector<std::string> Cgroups::hierarchies() const {
  if (version_ == 2) return {kMount};
  std::vector<std::string> out;
  if (version_ == 1) {
    auto names = sys::list_folder(kMount);
    if (names) {
      for (const auto& name : *names) out.push_back(std::string(kMount) + "/" + name);
    }
  }
  return out;
}

void Cgroups::remove(const std::string& group) const {
  for (const auto& hierarchy : hierarchies()) {
    // crun makes folders in what is no hierarchy too: Stage's stand-in for the unified one.
    if (magic(hierarchy.c_str()) == TMPFS_MAGIC) {
      if (auto removed = sys::remove_tree(hierarchy + group); !removed)
        log::warn("{}", removed.error().message);
    } else {
      remove_groups(hierarchy + group);
    }
    const auto account = group.substr(0, group.rfind('/'));
    ::rmdir((hierarchy + account).c_str());
    ::rmdir((hierarchy + top_).c_str());
  }
}

void Cgroups::remove_all() const {
  for (const auto& hierarchy : hierarchies()) remove_groups(hierarchy + top_);
}

}  // namespace bastide::runner
