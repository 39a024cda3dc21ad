// Who may speak to whom: real connections between real namespaces, against what the policies say.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/fixture.h"
#include "runner/namespaces.h"
#include "runner/packet_filter.h"

namespace bastide::runner {
namespace {

using internal::NetworkRule;

NetworkRule rule(bool egress, const std::string& protocol, int from, int to, const std::string& range) {
  return {egress, protocol, from, to, {range}};
}
const NetworkRule kAllOut = rule(true, "-1", -1, -1, "0.0.0.0/0");

sockaddr_in at(const std::string& address, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &out.sin_addr);
  return out;
}

std::string query(const std::string& name, uint16_t type = 1) {
  std::string q("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  size_t start = 0;
  while (start <= name.size()) {
    const size_t dot = std::min(name.find('.', start), name.size());
    q += static_cast<char>(dot - start) + name.substr(start, dot - start);
    start = dot + 1;
  }
  q += std::string(1, '\0') + std::string(1, static_cast<char>(type >> 8)) + static_cast<char>(type & 255);
  return q + std::string("\0\1", 2);
}

class NetworksTest : public RunnerTest {
 protected:
  void SetUp() override {
    RunnerTest::SetUp();
    if (!machine_) return;
    ASSERT_TRUE(machine_->networks->ensure({kProd, kVpcB, "10.20.0.0/16"}));
  }
  void TearDown() override {
    if (machine_) {
      for (const auto& [id, place] : places_) EXPECT_TRUE(machine_->networks->detach(id, place.first, place.second));
    }
    RunnerTest::TearDown();
  }

  void policy(const char* account, const char* vpc,
              const std::vector<std::pair<std::string, std::vector<NetworkRule>>>& endpoints) {
    internal::NetworkPolicy p{.account = account, .vpc = vpc, .domain = "stage.internal"};
    for (const auto& [address, rules] : endpoints) p.endpoints.push_back({address, rules});
    p.names["db.stage.internal"] = {"10.10.0.10"};
    const auto applied = machine_->networks->apply(p);
    ASSERT_TRUE(applied) << applied.error().message;
  }

  sys::Fd place(const char* account, const char* vpc, const std::string& address) {
    const auto id = new_id();
    auto ns = machine_->networks->attach(id, account, vpc, address);
    EXPECT_TRUE(ns) << ns.error().message;
    places_[id] = {account, vpc};
    return std::move(*ns);
  }

  static sys::Fd listen(const sys::Fd& ns, const std::string& address, uint16_t port) {
    sys::Fd fd;
    EXPECT_TRUE(in_namespace(ns.get(), [&]() -> Result<void> {
      fd = sys::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const auto a = at(address, port);
      if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0 || ::listen(fd.get(), 16) != 0)
        return sys::system_error("listen");
      return {};
    }));
    return fd;
  }
  // The connection, or nothing after 200 ms.
  static sys::Fd connect(const sys::Fd& ns, const std::string& address, uint16_t port) {
    sys::Fd fd;
    (void)in_namespace(ns.get(), [&]() -> Result<void> {
      fd = sys::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const auto a = at(address, port);
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0) return {};
      pollfd p{fd.get(), POLLOUT, 0};
      int failed = 0;
      socklen_t size = sizeof failed;
      if (::poll(&p, 1, 200) != 1 || ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failed, &size) != 0 || failed != 0)
        fd.reset();
      return {};
    }).ok();
    return fd;
  }

  std::map<std::string, std::pair<std::string, std::string>> places_;
};

