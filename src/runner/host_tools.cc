#include "runner/host_tools.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "runner/archives.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

// Public configuration of installed packages.
constexpr const char* kEtc[] = {"alternatives",
                                "ca-certificates",
                                "ld.so.cache",
                                "ld.so.conf",
                                "ld.so.conf.d",
                                "localtime",
                                "debian_version",
                                "mime.types",
                                "magic",
                                "java-11-openjdk",
                                "java-17-openjdk",
                                "java-21-openjdk",
                                "python3",
                                "perl",
                                "ssl/certs",
                                "ssl/openssl.cnf",
                                "skel"};

bool is_folder(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

Result<void> owned_file(const std::string& path, std::string_view content, uint32_t uid) {
  TRY(sys::write_file(path, content, 0644));
  if (::chown(path.c_str(), uid, uid) != 0) return sys::system_error(path);
  return {};
}

}  // namespace

Result<void> make_host_tools_base(const std::string& root, uint32_t uid) {
  for (const char* folder : {"/usr", "/var", "/home", "/opt", "/run", "/etc/ssl"})
    TRY(make_owned_folder(root + folder, uid));
  TRY(make_owned_folder(root + "/tmp", uid, 01777));
  TRY(make_owned_folder(root + "/var/tmp", uid, 01777));
  TRY(make_owned_folder(root + "/root", uid, 0700));
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const std::string host = std::string("/") + name;
    const std::string here = root + host;
    char target[256];
    const ssize_t n = ::readlink(host.c_str(), target, sizeof target - 1);
    if (n > 0) {
      target[n] = 0;
      if (::symlink(target, here.c_str()) != 0 || ::lchown(here.c_str(), uid, uid) != 0)
        return sys::system_error(here);
    } else if (is_folder(host)) {
      TRY(make_owned_folder(here, uid));
    }
  }
  for (const char* name : kEtc) {
    const std::string host = std::string("/etc/") + name;
    if (is_folder(host)) {
      TRY(make_owned_folder(root + host, uid));
    } else if (sys::exists(host)) {
      TRY(owned_file(root + host, "", uid));
    }
  }
  TRY(owned_file(root + "/etc/passwd",
                 "root:x:0:0:root:/root:/bin/sh\nbuild:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/"
                 "nonexistent:/usr/sbin/nologin\n",
                 uid));
  TRY(owned_file(root + "/etc/group", "root:x:0:\nbuild:x:1000:\nnogroup:x:65534:\n", uid));
  return owned_file(root + "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n", uid);
}

void add_host_tools(std::vector<Bind>& binds) {
  binds.push_back({"/usr", "/usr"});
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    struct stat st;
    if (::lstat(name, &st) == 0 && S_ISDIR(st.st_mode)) binds.push_back({name, name});
  }
  for (const char* name : kEtc) {
    const std::string host = std::string("/etc/") + name;
    if (sys::exists(host)) binds.push_back({host, host});
  }
}

std::vector<std::string> host_tool_paths() {
  std::vector<std::string> out = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/passwd", "/etc/group",
                                  "/etc/nsswitch.conf", "/dev/zero", "/dev/urandom", "/dev/random"};
  for (const char* name : kEtc) out.push_back(std::string("/etc/") + name);
  return out;
}

Result<void> bind_folder(const std::string& from, const std::string& to) {
  TRY(sys::make_folders(to, 0755));
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) != 0) return sys::system_error(to);
  return {};
}

}  // namespace bastide::runner
