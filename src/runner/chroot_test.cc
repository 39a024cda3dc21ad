// The chroot tier: the same tasks without namespaces, kept apart by users, a root folder and their
// supervisors.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "runner/fixture.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::runner {
namespace {

class ChrootTest : public RunnerTest {
 protected:
  Tier tier() const override { return Tier::chroot; }
  void SetUp() override {
    RunnerTest::SetUp();
    ::chmod(home_.c_str(), 0711);
  }
  std::string run(const internal::TaskSpec& spec) {
    const auto started = machine_->tasks->start(spec);
    EXPECT_TRUE(started) << started.error().message;
    wait_stopped(spec.id, 20'000);
    return output(spec.id);
  }
  std::string folder_with(const std::string& name, const std::string& content) {
    const std::string folder = home_ + "/more-" + new_id();
    EXPECT_TRUE(sys::make_folders(folder, 0755));
    EXPECT_TRUE(sys::write_file(folder + "/" + name, content, 0644));
    return folder;
  }
};

TEST_F(ChrootTest, AVpcIsReachedFromWithinAndFromNowhereElse) {
  ASSERT_TRUE(machine_->networks->ensure({kProd, kVpcB, "10.20.0.0/16"}));
  auto server = task({"serve", "8080", "from stage"});
  ASSERT_TRUE(machine_->tasks->start(server));
  wait_output(server.id, "serving");
  // The same port at another address: both listen on all addresses, as they think.
  auto second = task({"serve", "8080", "the second"}, "10.10.0.12");
  ASSERT_TRUE(machine_->tasks->start(second));
  wait_output(second.id, "serving");
  EXPECT_EQ(run(task({"reach", "10.10.0.10", "8080"}, "10.10.0.11")), "reached from stage\n");
  EXPECT_EQ(run(task({"reach", "10.10.0.12", "8080"}, "10.10.0.11")), "reached the second\n");
  auto foreign = task({"reach", "10.10.0.10", "8080"}, "10.20.0.10");
  foreign.account = kProd;
  foreign.vpc = kVpcB;
  EXPECT_NE(run(foreign).find("not reached"), std::string::npos);
  auto direct = task({"reach", "127.10.0.10", "8080"}, "10.20.0.11");
  direct.account = kProd;
  direct.vpc = kVpcB;
  EXPECT_NE(run(direct).find("not reached"), std::string::npos);

  const int host = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::listen(host, 1), 0);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  ASSERT_EQ(::getsockname(host, reinterpret_cast<sockaddr*>(&own), &size), 0);
  for (const char* address : {"127.0.0.1", "169.254.170.2", "10.10.0.1"}) {
    EXPECT_NE(
        run(task({"reach", address, std::to_string(ntohs(own.sin_port))}, "10.10.0.13")).find("not reached"),
        std::string::npos)
        << address;
  }
  ::close(host);
}

TEST_F(ChrootTest, ASocketThatWasNeverBoundListensAtTheTasksAddressToo) {
  EXPECT_EQ(run(task({"unbound"})), "listening at 127.10.0.10\n");
}

// What kmscrypt and every SDK do: 169.254.170.2:80 leads to this task's own door.
TEST_F(ChrootTest, TheCredentialEndpointIsTheTasksOwn) {
  auto spec = task({"reach", "169.254.170.2", "80"});
  const auto started = machine_->tasks->start(spec);
  ASSERT_TRUE(started) << started.error().message;
  int peer = -1;
  ASSERT_TRUE(eventually(
      [&] { return (peer = ::accept4(started->credentials.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0; }));
  ASSERT_EQ(::write(peer, "credentials", 11), 11);
  ::close(peer);
  wait_stopped(spec.id);
  EXPECT_EQ(output(spec.id), "reached credentials\n");
}

TEST_F(ChrootTest, ATaskHasAUserOfItsOwnAndNoRights) {
  const auto first = run(task({"describe"})), second = run(task({"describe"}, "10.10.0.11"));
  EXPECT_NE(first.find("mount: Operation not permitted"), std::string::npos) << first;
  EXPECT_EQ(first.find("raw socket: allowed"), std::string::npos) << first;
  EXPECT_EQ(first.find("uid 0 "), std::string::npos) << first;
  EXPECT_NE(first.substr(0, first.find('\n')), second.substr(0, second.find('\n')));
}

TEST_F(ChrootTest, MemoryAndProcessesAreBoundedAndNothingOfATaskOutlivesIt) {
  const auto hungry = task({"eat"});
  ASSERT_TRUE(machine_->tasks->start(hungry));
  EXPECT_EQ(wait_stopped(hungry.id).exit_status, 3);  // its malloc failed
  const auto many = task({"fork"}, "10.10.0.11");
  const auto made = run(many);
  ASSERT_TRUE(made.starts_with("made ")) << made;
  EXPECT_LE(std::stoi(made.substr(5)), 50);
  EXPECT_GE(std::stoi(made.substr(5)), 10);
  const auto uid = std::to_string(*machine_->accounts->task_uid(kStage, many.id));
  EXPECT_NE(sys::run({.argv = {"pgrep", "-U", uid}})->status, 0) << "its children live on";
}

// A build stands in the host's root folder, and sees of it what everybody may: the tools.
TEST_F(ChrootTest, ABuildWritesItsWorkspaceAndReadsNothingOfTheHost) {
  if (!has_landlock()) GTEST_SKIP() << "this kernel has no Landlock";
  const std::string secret = home_ + "/readable-by-all";
  ASSERT_TRUE(sys::write_file(secret, "secret", 0644));
  internal::SandboxSpec spec{.id = new_id(), .account = kStage, .host_tools = true};
  const auto opened = machine_->sandboxes->open(spec, sys::Fd());
  ASSERT_TRUE(opened) << opened.error().message;
  const auto exec = [&](const std::string& command) {
    auto folder = machine_->sandboxes->begin({.id = spec.id, .argv = {"/bin/sh", "-c", command}});
    EXPECT_TRUE(folder) << folder.error().message;
    if (!folder) return -1;
    std::optional<Ending> ending;
    EXPECT_TRUE(eventually([&] { return (ending = machine_->sandboxes->poll(spec.id)).has_value(); }));
    EXPECT_TRUE(machine_->sandboxes->finish(spec.id));
    return ending ? ending->status : -1;
  };
  EXPECT_EQ(
      exec("echo made > made && test $(id -u) -ne 0 && cat made > $TMPDIR/copy && ls /usr/bin > /dev/null"),
      0);
  EXPECT_NE(exec("cat " + secret), 0);
  EXPECT_NE(exec("cat /etc/hostname"), 0);
  EXPECT_NE(exec("echo > /tmp/of-a-build-" + spec.id), 0);
  const auto tar = machine_->sandboxes->pack(spec.id, Sandboxes::Part::workspace);
  ASSERT_TRUE(tar) << tar.error().message;
  const auto listed = sys::run({.argv = {"tar", "-t"}, .input_fd = tar->get()});
  EXPECT_NE(listed->output.find("made"), std::string::npos);
  EXPECT_TRUE(machine_->sandboxes->close(spec.id));
}

TEST_F(ChrootTest, LayersLieOverOneAnotherAndWhiteoutsHide) {
  auto spec = task({"wait"});
  const auto lower = folder_with("kept", "lower");
  ASSERT_TRUE(sys::write_file(lower + "/hidden", "x", 0644));
  ASSERT_TRUE(sys::make_folders(lower + "/folder", 0755));
  ASSERT_TRUE(sys::write_file(lower + "/folder/old", "x", 0644));
  const auto upper = folder_with("kept", "upper");
  ASSERT_TRUE(sys::write_file(upper + "/.wh.hidden", "", 0644));
  ASSERT_TRUE(sys::make_folders(upper + "/folder", 0755));
  ASSERT_TRUE(sys::write_file(upper + "/folder/.wh..wh..opq", "", 0644));
  ASSERT_TRUE(sys::write_file(upper + "/folder/new", "x", 0644));
  spec.layers = {add_layer(lower), add_layer(upper), program_layer()};
  ASSERT_TRUE(machine_->tasks->start(spec));
  const std::string root = machine_->stage.path() + "/t/" + spec.id + "/root";
  EXPECT_EQ(*sys::read_file(root + "/kept"), "upper");
  EXPECT_FALSE(sys::exists(root + "/hidden"));
  EXPECT_FALSE(sys::exists(root + "/folder/old"));
  EXPECT_TRUE(sys::exists(root + "/folder/new"));
  struct stat st;
  ASSERT_EQ(::stat((root + "/kept").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, *machine_->accounts->task_uid(kStage, spec.id));
}

TEST_F(ChrootTest, TasksSurviveTheirRunnerAndEndWithEverythingTheyStarted) {
  const auto living = task({"serve", "8080", "still here"});
  const pid_t first = ::fork();
  if (first == 0) {
    if (!machine_->tasks->start(living)) ::_exit(1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(first, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  machine_.reset();
  machine_ = Parts::open(home_, RUNNER_HELPERS, Tier::chroot).value();
  EXPECT_TRUE(machine_->stage.adopted());
  EXPECT_EQ(machine_->tasks->state(living.id)->state, "running");
  const auto listeners = machine_->tasks->listeners(living.id);
  ASSERT_TRUE(listeners) << listeners.error().message;
  EXPECT_EQ(run(task({"reach", "10.10.0.10", "8080"}, "10.10.0.11")), "reached still here\n");
  ASSERT_TRUE(machine_->tasks->kill(living.id));
  EXPECT_EQ(wait_stopped(living.id).exit_status, 128 + SIGKILL);
}

TEST_F(ChrootTest, NetworksThatWouldShareAddressesOfLoopbackAreRefused) {
  EXPECT_FALSE(machine_->networks->ensure({kProd, kVpcB, "172.10.0.0/16"}));
  EXPECT_FALSE(machine_->networks->ensure({kProd, kVpcB, "192.168.0.0/16"}));
  EXPECT_TRUE(machine_->networks->ensure({kProd, kVpcB, "172.16.0.0/16"}));
}

}  // namespace
}  // namespace bastide::runner
