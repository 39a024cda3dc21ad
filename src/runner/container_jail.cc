// How a container starts where there are no namespaces: bastide-jail in the place of crun.
#include <sys/resource.h>

#include <algorithm>
#include <array>

#include "runner/container.h"
#include "runner/host_tools.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr int64_t kOpenFiles = 4096;
constexpr int64_t kSupervisor = 1;  // it counts as a process of the task's user

void add(std::string& out, std::string_view key, std::string_view value) {
  out.append(key).append("=").append(value).push_back('\0');
}
void add(std::string& out, std::string_view key, int64_t value) { add(out, key, std::to_string(value)); }

bool has(const std::vector<std::string>& environment, std::string_view name) {
  return std::any_of(environment.begin(), environment.end(),
                     [&](const std::string& entry) { return entry.starts_with(std::string(name) + "="); });
}

}  // namespace

Result<void> Container::write_jail(const ContainerPlan& plan) const {
  const JailedPlan& jail = plan.jail;
  std::string text;
  add(text, "pid-file", folder_ + "/init.pid");
  add(text, "log-file", folder_ + "/crun.log");
  if (!plan.root.empty()) add(text, "root", plan.root);
  add(text, "folder", plan.folder.empty() ? "/" : plan.folder);
  if (stage_.tier() == Tier::chroot) add(text, "uid", jail.uid);
  add(text, "address", jail.address);
  if (jail.mask != 0) {
    add(text, "vpc", jail.vpc);
    add(text, "mask", jail.mask);
  }
  if (jail.door != 0) {
    add(text, "door", jail.door);
    add(text, "credentials", jail.credentials);
    add(text, "api", jail.api);
  }
  for (const auto& path : jail.read_only) add(text, "read-only", path);
  for (const auto& path : jail.writable) add(text, "writable", path);
  const auto limit = [&](int resource, int64_t value) {
    rlimit own{};
    const auto which = static_cast<__rlimit_resource>(resource);
    if (::getrlimit(which, &own) == 0 && own.rlim_max != RLIM_INFINITY)
      value = std::min(value, static_cast<int64_t>(own.rlim_max));
    add(text, "limit", std::to_string(resource) + ":" + std::to_string(value));
  };
  limit(RLIMIT_NOFILE, kOpenFiles);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_DATA, plan.memory_mib << 20);
  // Counted by user: only where the task has one of its own.
  if (stage_.tier() == Tier::chroot) limit(RLIMIT_NPROC, plan.processes + kSupervisor);
  for (const auto& word : plan.argv) add(text, "argument", word);
  for (const auto& entry : plan.environment) {
    if (!jail.temporary.empty() && (entry == "HOME=/tmp" || entry.starts_with("TMPDIR="))) continue;
    add(text, "variable", entry);
  }
  if (!has(plan.environment, "PATH"))
    add(text, "variable", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  if (!jail.temporary.empty()) {
    add(text, "variable", "TMPDIR=" + jail.temporary);
    add(text, "variable", "HOME=" + jail.temporary);
  } else if (!has(plan.environment, "HOME")) {
    add(text, "variable", "HOME=" + (plan.user.home.empty() ? std::string("/") : plan.user.home));
  }
  if (!has(plan.environment, "HOSTNAME")) add(text, "variable", "HOSTNAME=" + plan.hostname);
  return sys::write_file(folder_ + "/jail", text);
}

}  // namespace bastide::runner
