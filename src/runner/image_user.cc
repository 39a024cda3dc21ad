#include "runner/image_user.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr size_t kMaxFile = 1 << 20;
constexpr int64_t kMaxId = 65'535;
constexpr size_t kMaxGroups = 64;

// Empty where the image has none.
Result<std::string> read_inside(const std::string& root, const char* path) {
  const sys::Fd base(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!base) return sys::system_error(root);
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const sys::Fd fd(static_cast<int>(::syscall(SYS_openat2, base.get(), path, &how, sizeof how)));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::string();
    return sys::system_error(path);
  }
  struct stat st;
  if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return error("Invalid", std::string(path) + " of the image is not a file");
  return sys::read_all(fd.get(), kMaxFile);
}

Result<uint32_t> id_of(std::string_view text) {
  const int64_t id = TRY(parse_int(text));
  if (id < 0 || id > kMaxId) return error("Invalid", "an id beyond " + std::to_string(kMaxId));
  return static_cast<uint32_t>(id);
}

using Fields = std::vector<std::string_view>;

// The line whose first field is `name`, or, where that is a number, whose third field is.
Fields find_line(std::string_view file, std::string_view name, size_t fields) {
  Fields by_id;
  for (const auto line : split(file, '\n')) {
    auto parts = split(line, ':');
    if (parts.size() < fields) continue;
    if (parts[0] == name) return parts;
    if (by_id.empty() && parts[2] == name) by_id = parts;
  }
  return by_id;
}

}  // namespace

Result<ImageUser> find_user(const std::string& root, const std::string& user) {
  ImageUser out;
  const auto colon = user.find(':');
  const std::string name = user.empty() ? "0" : user.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : user.substr(colon + 1);
  const auto passwd = TRY(read_inside(root, "etc/passwd"));
  const auto groups = TRY(read_inside(root, "etc/group"));
  std::string login;
  if (const auto line = find_line(passwd, name, 7); !line.empty()) {
    const uint32_t uid = TRY(id_of(line[2]));
    const uint32_t gid = TRY(id_of(line[3]));
    out.uid = uid;
    out.gid = gid;
    login = std::string(line[0]);
    out.home = std::string(line[5]);
  } else {
    auto uid = id_of(name);
    if (!uid) return error("Invalid", "the image has no user '" + name + "'");
    out.uid = *uid;
  }
  if (!group.empty()) {
    const auto line = find_line(groups, group, 3);
    auto gid = id_of(line.empty() ? std::string_view(group) : line[2]);
    if (!gid) return error("Invalid", "the image has no group '" + group + "'");
    out.gid = *gid;
    return out;
  }
  if (login.empty()) return out;
  for (const auto line : split(groups, '\n')) {
    const auto parts = split(line, ':');
    if (parts.size() < 4) continue;
    const auto members = split(parts[3], ',');
    if (std::find(members.begin(), members.end(), login) == members.end()) continue;
    auto gid = id_of(parts[2]);
    if (gid && out.groups.size() < kMaxGroups) out.groups.push_back(*gid);
  }
  return out;
}

}  // namespace bastide::runner
