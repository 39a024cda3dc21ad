#include "runner/parts.h"

#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "runner/archives.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr const char* kProbeAccount = "000000000000";
constexpr int64_t kProbeMemoryMib = 32;
constexpr int kShimsOwnStatus = 2;  // of bastide-shim without arguments

Result<void> run_probe(Parts& parts, const std::string& disk, const Container& box,
                       const std::string& group) {
  TRY(make_skeleton(disk + "/tree", Accounts::neutral()));
  const auto program = TRY(sys::read_file(parts.stage.shim()));
  TRY(sys::write_file(disk + "/tree/probe", program, 0755));
  if (::chown((disk + "/tree/probe").c_str(), Accounts::neutral(), Accounts::neutral()) != 0)
    return sys::system_error("probe");
  TRY(parts.networks->add_lonely("probe"));
  TRY(parts.roots->mount(kProbeAccount, {disk + "/tree"}, disk, box.root()));
  ContainerPlan plan;
  plan.argv = {"/probe"};
  plan.hostname = "probe";
  const uint32_t uid = TRY(parts.accounts->first_uid(kProbeAccount));
  plan.first_uid = uid;
  plan.network_namespace = parts.networks->task_file("probe");
  plan.cgroup = group;
  plan.memory_mib = kProbeMemoryMib;
  plan.limit_swap = parts.stage.cgroups().limits_swap();
  TRY(box.prepare(plan, ""));
  TRY(box.start(plan, false, {}));
  auto shim = box.shim();
  if (shim && !wait_ended(shim->get(), 10 * kSecond)) return error("Timeout", "the probe did not end");
  const auto ending = box.ending();
  if (!ending || ending->status != kShimsOwnStatus)
    return error("the probe's program did not run as it should");
  const auto limit = parts.stage.cgroups().memory_limit(group);
  if (limit != kProbeMemoryMib << 20) return error("the control group does not take a memory limit");
  return {};
}

}  // namespace

Result<std::unique_ptr<Parts>> Parts::open(const std::string& home, const std::string& helpers) {
  auto parts = std::make_unique<Parts>();
  auto stage = TRY(Stage::enter(home, helpers));
  parts->stage = std::move(stage);
  auto accounts = TRY(Accounts::open(parts->stage.disk() + "/accounts.json"));
  parts->accounts = std::move(accounts);
  auto layers = TRY(Layers::open(parts->stage));
  parts->layers = std::move(layers);
  parts->roots = std::make_unique<Roots>(parts->stage, *parts->accounts);
  auto networks = TRY(Networks::open(parts->stage));
  parts->networks = std::move(networks);
  parts->tasks = std::make_unique<Tasks>(parts->stage, *parts->accounts, *parts->layers, *parts->roots,
                                         *parts->networks);
  parts->sandboxes = std::make_unique<Sandboxes>(parts->stage, *parts->accounts, *parts->layers,
                                                 *parts->roots, *parts->networks);
  TRY(parts->tasks->adopt());
  TRY(parts->sandboxes->clear());
  return parts;
}

Result<std::vector<Guarantee>> probe(Parts& parts) {
  const std::string disk = parts.stage.disk() + "/.probe";
  if (sys::exists(disk)) TRY(sys::remove_tree(disk));
  TRY(sys::make_folders(disk));
  const Container box(parts.stage, "probe", disk);
  const auto group = parts.stage.cgroups().group(kProbeAccount, "probe");
  auto ran = run_probe(parts, disk, box, group);
  TRY(box.destroy(group));
  TRY(parts.networks->remove_lonely("probe"));
  TRY(sys::remove_tree(disk));
  if (!ran) return std::move(ran).error();
  const std::string version = parts.stage.cgroups().version() == 2 ? "cgroups v2" : "cgroups v1";
  return std::vector<Guarantee>{
      {"identity", true, "each account has 65,536 uids of its own; a container's root is nobody on the host"},
      {"files", true, "a root filesystem of its own: overlayfs over idmapped layers"},
      {"network", true, "a network namespace a task and a VPC; no path between VPCs or to the host"},
      {"memory", true, version},
      {"cpu", true, version},
      {"processes", true, version},
      {"system calls", true,
       "an allow list by seccomp; no new privileges; Docker's capabilities without NET_RAW, MKNOD, "
       "AUDIT_WRITE"},
      {"disk space", false, "what a container writes is bounded by the disk alone"}};
}

}  // namespace bastide::runner
