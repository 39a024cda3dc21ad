#include "runner/probe.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "base/bytes.h"
#include "base/log.h"
#include "runner/plain_root.h"
#include "runner/spool_reader.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr const char* kAccount = "000000000000";
constexpr int64_t kMemoryMib = 32;
constexpr int64_t kProcesses = 64;
constexpr int64_t kCpuUnits = 102;                         // a tenth of a core
constexpr uint32_t kProbeAddress = 127u << 24 | 0xfffffe;  // without a namespace
constexpr Millis kPatience = 20 * kSecond;

// A port of the host that answers on loopback: no container may reach it.
struct HostPort {
  sys::Fd fd;
  uint16_t port = 0;
};
Result<HostPort> listen_on_host() {
  HostPort out;
  out.fd = sys::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (!out.fd || ::bind(out.fd.get(), reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
      ::listen(out.fd.get(), 16) != 0 ||
      ::getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) {
    return sys::system_error("a listening socket on loopback");
  }
  out.port = ntohs(at.sin_port);
  return out;
}

using Findings = std::map<std::string, std::string, std::less<>>;

Result<Findings> run(Parts& parts, const std::string& disk, const Container& box, const std::string& group) {
  const uint32_t owner = parts.stage.ids().neutral;
  TRY(make_skeleton(disk + "/tree", owner));
  const auto program = TRY(sys::read_file(parts.stage.shim()));
  TRY(sys::write_file(disk + "/tree/probe", program, 0755));
  if (::chown((disk + "/tree/probe").c_str(), owner, owner) != 0) return sys::system_error("probe");
  TRY(sys::write_file(disk + "/of-the-host", "a file that no container may read\n", 0600));
  const auto host = TRY(listen_on_host());
  TRY(parts.networks->add_lonely("probe"));
  const bool plain = !has_namespaces(parts.stage.tier());
  if (plain) {
    const uint32_t own = TRY(parts.accounts->task_uid(kAccount, "probe"));
    TRY(make_plain_root(parts.stage, {disk + "/tree"}, box.root(), own));
  } else {
    TRY(parts.roots->mount(kAccount, {disk + "/tree"}, disk, box.root()));
  }
  ContainerPlan plan;
  plan.argv = {"/probe", "probe", disk + "/of-the-host", std::to_string(host.port)};
  plan.hostname = "probe";
  const uint32_t uid = TRY(parts.accounts->first_uid(kAccount));
  plan.first_uid = uid;
  plan.ids = parts.stage.ids().count;
  plan.network_namespace = parts.networks->task_file("probe");
  if (parts.stage.cgroups().version() != 0) plan.cgroup = group;
  plan.memory_mib = kMemoryMib;
  plan.processes = kProcesses;
  plan.cpu_units = kCpuUnits;
  plan.limit_swap = parts.stage.cgroups().limits_swap();
  if (plain) {
    plan.jail.uid = TRY(parts.accounts->task_uid(kAccount, "probe"));
    plan.jail.address = kProbeAddress;
  }
  TRY(box.prepare(plan, ""));
  TRY(box.start(plan, false, {}));
  auto shim = box.shim();
  if (shim && !wait_ended(shim->get(), kPatience)) return error("Timeout", "the probe did not end");
  Findings out;
  SpoolReader reader(box.spool(), {});
  const auto batch = TRY(reader.read(64 * 1024));
  for (const auto& line : batch.lines) {
    const auto equals = line.text.find('=');
    if (equals != std::string::npos) out[line.text.substr(0, equals)] = line.text.substr(equals + 1);
  }
  if (!out.contains("uid")) return error("the probe's program did not run as it should");
  // Killed for its memory is as good an answer as any.
  if (!out.contains("memory") && box.ending()) out["memory"] = "yes";
  return out;
}

// Without namespaces and control groups.
void judge_plain(const Findings& found, std::vector<Guarantee>& out) {
  const auto say = [&](const char* name, const char* test, const char* why) {
    const auto it = test ? found.find(test) : found.end();
    out.push_back({name, it != found.end() && it->second == "yes", why});
  };
  const auto uid = found.find("uid");
  out.push_back({"identity", uid != found.end() && uid->second != "0",
                 "each task has a uid of its own, and every file of its image is that uid's"});
  say("files", "files", "chroot into a copy of the image; without /proc; a read-only root is not kept");
  out.push_back({"files of builds", has_landlock(),
                 has_landlock()
                     ? "Landlock: the host's tools read-only, the workspace"
                     : "this kernel has no Landlock: a build reads what everybody on this host may read"});
  say("network", "network",
      "a supervisor makes every TCP connection: to the own VPC, and to Bastide; no UDP");
  say("network from the host", nullptr, "every program of the host reaches the tasks' addresses in 127/8");
  say("memory of a process", "memory", "RLIMIT_DATA: each process by itself");
  say("memory of a task", nullptr,
      "there are no control groups in this tier: several processes may take more together");
  say("cpu", nullptr, "there are no control groups in this tier: a task may use every core");
  say("processes", "processes", "RLIMIT_NPROC of the task's own uid");
  say("system calls", "calls",
      "seccomp: namespaces, mounts, tracing, BPF, modules and the like are refused; no new privileges");
  say("disk space", nullptr, "what a task writes is bounded by the disk alone");
}

std::vector<Guarantee> judge(const Parts& parts, const Findings& found) {
  const auto held = [&](std::string_view name) {
    const auto it = found.find(name);
    return it != found.end() && it->second == "yes";
  };
  const Stage& stage = parts.stage;
  std::vector<Guarantee> out;
  const auto add = [&](const char* name, bool enforced, std::string why) {
    out.push_back({name, enforced, std::move(why)});
  };
  const auto tested = [&](const char* name, const char* test, std::string good, std::string bad) {
    add(name, held(test), held(test) ? std::move(good) : std::move(bad));
  };
  if (stage.tier() == Tier::chroot) {
    judge_plain(found, out);
    return out;
  }
  if (stage.ids().per_account) {
    add("identity", true,
        "each account has 65,536 uids of its own; a container's root is nobody on the host");
  } else if (stage.ids().count > 1) {
    add("identity", false,
        "containers have the user's subordinate ids, never its own, but all accounts share them");
  } else {
    add("identity", false,
        "every container runs as the user who started Bastide: /etc/subuid gives it no other ids");
  }
  tested("files", "files", "a root filesystem of its own; the host's files are not seen",
         "a file of the host could be read from inside");
  tested("network", "network", "a network namespace a task and a VPC; no path between VPCs or to the host",
         "a port of the host was reached from inside");
  const std::string groups = stage.cgroups().version() == 2 ? "cgroups v2" : "cgroups v1";
  if (stage.cgroups().version() != 0) {
    tested("memory", "memory", groups, "a container took more memory than it may have");
    tested("cpu", "cpu", groups, "a container took more of a core than it may have");
    tested("processes", "processes", groups, "a container made more processes than it may have");
  } else {
    tested("memory of a process", "memory", "RLIMIT_DATA: each process by itself",
           "a process took more than it may have");
    add("memory of a task", false,
        "there are no control groups in this tier: several processes may take more together");
    add("cpu", false, "there are no control groups in this tier: a task may use every core");
    tested("processes", "processes", "RLIMIT_NPROC in a user namespace of its own",
           "a container made more processes than it may have");
  }
  add("system calls", true,
      "an allow list by seccomp; no new privileges; Docker's capabilities without NET_RAW, MKNOD, "
      "AUDIT_WRITE");
  add("disk space", false, "what a container writes is bounded by the disk alone");
  return out;
}

}  // namespace

Result<std::vector<Guarantee>> probe(Parts& parts) {
  const std::string disk = parts.stage.disk() + "/.probe";
  if (sys::exists(disk)) TRY(sys::remove_tree(disk));
  TRY(sys::make_folders(disk));
  const Container box(parts.stage, "probe", disk);
  const auto group = parts.stage.cgroups().group(kAccount, "probe");
  auto found = run(parts, disk, box, group);
  TRY(box.destroy(group));
  TRY(parts.networks->remove_lonely("probe"));
  TRY(sys::remove_tree(disk));
  if (!found) return std::move(found).error();
  for (const char* needed : {"files", "network", "listen"}) {
    if ((*found)[needed] != "yes") return error(std::string("containers are not kept apart here: ") + needed);
  }
  if (parts.stage.tier() == Tier::root) {
    for (const char* needed : {"memory", "processes"}) {
      if ((*found)[needed] != "yes") return error(std::string("the control groups do not limit ") + needed);
    }
  }
  return judge(parts, *found);
}

}  // namespace bastide::runner
