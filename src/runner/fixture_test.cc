#include "runner/fixture.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::runner {

std::string new_id() { return hex(random_bytes(16)); }

sys::Fd open_file(const std::string& path) {
  auto fd = sys::open_read(path);
  EXPECT_TRUE(fd) << path;
  return fd ? std::move(*fd) : sys::Fd();
}

void RunnerTest::SetUp() {
  char name[] = "/tmp/bastide-runner-XXXXXX";
  home_ = ::mkdtemp(name);
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: containers with limits and networks";
  before_ = left_behind(home_);
  auto parts = Parts::open(home_, RUNNER_HELPERS, tier());
  if (!parts) GTEST_SKIP() << "this host cannot run the root tier: " << parts.error().message;
  machine_ = std::move(*parts);
  ASSERT_TRUE(open_network(*machine_->networks, {kStage, kVpcA, "10.10.0.0/16"}));
}

Result<void> RunnerTest::open_network(Networks& networks, const internal::NetworkSpec& spec) {
  TRY(networks.ensure(spec));
  internal::NetworkPolicy policy{.account = spec.account, .vpc = spec.vpc};
  const std::string start = spec.cidr.substr(0, spec.cidr.rfind('.') + 1);
  for (int i = 4; i < 100; ++i) {
    policy.endpoints.push_back({start + std::to_string(i),
                                {{.egress = false, .protocol = "-1", .ranges = {"0.0.0.0/0"}},
                                 {.egress = true, .protocol = "-1", .ranges = {"0.0.0.0/0"}}}});
  }
  return networks.apply(policy);
}

std::vector<std::string> left_behind(const std::string& home) {
  std::vector<std::string> left;
  const auto mounts = sys::read_file("/proc/self/mounts");
  for (const auto line : split(mounts ? *mounts : "", '\n')) {
    const auto parts = split(line, ' ');
    if (parts.size() < 4) continue;
    const bool inside = parts[1].starts_with("/mnt/");
    if (inside || line.find(home) != std::string_view::npos) left.push_back("mount " + std::string(line));
  }
  const std::string group = "bastide-" + sha256_hex(home).substr(0, 8);
  for (const auto& entry : sys::list_folder("/sys/fs/cgroup").value_or({})) {
    if (sys::exists("/sys/fs/cgroup/" + entry + "/" + group)) left.push_back("cgroup " + entry + "/" + group);
  }
  for (const auto& pid : sys::list_folder("/proc").value_or({})) {
    if (!parse_int(pid)) continue;
    const auto line = sys::read_file("/proc/" + pid + "/cmdline");
    if (line && line->find(home) != std::string::npos)
      left.push_back("process " + pid + " " + replace_all(*line, std::string_view("\0", 1), " "));
  }
  return left;
}

void RunnerTest::TearDown() {
  if (machine_) {
    for (const auto& state : machine_->tasks->list()) {
      EXPECT_TRUE(machine_->tasks->kill(state.id));
      wait_stopped(state.id);
      const auto forgotten = machine_->tasks->forget(state.id);
      EXPECT_TRUE(forgotten) << forgotten.error().message;
    }
    for (const auto& network : machine_->networks->list())
      EXPECT_TRUE(machine_->networks->remove(network.account, network.vpc));
    EXPECT_TRUE(sys::list_folder(machine_->stage.path() + "/net").value_or({}).empty());
    EXPECT_TRUE(sys::list_folder(machine_->stage.path() + "/t")->empty());
    EXPECT_TRUE(sys::list_folder(machine_->stage.path() + "/crun").value_or({}).empty());
    machine_->stage.release();
    EXPECT_EQ(left_behind(home_), before_);
  }
  EXPECT_TRUE(sys::remove_tree(home_));
}

std::string RunnerTest::add_layer(const std::string& folder) {
  const std::string file = home_ + "/layer-" + new_id() + ".tar.gz";
  auto packed = sys::run_ok({.argv = {"tar", "-czf", file, "--owner=0", "--group=0", "-C", folder, "."}});
  EXPECT_TRUE(packed);
  const auto digest = "sha256:" + sha256_hex(*sys::read_file(file));
  const auto put =
      machine_->layers->put(digest, "application/vnd.oci.image.layer.v1.tar+gzip", open_file(file));
  EXPECT_TRUE(put) << put.error().message;
  return digest;
}

std::string RunnerTest::program_layer() {
  const std::string folder = home_ + "/image";
  if (!sys::exists(folder)) {
    EXPECT_TRUE(sys::make_folders(folder + "/etc"));
    ::chmod(folder.c_str(), 0755);
    ::chmod((folder + "/etc").c_str(), 0755);
    EXPECT_TRUE(sys::write_file(folder + "/program", *sys::read_file(RUNNER_PROBE), 0755));
    EXPECT_TRUE(sys::write_file(folder + "/etc/passwd",
                                "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n", 0644));
  }
  return add_layer(folder);
}

internal::TaskSpec RunnerTest::task(std::vector<std::string> command, const std::string& address) {
  internal::TaskSpec spec;
  spec.id = new_id();
  spec.account = kStage;
  spec.vpc = kVpcA;
  spec.address = address;
  spec.layers = {program_layer()};
  spec.image.entrypoint = {"/program"};
  spec.image.command = std::move(command);
  spec.memory_mib = 64;
  spec.processes = 50;
  return spec;
}

bool RunnerTest::eventually(const std::function<bool()>& f, Millis within) {
  const Millis deadline = Clock::system().steady() + within;
  while (!f()) {
    if (Clock::system().steady() > deadline) return false;
    ::usleep(5'000);
  }
  return true;
}

internal::TaskState RunnerTest::wait_stopped(const std::string& id, Millis within) {
  internal::TaskState state;
  EXPECT_TRUE(eventually(
      [&] {
        auto observed = machine_->tasks->observe(id);
        EXPECT_TRUE(observed) << (observed ? "" : observed.error().message);
        if (!observed) return true;
        state = *observed;
        return state.state == "stopped";
      },
      within));
  return state;
}

std::string RunnerTest::output(const std::string& id) {
  SpoolReader reader(machine_->tasks->folder(id) + "/spool", {});
  std::string out;
  auto batch = reader.read(64 << 20);
  EXPECT_TRUE(batch);
  if (batch) {
    for (const auto& line : batch->lines) out += line.text + "\n";
  }
  return out;
}

std::string RunnerTest::wait_output(const std::string& id, const std::string& text) {
  std::string seen;
  EXPECT_TRUE(eventually([&] { return (seen = output(id)).find(text) != std::string::npos; })) << seen;
  return seen;
}

}  // namespace bastide::runner
