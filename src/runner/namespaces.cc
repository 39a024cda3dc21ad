#include "runner/namespaces.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "runner/netlink.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

Result<void> on_thread(const std::function<Result<void>()>& f) {
  Result<void> outcome;
  std::thread thread([&] { outcome = f(); });
  thread.join();
  return outcome;
}

// Settings of the calling thread's network namespace; those this kernel lacks need no setting.
Result<void> set(const std::string& name, std::string_view value) {
  const sys::Fd fd(::open(("/proc/sys/net/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return {};
  if (!fd) return sys::system_error(name);
  return sys::write_all(fd.get(), value);
}

Result<sys::Fd> own_namespace() {
  return sys::open_read("/proc/self/task/" + std::to_string(::syscall(SYS_gettid)) + "/ns/net");
}

}  // namespace

Result<void> enter_namespace(int ns) {
  if (::setns(ns, CLONE_NEWNET) != 0) return sys::system_error("entering a network namespace");
  return {};
}

Result<void> in_namespace(int ns, const std::function<Result<void>()>& f) {
  return on_thread([&]() -> Result<void> {
    TRY(enter_namespace(ns));
    return f();
  });
}

Result<void> in_new_namespace(const std::function<Result<void>(int ns)>& f) {
  return on_thread([&]() -> Result<void> {
    if (::unshare(CLONE_NEWNET) != 0) return sys::system_error("a network namespace");
    const auto ns = TRY(own_namespace());
    for (const char* name : {"ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"})
      TRY(set(name, "1"));
    for (const char* name : {"ipv4/ip_forward", "ipv4/ip_unprivileged_port_start", "ipv4/conf/all/rp_filter",
                             "ipv4/conf/default/rp_filter"})
      TRY(set(name, "0"));
    auto netlink = TRY(Netlink::open());
    TRY(netlink.set_up("lo"));
    return f(ns.get());
  });
}

Result<void> allow_forwarding() { return set("ipv4/ip_forward", "1"); }

Result<void> keep_namespace(int ns, const std::string& file) {
  const sys::Fd made(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!made) return sys::system_error(file);
  const std::string from = "/proc/self/fd/" + std::to_string(ns);
  if (::mount(from.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return sys::system_error("keeping a network namespace");
  return {};
}

Result<sys::Fd> open_namespace(const std::string& file) {
  auto fd = sys::open_read(file);
  if (!fd) return std::move(fd).error();
  struct statfs st;
  if (::fstatfs(fd->get(), &st) != 0) return sys::system_error(file);
  if (static_cast<long>(st.f_type) != NSFS_MAGIC) return error("NotFound", "no namespace is kept at " + file);
  return fd;
}

Result<void> drop_namespace(const std::string& file) {
  if (::umount2(file.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
    return sys::system_error(file);
  return sys::remove_file(file);
}

}  // namespace bastide::runner