TEST_F(NetworksTest, SecurityGroupsDecideAndChangesTakeEffectAtOnce) {
  const auto db_rule = rule(false, "tcp", 5432, 5432, "10.10.0.11/32");
  policy(kStage, kVpcA, {{"10.10.0.10", {db_rule}}, {"10.10.0.11", {kAllOut}}, {"10.10.0.12", {kAllOut}}, {"10.10.0.13", {}}});
  const auto db = place(kStage, kVpcA, "10.10.0.10"), app = place(kStage, kVpcA, "10.10.0.11"),
             other = place(kStage, kVpcA, "10.10.0.12"), mute = place(kStage, kVpcA, "10.10.0.13");
  const auto postgres = listen(db, "10.10.0.10", 5432), ssh = listen(db, "10.10.0.10", 22);
  const auto kept = connect(app, "10.10.0.10", 5432);
  EXPECT_TRUE(kept);
  EXPECT_FALSE(connect(app, "10.10.0.10", 22)) << "another port";
  EXPECT_FALSE(connect(other, "10.10.0.10", 5432)) << "another member of the VPC";
  EXPECT_FALSE(connect(mute, "10.10.0.10", 5432)) << "no egress";

  // Allowed, then revoked: within 50 ms each, and what was connected goes on.
  auto start = Clock::system().steady();
  policy(kStage, kVpcA, {{"10.10.0.10", {db_rule, rule(false, "tcp", 5432, 5432, "10.10.0.12/32")}}, {"10.10.0.11", {kAllOut}}, {"10.10.0.12", {kAllOut}}, {"10.10.0.13", {}}});
  EXPECT_LT(Clock::system().steady() - start, 500) << "a busy machine is allowed ten times as long";
  EXPECT_TRUE(connect(other, "10.10.0.10", 5432));
  policy(kStage, kVpcA, {{"10.10.0.10", {}}, {"10.10.0.11", {kAllOut}}, {"10.10.0.12", {kAllOut}}});
  EXPECT_FALSE(connect(app, "10.10.0.10", 5432));
  const sys::Fd accepted(::accept4(postgres.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(::send(kept.get(), "x", 1, MSG_NOSIGNAL), 1);
  pollfd p{accepted.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&p, 1, 2000), 1) << "a tracked connection goes on";
}

TEST_F(NetworksTest, VpcsMeetOnlyByPathsThatAreNamed) {
  const auto all_in = rule(false, "-1", -1, -1, "0.0.0.0/0");
  policy(kStage, kVpcA, {{"10.10.0.10", {all_in, kAllOut}}, {"10.10.0.20", {all_in, kAllOut}}});
  policy(kProd, kVpcB, {{"10.20.0.10", {all_in, kAllOut}}});
  const auto a = place(kStage, kVpcA, "10.10.0.10"), a2 = place(kStage, kVpcA, "10.10.0.20"), b = place(kProd, kVpcB, "10.20.0.10");
  const auto at_a = listen(a, "10.10.0.10", 80), at_b = listen(b, "10.20.0.10", 80);
  EXPECT_FALSE(connect(a, "10.20.0.10", 80));
  EXPECT_FALSE(connect(b, "10.10.0.10", 80));
  const auto set = machine_->networks->set_paths({{kProd, kVpcB, "10.20.0.0/24", kStage, kVpcA, "10.10.0.10/32"}});
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_TRUE(connect(b, "10.10.0.10", 80));
  EXPECT_FALSE(connect(a, "10.20.0.10", 80)) << "the way leads in one direction";
  const auto at_a2 = listen(a2, "10.10.0.20", 80);
  EXPECT_FALSE(connect(b, "10.10.0.20", 80)) << "outside the path's destination";
  ASSERT_TRUE(machine_->networks->set_paths({}));
  EXPECT_FALSE(connect(b, "10.10.0.10", 80));
}

TEST_F(NetworksTest, WithoutAPolicyNothingPasses) {
  policy(kStage, kVpcA, {{"10.10.0.11", {kAllOut}}});
  const auto unknown = place(kStage, kVpcA, "10.10.0.10"), app = place(kStage, kVpcA, "10.10.0.11");
  const auto door = listen(unknown, "10.10.0.10", 80);
  EXPECT_FALSE(connect(app, "10.10.0.10", 80));
}

TEST_F(NetworksTest, TheVpcsResolverAnswersItsNames) {
  policy(kStage, kVpcA, {{"10.10.0.11", {}}});  // no rule lets anything out: names are answered all the same
  const auto app = place(kStage, kVpcA, "10.10.0.11");
  std::string answer(512, '\0');
  ASSERT_TRUE(in_namespace(app.get(), [&]() -> Result<void> {
    const sys::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto to = at("10.10.0.2", 53);
    const auto q = query("DB.stage.internal");
    if (::sendto(fd.get(), q.data(), q.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
      return sys::system_error("sendto");
    pollfd p{fd.get(), POLLIN, 0};
    if (::poll(&p, 1, 2000) != 1) return error("no answer");
    answer.resize(static_cast<size_t>(std::max<ssize_t>(0, ::recv(fd.get(), answer.data(), answer.size(), 0))));
    return {};
  }));
  ASSERT_GT(answer.size(), 4u);
  EXPECT_EQ(answer.substr(answer.size() - 4), std::string("\x0a\x0a\x00\x0a", 4));
}

TEST(ResolverAnswers, KnownNamesUnknownNamesAndNonsense) {
  const Names names{{"db.stage.internal", {0x0a0a000a, 0x0a0a000b}}};
  const auto known = answer_query(query("db.STAGE.internal"), names, 1);
  EXPECT_EQ(known[3] & 15, 0);
  EXPECT_EQ(known[7], 2) << "two addresses";
  EXPECT_EQ(known.substr(known.size() - 4), std::string("\x0a\x0a\x00\x0a", 4)) << "rotated";
  EXPECT_EQ(answer_query(query("db.stage.internal", 28), names, 0)[7], 0) << "no AAAA, but the name exists";
  EXPECT_EQ(answer_query(query("db.stage.internal", 28), names, 0)[3] & 15, 0);
  EXPECT_EQ(answer_query(query("elsewhere.example"), names, 0)[3] & 15, 3);
  EXPECT_EQ(answer_query("", names, 0), "");
  const auto whole = query("db.stage.internal");
  for (size_t n = 0; n < whole.size(); ++n) {
    const auto answer = answer_query(whole.substr(0, n), names, 0);
    if (n >= 12) {
      EXPECT_EQ(answer[3] & 15, 1) << n;
    }
  }
  std::string pointer = whole;
  pointer[12] = '\xc0';
  EXPECT_EQ(answer_query(pointer, names, 0)[3] & 15, 1) << "no compression in questions";
}

TEST(PacketFilter, RefusesWhatIsNotARule) {
  internal::NetworkPolicy p{.account = kStage, .vpc = kVpcA};
  p.endpoints = {{"10.10.0.10", {rule(false, "tcp", 1, 2, "10.0.0.0/8")}}};
  EXPECT_TRUE(check(p));
  for (const char* bad : {"10.0.0.0/33", "10.0.0.0 } accept #/8", "x", "10.0.0.0/-1", ""}) {
    p.endpoints[0].rules[0].ranges = {bad};
    EXPECT_FALSE(check(p)) << bad;
  }
  p.endpoints[0].rules[0] = rule(false, "tcp accept", 1, 2, "10.0.0.0/8");
  EXPECT_FALSE(check(p));
  p.endpoints.clear();
  p.names["a b"] = {"10.0.0.1"};
  EXPECT_FALSE(check(p));
}

}  // namespace
}  // namespace bastide::runner
