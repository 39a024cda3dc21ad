// The role as control sees it: a process of its own behind a channel.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/message.h"
#include "runner/fixture.h"
#include "runner/runner.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::runner {
namespace {

class RoleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: containers with limits and networks";
    char name[] = "/tmp/bastide-runner-XXXXXX";
    home_ = ::mkdtemp(name);
    ::mkdir((home_ + "/run").c_str(), 0700);
    before_ = left_behind(home_);
    auto listener = net::listen_messages(home_ + "/run/runner.sock");
    ASSERT_TRUE(listener);
    listener_ = std::move(*listener);
    start_runner();
  }

  void TearDown() override {
    if (home_.empty()) return;
    ::kill(runner_, SIGTERM);
    int status = 0;
    ::waitpid(runner_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(left_behind(home_), before_);
    EXPECT_TRUE(sys::remove_tree(home_));
  }

  void start_runner() {
    runner_ = ::fork();
    if (runner_ != 0) return;
    log::init("runner", false);
    auto duplicate = listener_.duplicate();
    const auto ran =
        run_runner({.home = home_, .helpers = RUNNER_HELPERS, .listener = std::move(*duplicate)});
    ::fprintf(stderr, "%s\n", ran.error().message.c_str());
    ::_exit(1);
  }

  void kill_runner() {
    ::kill(runner_, SIGKILL);
    ::waitpid(runner_, nullptr, 0);
  }

  // Connects as a role and runs f in a fiber.
  void with(const char* role, const std::function<void()>& f) {
    net::Loop loop;
    loop.spawn([&] {
      auto channel = net::Channel::connect(home_ + "/run/runner.sock", role, 10'000);
      EXPECT_TRUE(channel) << (channel ? "" : channel.error().message);
      if (channel) {
        channel_ = std::move(*channel);
        channel_->on_message([this](net::Message m) -> Result<net::Message> {
          take(m.body);
          return net::Message{json::object(), {}};
        });
        f();
        channel_.reset();
      }
      loop.stop();
    });
    loop.run();
  }
  void control(const std::function<void()>& f) { with("control", f); }

  void take(const json::Value& event) {
    const auto kind = event.get("kind");
    if (kind == "task.changed") states_[event.get("id")] = *internal::task_state(event);
    if (kind == "sandbox.output") sandbox_output_ += event.get("text");
    if (kind != "task.output") return;
    auto sequence = event.get_int("sequence");
    for (const auto& line : event.get_array("lines")) {
      if (sequence > seen_) printed_ += line.get("text") + "\n";
      seen_ = std::max(seen_, sequence++);
    }
  }

  Result<net::Message> call(const std::string& kind, json::Value body = json::object(), sys::Fd fd = {}) {
    body["kind"] = kind;
    net::Message m{std::move(body), {}};
    if (fd) m.fds.push_back(std::move(fd));
    return channel_->call(std::move(m), 60'000);
  }
  net::Message ok(const std::string& kind, json::Value body = json::object(), sys::Fd fd = {}) {
    auto answer = call(kind, std::move(body), std::move(fd));
    EXPECT_TRUE(answer) << kind << ": " << (answer ? "" : answer.error().message);
    return answer ? std::move(*answer) : net::Message{};
  }
  bool eventually(const std::function<bool()>& f) {
    for (int i = 0; i < 1000; ++i) {
      if (f()) return true;
      net::sleep_for(10);
    }
    return false;
  }

  std::string pack(const std::string& folder) {
    const std::string file = home_ + "/" + new_id() + ".tar";
    EXPECT_TRUE(sys::run_ok({.argv = {"tar", "-cf", file, "--owner=0", "--group=0", "-C", folder, "."}}));
    return file;
  }
  std::string program_layer() {
    const std::string folder = home_ + "/image";
    EXPECT_TRUE(sys::make_folders(folder + "/data"));
    ::chmod(folder.c_str(), 0755);
    EXPECT_TRUE(sys::write_file(folder + "/program", *sys::read_file(RUNNER_PROBE), 0755));
    EXPECT_TRUE(sys::write_file(folder + "/data/old", "from the image\n", 0644));
    const auto file = pack(folder);
    const auto digest = "sha256:" + sha256_hex(*sys::read_file(file));
    ok("layers.put",
       json::object({{"digest", digest}, {"media_type", "application/vnd.oci.image.layer.v1.tar"}}),
       open_file(file));
    const std::string other = "sha256:" + std::string(64, 'e');
    const auto missing = ok("layers.missing", json::object({{"digests", json::array({digest, other})}}));
    EXPECT_EQ(json::print(missing.body), "{\"digests\":[\"" + other + "\"]}");
    return digest;
  }
  internal::TaskSpec task(std::vector<std::string> command) {
    internal::TaskSpec spec;
    spec.id = new_id();
    spec.account = kStage;
    spec.vpc = kVpcA;
    spec.address = "10.10.0.10";
    spec.layers = {program_layer()};
    spec.image.entrypoint = {"/program"};
    spec.image.command = std::move(command);
    return spec;
  }
  void make_network() { ok("network.ensure", to_json(internal::NetworkSpec{kStage, kVpcA, "10.10.0.0/16"})); }
  void remove_network() { ok("network.remove", json::object({{"account", kStage}, {"vpc", kVpcA}})); }

  std::string home_;
  std::vector<std::string> before_;
  sys::Fd listener_;
  pid_t runner_ = -1;
  std::unique_ptr<net::Channel> channel_;
  std::map<std::string, internal::TaskState> states_;
  std::string printed_, sandbox_output_;
  int64_t seen_ = 0;
};

TEST_F(RoleTest, SaysItsTierAndWhatItEnforces) {
  control([&] {
    const auto status = ok("status");
    EXPECT_EQ(status.body.get("tier"), "root");
    EXPECT_GE(status.body.get_array("guarantees").size(), 7u);
    EXPECT_EQ(call("reboot").error().code, "Unknown");
  });
}

TEST_F(RoleTest, TheEdgeMayAskForItsNamespaceAndNothingElse) {
  with("edge", [&] {
    auto answer = ok("edge.namespace");
    EXPECT_EQ(answer.fds.size(), 1u);
    EXPECT_GT(answer.body.get_int("inode"), 0);
    EXPECT_EQ(call("task.list").error().code, "Denied");
  });
}

TEST_F(RoleTest, ATasksLifeIsToldToControl) {
  control([&] {
    make_network();
    const auto spec = task({"say", "one", "two \"quoted\" \x01"});
    const auto started = ok("task.start", to_json(spec));
    EXPECT_EQ(started.body.get("id"), spec.id);
    EXPECT_TRUE(eventually([&] { return states_[spec.id].state == "stopped"; }));
    EXPECT_EQ(states_[spec.id].exit_status, 7);
    EXPECT_NE(printed_.find("one\ntwo \"quoted\" \x01\n"), std::string::npos) << printed_;
    EXPECT_EQ(ok("task.list").body.get_array("tasks").size(), 1u);
    ok("task.forget", json::object({{"id", spec.id}}));
    EXPECT_EQ(ok("task.list").body.get_array("tasks").size(), 0u);

    auto stubborn = task({"wait"});
    EXPECT_EQ(ok("task.start", to_json(stubborn)).fds.size(), 2u);
    EXPECT_EQ(call("network.remove", json::object({{"account", kStage}, {"vpc", kVpcA}})).error().code,
              "Invalid");
    ok("task.stop", json::object({{"id", stubborn.id}, {"timeout_ms", 200}}));
    EXPECT_TRUE(eventually([&] { return states_[stubborn.id].state == "stopped"; }));
    EXPECT_EQ(states_[stubborn.id].reason, "killed by signal 9");
    ok("task.forget", json::object({{"id", stubborn.id}}));
    remove_network();
  });
}

TEST_F(RoleTest, AKilledRunnerLosesNoOutputAndNoTask) {
  internal::TaskSpec spec;
  control([&] {
    make_network();
    spec = task({"polite"});
    ok("task.start", to_json(spec));
    EXPECT_TRUE(eventually([&] { return printed_ == "waiting\n"; })) << printed_;
  });
  kill_runner();
  start_runner();
  states_.clear();
  control([&] {
    EXPECT_TRUE(eventually([&] { return states_[spec.id].state == "running"; }));
    EXPECT_EQ(ok("task.listeners", json::object({{"id", spec.id}})).fds.size(), 2u);
    ok("task.stop", json::object({{"id", spec.id}, {"timeout_ms", 5000}}));
    EXPECT_TRUE(eventually([&] { return states_[spec.id].state == "stopped"; }));
    EXPECT_EQ(states_[spec.id].exit_status, 42);
    EXPECT_EQ(printed_, "waiting\n");
    ok("task.forget", json::object({{"id", spec.id}}));
    remove_network();
  });
}

TEST_F(RoleTest, ASandboxBuildsWithTheHostsToolsAndWithoutANetwork) {
  control([&] {
    const std::string folder = home_ + "/work";
    ASSERT_TRUE(sys::make_folders(folder));
    ASSERT_TRUE(sys::write_file(folder + "/input", "source\n", 0644));
    internal::SandboxSpec spec{.id = new_id(), .account = kStage, .host_tools = true};
    ok("sandbox.open", to_json(spec), open_file(pack(folder)));
    internal::SandboxExec exec{.id = spec.id};
    exec.argv = {"/bin/sh", "-c",
                 "tr a-z A-Z < input > result; cat result; pwd; touch /usr/x; ls /home /root; cat "
                 "/proc/net/dev | wc -l; echo $GIVEN; exit 3"};
    exec.environment = {"GIVEN=yes"};
    const auto ran = ok("sandbox.exec", to_json(exec));
    EXPECT_EQ(ran.body.get_int("status"), 3);
    EXPECT_FALSE(ran.body.get_bool("timed_out"));
    EXPECT_NE(sandbox_output_.find("SOURCE\n/src\n"), std::string::npos) << sandbox_output_;
    EXPECT_NE(sandbox_output_.find("Read-only file system"), std::string::npos) << sandbox_output_;
    EXPECT_NE(sandbox_output_.find("\n3\nyes\n"), std::string::npos) << sandbox_output_;

    auto exported = ok("sandbox.export", json::object({{"id", spec.id}, {"what", "workspace"}}));
    ASSERT_EQ(exported.fds.size(), 1u);
    const auto listed = sys::run_ok({.argv = {"tar", "-tvf", "-", "--numeric-owner"},
                                     .input = *sys::read_all(exported.fds[0].get(), 1 << 20)});
    ASSERT_TRUE(listed);
    EXPECT_NE(listed->find("0/0"), std::string::npos) << *listed;
    EXPECT_NE(listed->find("input"), std::string::npos) << *listed;
    EXPECT_NE(listed->find("result"), std::string::npos) << *listed;

    exec.argv = {"/bin/sh", "-c", "echo started; sleep 60 & sleep 60"};
    exec.timeout = 500;
    const auto late = ok("sandbox.exec", to_json(exec));
    EXPECT_TRUE(late.body.get_bool("timed_out"));
    EXPECT_EQ(late.body.get_int("status"), 137);
    ok("sandbox.close", json::object({{"id", spec.id}}));

    // With a network where it is asked for: a way out, and a resolver that the image does not keep.
    spec.network = true;
    ok("sandbox.open", to_json(spec));
    sandbox_output_.clear();
    exec.argv = {"/bin/sh", "-c", "cat /proc/net/route /etc/resolv.conf"};
    exec.timeout = 10'000;
    EXPECT_EQ(ok("sandbox.exec", to_json(exec)).body.get_int("status"), 0);
    EXPECT_NE(sandbox_output_.find("tap0"), std::string::npos) << sandbox_output_;
    EXPECT_NE(sandbox_output_.find("nameserver 10.0.2.3"), std::string::npos) << sandbox_output_;
    ok("sandbox.close", json::object({{"id", spec.id}}));
  });
}

TEST_F(RoleTest, ARunStepsChangesAreALayer) {
  control([&] {
    internal::SandboxSpec spec{.id = new_id(), .account = kStage};
    spec.layers = {program_layer()};
    spec.workspace = "";
    ok("sandbox.open", to_json(spec));
    internal::SandboxExec exec{.id = spec.id};
    exec.argv = {"/program", "touch", "/data/new"};
    EXPECT_EQ(ok("sandbox.exec", to_json(exec)).body.get_int("status"), 0);
    exec.argv = {"/program", "remove", "/data/old"};
    EXPECT_EQ(ok("sandbox.exec", to_json(exec)).body.get_int("status"), 0);
    auto exported = ok("sandbox.export", json::object({{"id", spec.id}, {"what", "changes"}}));
    ASSERT_EQ(exported.fds.size(), 1u);
    const auto tar = *sys::read_all(exported.fds[0].get(), 1 << 20);
    const auto names = sys::run_ok({.argv = {"tar", "-tf", "-"}, .input = tar});
    ASSERT_TRUE(names);
    EXPECT_EQ(*names, "data/\ndata/new\ndata/.wh.old\n");
    ok("sandbox.close", json::object({{"id", spec.id}}));

    // The layer on top of the image shows the change and hides what was removed.
    const auto digest = "sha256:" + sha256_hex(tar);
    ok("layers.put",
       json::object({{"digest", digest}, {"media_type", "application/vnd.oci.image.layer.v1.tar"}}),
       sys::memory_file("layer", tar, false).value());
    spec.id = exec.id = new_id();
    spec.layers.push_back(digest);
    ok("sandbox.open", to_json(spec));
    exec.argv = {"/program", "cat", "/data/new"};
    EXPECT_EQ(ok("sandbox.exec", to_json(exec)).body.get_int("status"), 0);
    EXPECT_NE(sandbox_output_.find("made inside\n"), std::string::npos);
    exec.argv = {"/program", "cat", "/data/old"};
    EXPECT_EQ(ok("sandbox.exec", to_json(exec)).body.get_int("status"), 1);
  });
  // The sandbox that was left open goes with its connection.
}

}  // namespace
}  // namespace bastide::runner
