#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "runner/fixture.h"
#include "runner/oci_spec.h"
#include "runner/probe.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr uid_t kSomebody = 61'234;

class ChooseTier : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-tier-XXXXXX";
    home_ = ::mkdtemp(name);
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(home_)); }

  void give_home_away() {
    if (::geteuid() == 0) {
      ASSERT_EQ(::chown(home_.c_str(), kSomebody, kSomebody), 0);
    }
  }

  // What choose_tier says to a user, as text; the stage that it leaves is released.
  std::string chosen(uid_t uid, std::optional<Tier> wanted) {
    int pipe[2];
    EXPECT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    sys::Fd read(pipe[0]), write(pipe[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      if (uid != ::geteuid() && (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0))
        ::_exit(1);
      ::prctl(PR_SET_DUMPABLE, 1);  // as a program that the user started is
      std::string text;
      auto choice = choose_tier(home_, RUNNER_HELPERS, wanted);
      if (!choice) {
        text = "error " + choice.error().message;
      } else {
        text = std::string(tier_name(choice->tier)) + "\n";
        for (const auto& g : choice->guarantees) text += (g.enforced ? "+" : "-") + g.name + "\n";
        if (auto stage = Stage::enter(home_, RUNNER_HELPERS, choice->tier)) stage->release();
      }
      [[maybe_unused]] const auto told = sys::write_all(write.get(), text);
      ::_exit(0);
    }
    write.reset();
    auto text = sys::read_all(read.get(), 64 * 1024);
    int status = 0;
    ::waitpid(child, &status, 0);
    return text ? *text : text.error().message;
  }

  std::string home_;
};

TEST_F(ChooseTier, RootGetsTheRootTierWithEveryLimitTested) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto got = chosen(0, std::nullopt);
  if (!got.starts_with("root\n")) GTEST_SKIP() << "this host has no root tier: " << got;
  for (const char* held : {"+identity", "+files", "+network", "+memory\n", "+cpu", "+processes"})
    EXPECT_NE(got.find(held), std::string::npos) << held << " in " << got;
}

TEST_F(ChooseTier, AnOrdinaryUserGetsAUserNamespaceAndIsToldWhatDoesNotHold) {
  give_home_away();
  const auto got = chosen(::geteuid() == 0 ? kSomebody : ::geteuid(), Tier::userns);
  if (!got.starts_with("userns\n")) GTEST_SKIP() << "this host has no user namespaces for users: " << got;
  for (const char* expected :
       {"+files", "+network", "+memory of a process", "-memory of a task", "-cpu", "+processes"})
    EXPECT_NE(got.find(expected), std::string::npos) << expected << " in " << got;
}

TEST_F(ChooseTier, ATierThatNeedsRootIsRefusedToOthers) {
  give_home_away();
  const auto got = chosen(::geteuid() == 0 ? kSomebody : ::geteuid(), Tier::root);
  EXPECT_NE(got.find("root: needs root"), std::string::npos) << got;
}

TEST(OciSpec, WithoutAControlGroupEachProcessIsLimited) {
  ContainerPlan plan;
  plan.ids = 1;
  plan.user.uid = 10'001;
  plan.user.gid = 10'002;
  plan.memory_mib = 64;
  plan.processes = 50;
  const auto text = json::print(oci_spec(plan));
  EXPECT_NE(text.find(R"({"type":"RLIMIT_DATA","soft":67108864,"hard":67108864})"), std::string::npos)
      << text;
  EXPECT_NE(text.find(R"({"type":"RLIMIT_NPROC","soft":50,"hard":50})"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("uidMappings":[{"containerID":10001,"hostID":0,"size":1}])"), std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("gidMappings":[{"containerID":10002,"hostID":0,"size":1}])"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("resources"), std::string::npos);
  plan.cgroup = "/group";
  plan.ids = 65'536;
  const auto grouped = json::print(oci_spec(plan));
  EXPECT_NE(grouped.find(R"("limit":67108864)"), std::string::npos) << grouped;
  EXPECT_EQ(grouped.find("RLIMIT_DATA"), std::string::npos);
}

}  // namespace
}  // namespace bastide::runner
