#include "runner/oci_spec.h"

#include <sys/resource.h>

#include <algorithm>

#include "runner/seccomp.h"

namespace bastide::runner {
namespace {

constexpr int64_t kMaxOpenFiles = 65'535;
constexpr int64_t kOpenFiles = 1'024;

// A container cannot have more than runner itself: from inside a user namespace nobody may raise it.
int64_t max_open_files() {
  rlimit own{};
  if (::getrlimit(RLIMIT_NOFILE, &own) != 0 || own.rlim_max == RLIM_INFINITY) return kMaxOpenFiles;
  return std::min<int64_t>(kMaxOpenFiles, static_cast<int64_t>(own.rlim_max));
}

constexpr int64_t kPeriodMicros = 100'000;
constexpr int64_t kMinQuotaMicros = 1'000;  // the kernel's least

json::Value texts(const std::vector<std::string>& list) {
  json::Array out;
  for (const auto& text : list) out.emplace_back(text);
  return out;
}

json::Value texts(std::initializer_list<const char*> list) {
  json::Array out;
  for (const char* text : list) out.emplace_back(text);
  return out;
}

json::Value mount(std::string_view at, std::string_view type, std::string_view from,
                  std::initializer_list<const char*> options) {
  return json::object({{"destination", at}, {"type", type}, {"source", from}, {"options", texts(options)}});
}

json::Value mounts(const ContainerPlan& plan) {
  auto out = json::array({
      mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      mount("/dev/pts", "devpts", "devpts",
            {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}),
      mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      mount("/sys", "bind", plan.sys, {"rbind", "ro", "nosuid", "noexec", "nodev"}),
  });
  for (const auto& bind : plan.binds) {
    out.push(bind.writable ? mount(bind.to, "bind", bind.from, {"rbind", "rw", "nosuid", "nodev"})
                           : mount(bind.to, "bind", bind.from, {"rbind", "ro", "nosuid", "nodev"}));
  }
  return out;
}

std::vector<std::string> environment(const ContainerPlan& plan) {
  auto out = plan.environment;
  const auto add = [&](const std::string& name, const std::string& value) {
    for (const auto& entry : plan.environment) {
      if (entry.starts_with(name + "=")) return;
    }
    if (!value.empty()) out.push_back(name + "=" + value);
  };
  add("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  add("HOME", plan.user.home.empty() ? (plan.user.uid == 0 ? "/root" : "/") : plan.user.home);
  add("HOSTNAME", plan.hostname);
  return out;
}

json::Value process(const ContainerPlan& plan) {
  // Docker's default set without NET_RAW (no forged packets), MKNOD and AUDIT_WRITE (useless in a user
  // namespace).
  const auto capabilities =
      texts({"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID",
             "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL"});
  auto user = json::object({{"uid", int64_t{plan.user.uid}}, {"gid", int64_t{plan.user.gid}}});
  if (plan.ids > 1 && !plan.user.groups.empty()) {
    json::Array groups;
    for (const uint32_t gid : plan.user.groups) groups.emplace_back(int64_t{gid});
    user["additionalGids"] = groups;
  }
  auto held = json::object({{"bounding", capabilities}});
  if (plan.user.uid == 0) {
    held["effective"] = capabilities;
    held["permitted"] = capabilities;
  }
  const auto limit = [](const char* type, int64_t soft, int64_t hard) {
    return json::object({{"type", type}, {"soft", soft}, {"hard", hard}});
  };
  auto limits = json::array({limit("RLIMIT_NOFILE", std::min(kOpenFiles, max_open_files()), max_open_files()),
                             limit("RLIMIT_CORE", 0, 0)});
  if (plan.cgroup.empty()) {
    // Data, not address space: what a program only reserves costs nothing.
    limits.push(limit("RLIMIT_DATA", plan.memory_mib << 20, plan.memory_mib << 20));
    limits.push(limit("RLIMIT_NPROC", plan.processes, plan.processes));
  }
  return json::object({{"terminal", false},
                       {"user", user},
                       {"args", texts(plan.argv)},
                       {"env", texts(environment(plan))},
                       {"cwd", plan.folder.empty() ? "/" : plan.folder},
                       {"capabilities", held},
                       {"rlimits", std::move(limits)},
                       {"noNewPrivileges", true},
                       {"oomScoreAdj", 500}});
}

json::Value resources(const ContainerPlan& plan) {
  const int64_t bytes = plan.memory_mib << 20;
  auto memory = json::object({{"limit", bytes}});
  if (plan.limit_swap) memory["swap"] = bytes;
  return json::object(
      {{"memory", memory},
       {"cpu", json::object({{"shares", std::max<int64_t>(2, plan.cpu_units)},
                             {"quota", std::max(kMinQuotaMicros, plan.cpu_units * kPeriodMicros / 1024)},
                             {"period", kPeriodMicros}})},
       {"pids", json::object({{"limit", plan.processes}})}});
}

}  // namespace

json::Value oci_spec(const ContainerPlan& plan) {
  const auto ids = [&](uint32_t only) {
    return json::array({json::object({{"containerID", plan.ids > 1 ? int64_t{0} : int64_t{only}},
                                      {"hostID", int64_t{plan.first_uid}},
                                      {"size", int64_t{plan.ids}}})});
  };
  auto namespaces = json::Array();
  for (const char* type : {"pid", "ipc", "uts", "mount", "user", "cgroup"})
    namespaces.push_back(json::object({{"type", type}}));
  namespaces.push_back(json::object({{"type", "network"}, {"path", plan.network_namespace}}));
  auto system = json::object(
      {{"namespaces", namespaces},
       {"uidMappings", ids(plan.user.uid)},
       {"gidMappings", ids(plan.user.gid)},
       {"seccomp", seccomp_profile()},
       {"maskedPaths",
        texts({"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
               "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
               "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/cgroup"})},
       {"readonlyPaths", texts({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})}});
  if (!plan.cgroup.empty()) {
    system["cgroupsPath"] = plan.cgroup;
    system["resources"] = resources(plan);
  }
  return json::object({{"ociVersion", "1.0.2"},
                       {"root", json::object({{"path", plan.root}, {"readonly", plan.read_only_root}})},
                       {"hostname", plan.hostname},
                       {"mounts", mounts(plan)},
                       {"process", process(plan)},
                       {"linux", std::move(system)}});
}

}  // namespace bastide::runner
