#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/fixture.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

using TasksTest = RunnerTest;

std::vector<std::string> host_addresses() {
  std::vector<std::string> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* at = list; at; at = at->ifa_next) {
    if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET) continue;
    out.push_back(address_text(ntohl(reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr.s_addr)));
  }
  ::freeifaddrs(list);
  return out;
}

TEST_F(TasksTest, RunsAnImageAndKeepsItsOutputAndStatus) {
  const auto spec = task({"say", "hello", "world"});
  const auto started = machine_->tasks->start(spec);
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(started->state.state, "running");
  const auto state = wait_stopped(spec.id);
  EXPECT_EQ(state.exit_status, 7);
  EXPECT_EQ(state.reason, "");
  EXPECT_GE(state.stopped_at, state.started_at - 1000);
  const auto text = output(spec.id);
  EXPECT_NE(text.find("hello\nworld\n"), std::string::npos) << text;
  EXPECT_NE(text.find("to stderr\n"), std::string::npos) << text;
}

TEST_F(TasksTest, ConfinesWhatRunsInside) {
  auto spec = task({"describe"});
  spec.hostname = "store-1";
  ASSERT_TRUE(machine_->tasks->start(spec));
  EXPECT_EQ(wait_stopped(spec.id).exit_status, 0);
  const auto text = output(spec.id);
  for (const char* line :
       {"uid 0 gid 0 pid 1\n", "root belongs to 0\n", "CapEff:\t00000000800405fb\n", "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n", "mount: Operation not permitted\n", "raw socket: Operation not permitted\n",
        "write: allowed\n", "10.10.0.10\tstore-1\n", "store-1\n", "HOME=/root\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << " in:\n" << text;
  }
  EXPECT_EQ(text.find("write /proc/sys: allowed"), std::string::npos);
  const auto uid = machine_->accounts->first_uid(kStage);
  EXPECT_NE(text.find(std::to_string(*uid) + "      65536\n"), std::string::npos) << text;
}

TEST_F(TasksTest, RunsAsTheImagesUserOnAReadOnlyRoot) {
  auto spec = task({"describe"});
  spec.image.user = "app";
  spec.read_only_root = true;
  ASSERT_TRUE(machine_->tasks->start(spec));
  wait_stopped(spec.id);
  const auto text = output(spec.id);
  EXPECT_NE(text.find("uid 1000 gid 1001"), std::string::npos) << text;
  EXPECT_NE(text.find("CapEff:\t0000000000000000\n"), std::string::npos) << text;
  EXPECT_NE(text.find("HOME=/home/app\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("write: allowed"), std::string::npos) << text;

  auto unknown = task({"describe"}, "10.10.0.11");
  unknown.image.user = "nobody-here";
  const auto refused = machine_->tasks->start(unknown);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the image has no user 'nobody-here'");
}

TEST_F(TasksTest, EndsATaskThatEatsMoreMemoryThanItHas) {
  const auto spec = task({"eat"});
  ASSERT_TRUE(machine_->tasks->start(spec));
  const auto state = wait_stopped(spec.id);
  EXPECT_EQ(state.exit_status, 137);
  EXPECT_EQ(state.reason, "OutOfMemory");
}

TEST_F(TasksTest, BoundsProcesses) {
  const auto spec = task({"fork"});
  ASSERT_TRUE(machine_->tasks->start(spec));
  wait_stopped(spec.id);
  EXPECT_NE(output(spec.id).find("made 49\n"), std::string::npos) << output(spec.id);
}

TEST_F(TasksTest, StopsByTheImagesSignal) {
  auto spec = task({"polite"});
  ASSERT_TRUE(machine_->tasks->start(spec));
  wait_output(spec.id, "waiting");
  EXPECT_EQ(machine_->tasks->forget(spec.id).error().message, "the task is still running");
  ASSERT_TRUE(machine_->tasks->signal_stop(spec.id));
  EXPECT_EQ(wait_stopped(spec.id).exit_status, 42);

  spec = task({"wait"});
  spec.image.stop_signal = "SIGKILL";
  ASSERT_TRUE(machine_->tasks->start(spec));
  ASSERT_TRUE(machine_->tasks->signal_stop(spec.id));
  EXPECT_EQ(wait_stopped(spec.id).reason, "killed by signal 9");
}

TEST_F(TasksTest, SaysClearlyWhatItCannotStart) {
  auto spec = task({});
  spec.image.entrypoint = {"/missing"};
  const auto refused = machine_->tasks->start(spec);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("No such file"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(machine_->tasks->list().empty());

  spec = task({"wait"}, "10.11.0.9");
  EXPECT_EQ(machine_->tasks->start(spec).error().message,
            "10.11.0.9 is not an address for tasks of vpc-0a0a0a0a");
  spec = task({"wait"}, "10.10.0.2");
  EXPECT_FALSE(machine_->tasks->start(spec));
  spec = task({"wait"});
  spec.id = "../../../../etc";
  EXPECT_EQ(machine_->tasks->start(spec).error().code, "Invalid");
  spec = task({"wait"});
  spec.layers.push_back("sha256:" + std::string(64, '0'));
  EXPECT_EQ(machine_->tasks->start(spec).error().code, "NotFound");
}

// What control accepts on: both sockets listen inside the task's own network.
TEST_F(TasksTest, GivesTheTwoSocketsInsideTheTask) {
  const auto spec = task({"reach", "169.254.170.2", "80"});
  const auto started = machine_->tasks->start(spec);
  ASSERT_TRUE(started) << started.error().message;
  int peer = -1;
  ASSERT_TRUE(
      eventually([&] { return (peer = ::accept(started->credentials.get(), nullptr, nullptr)) >= 0; }));
  ASSERT_EQ(::write(peer, "the role's credentials", 22), 22);
  ::close(peer);
  EXPECT_EQ(wait_stopped(spec.id).exit_status, 0);
  EXPECT_NE(output(spec.id).find("reached the role's credentials"), std::string::npos) << output(spec.id);
}

TEST_F(TasksTest, KeepsVpcsApartFromEachOtherAndFromTheHost) {
  ASSERT_TRUE(open_network(*machine_->networks, {kProd, kVpcB, "10.20.0.0/16"}));
  const auto overlapping = machine_->networks->ensure({kProd, "vpc-0c0c0c0c", "10.10.128.0/17"});
  ASSERT_FALSE(overlapping);

  auto server = task({"serve", "8080", "from stage"});
  ASSERT_TRUE(machine_->tasks->start(server));
  wait_output(server.id, "serving");
  const auto reached = [&](internal::TaskSpec spec) {
    const auto started = machine_->tasks->start(spec);
    EXPECT_TRUE(started) << started.error().message;
    wait_stopped(spec.id);
    return output(spec.id);
  };
  EXPECT_EQ(reached(task({"reach", "10.10.0.10", "8080"}, "10.10.0.11")), "reached from stage\n");
  auto foreign = task({"reach", "10.10.0.10", "8080"}, "10.20.0.10");
  foreign.account = kProd;
  foreign.vpc = kVpcB;
  EXPECT_NE(reached(foreign).find("not reached"), std::string::npos);

  // The host listens on every address it has; a task reaches none of it, and not the edge's leg either.
  const int host = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::listen(host, 1), 0);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  ASSERT_EQ(::getsockname(host, reinterpret_cast<sockaddr*>(&own), &size), 0);
  const std::string port = std::to_string(ntohs(own.sin_port));
  for (const auto& address : host_addresses()) {
    EXPECT_NE(reached(task({"reach", address, port}, "10.10.0.12")).find("not reached"), std::string::npos)
        << address;
  }
  for (const char* address : {"10.10.0.1", "10.10.0.2", "127.0.0.1", "169.254.170.2"}) {
    EXPECT_NE(reached(task({"reach", address, port}, "10.10.0.12")).find("not reached"), std::string::npos)
        << address;
  }
  ::close(host);
}

// The edge stands in its own namespace and reaches every VPC's tasks from there.
TEST_F(TasksTest, TheEdgesNamespaceReachesTasksOfEveryVpc) {
  ASSERT_TRUE(open_network(*machine_->networks, {kProd, kVpcB, "10.20.0.0/16"}));
  auto stage = task({"serve", "80", "stage"});
  auto prod = task({"serve", "80", "prod"}, "10.20.0.10");
  prod.account = kProd;
  prod.vpc = kVpcB;
  ASSERT_TRUE(machine_->tasks->start(stage));
  ASSERT_TRUE(machine_->tasks->start(prod));
  wait_output(stage.id, "serving");
  wait_output(prod.id, "serving");
  const auto edge = machine_->networks->edge_namespace();
  ASSERT_TRUE(edge);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setns(edge->get(), CLONE_NEWNET) != 0) ::_exit(9);
    int failures = 0;
    for (const char* address : {"10.10.0.10", "10.20.0.10"})
      failures += ::system((std::string(RUNNER_PROBE) + " reach " + address + " 80 >/dev/null").c_str()) != 0;
    ::_exit(failures);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(TasksTest, ManyLinesAreKeptUpToTheSpoolsBoundAndTheRestIsCounted) {
  auto spec = task({"flood", "200000"});
  ASSERT_TRUE(machine_->tasks->start(spec));
  EXPECT_EQ(wait_stopped(spec.id, 30'000).exit_status, 0);
  SpoolReader reader(machine_->tasks->folder(spec.id) + "/spool", {});
  uint64_t seen = 0, dropped = 0;
  std::string last;
  for (;;) {
    const auto batch = reader.read(1 << 20);
    ASSERT_TRUE(batch) << batch.error().message;
    if (batch->lines.empty()) break;
    seen += batch->lines.size();
    dropped += batch->dropped;
    last = batch->lines.back().text;
    reader.advance(batch->end);
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(dropped + seen, 200'000u);
  EXPECT_EQ(last, "line 199999 of a long output that fills the spool");
}

// The runner that started them is killed; another one finds them, with their sockets and all their output.
TEST_F(TasksTest, TasksSurviveTheirRunnerAndAreFoundAgain) {
  const auto living = task({"serve", "8080", "still here"});
  const auto ended = task({"say", "last words"}, "10.10.0.11");
  const pid_t first = ::fork();
  if (first == 0) {
    if (!machine_->tasks->start(living) || !machine_->tasks->start(ended)) ::_exit(1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(first, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  wait_output(ended.id, "to stderr");

  machine_.reset();
  machine_ = Parts::open(home_, RUNNER_HELPERS, Tier::root).value();
  EXPECT_TRUE(machine_->stage.adopted());
  EXPECT_EQ(machine_->tasks->state(living.id)->state, "running");
  EXPECT_EQ(wait_stopped(ended.id).exit_status, 7);
  EXPECT_NE(output(ended.id).find("last words"), std::string::npos);

  const auto listeners = machine_->tasks->listeners(living.id);
  ASSERT_TRUE(listeners) << listeners.error().message;
  int listening = 0;
  socklen_t size = sizeof listening;
  ASSERT_EQ(::getsockopt(listeners->api.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size), 0);
  EXPECT_EQ(listening, 1);
  const auto other = task({"reach", "10.10.0.10", "8080"}, "10.10.0.12");
  ASSERT_TRUE(machine_->tasks->start(other));
  EXPECT_EQ(wait_stopped(other.id).exit_status, 0);
  EXPECT_NE(output(other.id).find("still here"), std::string::npos);
}

// Everything that ran before the last boot is over: its processes cannot be told from others of the same
// number.
TEST_F(TasksTest, AfterARebootTasksAreStopped) {
  const auto spec = task({"wait"});
  ASSERT_TRUE(machine_->tasks->start(spec));
  const std::string file = machine_->tasks->folder(spec.id) + "/task.json";
  auto state = json::parse(*sys::read_file(file));
  ASSERT_TRUE(state);
  ASSERT_TRUE(machine_->tasks->kill(spec.id));
  ASSERT_TRUE(eventually([&] { return sys::exists(machine_->tasks->folder(spec.id) + "/exit"); }));
  ASSERT_TRUE(sys::remove_file(machine_->tasks->folder(spec.id) + "/exit"));
  (*state)["boot"] = "00000000-0000-0000-0000-000000000000";
  ASSERT_TRUE(sys::write_file(file, json::print(*state)));
  machine_.reset();
  machine_ = Parts::open(home_, RUNNER_HELPERS, Tier::root).value();
  const auto found = machine_->tasks->state(spec.id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, "stopped");
  EXPECT_EQ(found->reason, "the host was restarted");
}

}  // namespace
}  // namespace bastide::runner
