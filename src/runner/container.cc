#include "runner/container.h"

#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "runner/namespaces.h"
#include "runner/rootfs.h"
#include "runner/spawn.h"
#include "shim/spool.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::runner {
namespace {
constexpr Millis kStartTimeout = 30 * kSecond;
constexpr Millis kEndTimeout = 10 * kSecond;
}  // namespace

Result<void> Container::prepare(ContainerPlan& plan, const std::string& address) const {
  if (!has_namespaces(stage_.tier())) {
    plan.root = root();
    return {};
  }
  TRY(sys::make_folders(mounts() + "/sys", 0755));
  const auto ns = TRY(open_namespace(plan.network_namespace));
  const std::string at = mounts() + "/sys";
  TRY(in_namespace(ns.get(), [&]() -> Result<void> {
    if (::mount("sysfs", at.c_str(), "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
      return sys::system_error(at);
    return {};
  }));
  plan.sys = at;
  plan.root = root();
  std::string hosts = "127.0.0.1\tlocalhost\n";
  if (!address.empty())
    hosts += address + "\t" + plan.hostname + "\n";
  else
    hosts += "127.0.0.1\t" + plan.hostname + "\n";
  std::string resolv = plan.resolver.empty() ? "" : "nameserver " + plan.resolver + "\n";
  if (!plan.domain.empty()) resolv += "search " + plan.domain + "\n";
  resolv += plan.resolver.empty() ? "options timeout:1 attempts:1\n" : "options timeout:2 attempts:2\n";
  const std::pair<const char*, std::string> files[] = {
      {"hosts", hosts}, {"hostname", plan.hostname + "\n"}, {"resolv.conf", resolv}};
  for (const auto& [name, content] : files) {
    TRY(sys::write_file(mounts() + "/" + name, content, 0644));
    plan.binds.push_back({mounts() + "/" + name, std::string("/etc/") + name});
  }
  return {};
}

std::vector<std::string> Container::starter() const {
  if (!has_namespaces(stage_.tier())) return {stage_.jail(), "run", folder_ + "/jail"};
  return {stage_.crun(),
          "--root=" + stage_.path() + "/crun",
          "--cgroup-manager=" + std::string(stage_.cgroup_manager()),
          "--log=file:" + folder_ + "/crun.log",
          "run",
          "--detach",
          "--pid-file=" + folder_ + "/init.pid",
          "--bundle=" + folder_,
          name_};
}

Result<void> Container::start(const ContainerPlan& plan, bool flush_partial_lines,
                              const std::vector<int>& kept) const {
  CHECK(kept.size() <= shim::kMaxKeptFds);
  TRY(sys::make_folders(spool()));
  for (const char* old : {"shim", "init", "exit", "init.pid", "crun.log"})
    TRY(sys::remove_file(folder_ + "/" + old));
  if (has_namespaces(stage_.tier()))
    TRY(sys::write_file(folder_ + "/config.json", json::print(oci_spec(plan))));
  else
    TRY(write_jail(plan));
  Spawn spawn{.program = stage_.shim(),
              .argv = {"bastide-shim", "run", folder_, stage_.cgroups().oom_file(plan.cgroup)}};
  if (flush_partial_lines) spawn.argv.push_back("flush");
  const auto words = starter();
  spawn.argv.push_back("--");
  spawn.argv.insert(spawn.argv.end(), words.begin(), words.end());
  spawn.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  for (size_t i = 0; i < kept.size(); ++i)
    spawn.descriptors.emplace_back(kept[i], shim::kFirstKeptFd + static_cast<int>(i));
  const auto report = TRY(spawn_and_wait(std::move(spawn), shim::kReadyFd, kStartTimeout));
  if (report.text.starts_with("ok ")) return {};
  const auto log = sys::read_file(folder_ + "/crun.log", 64 * 1024);
  std::string_view why = log ? trim(*log) : std::string_view();
  if (why.size() > 500) why = why.substr(why.size() - 500);
  return error("Failed",
               "the container did not start: " + std::string(why.empty() ? "its shim gave no reason" : why));
}

std::optional<Ending> Container::ending() const {
  const auto text = sys::read_file(folder_ + "/exit", 1024);
  if (!text) return std::nullopt;
  Ending ending;
  const auto words = split(trim(*text), ' ');
  if (words.empty() || words[0] != "status") {
    ending.failed = true;
    return ending;
  }
  for (size_t i = 0; i + 1 < words.size(); i += 2) {
    const auto value = parse_int(words[i + 1]).value_or(-1);
    if (words[i] == "status") ending.status = static_cast<int>(value);
    if (words[i] == "signal") ending.signal = static_cast<int>(value);
    if (words[i] == "oom") ending.oom_kills = value;
    if (words[i] == "time") ending.at = value;
  }
  return ending;
}

Result<void> Container::destroy(const std::string& cgroup) const {
  if (auto living = init()) {
    TRY(send_signal(living->get(), SIGKILL));
    if (!wait_ended(living->get(), kEndTimeout))
      return error("Timeout", "a container's first process did not end");
  }
  if (auto living = shim()) {
    // It writes down how its container ended and goes; one that cannot is no longer of use.
    if (!wait_ended(living->get(), kEndTimeout)) {
      TRY(send_signal(living->get(), SIGKILL));
      wait_ended(living->get(), kEndTimeout);
    }
  }
  if (sys::exists(stage_.path() + "/crun/" + name_)) {
    auto deleted = sys::run({.argv = {stage_.crun(), "--root=" + stage_.path() + "/crun",
                                      "--cgroup-manager=" + std::string(stage_.cgroup_manager()), "delete", "--force", name_},
                             .timeout = kEndTimeout});
    if (!deleted) log::warn("container {}: {}", name_, deleted.error().message);
    TRY(sys::remove_tree(stage_.path() + "/crun/" + name_));
  }
  stage_.cgroups().remove(cgroup);
  if (!has_namespaces(stage_.tier())) return sys::exists(mounts()) ? sys::remove_tree(mounts()) : Result<void>();
  TRY(Roots::unmount(root()));
  TRY(Roots::unmount(mounts() + "/sys"));
  return sys::remove_tree(mounts());
}

}  // namespace bastide::runner
