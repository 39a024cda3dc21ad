#include "net/message.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/packet.h"
#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::net {
namespace {

struct Pair : TestLoop {
  // Runs the body with both ends of a channel.
  void with(const std::function<void(Channel& control, Channel& runner)>& body) {
    run([&] {
      int ends[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
      std::unique_ptr<Channel> runner;
      Event ready;
      spawn([&] {
        auto adopted = Channel::adopt(sys::Fd(ends[1]), "runner", 1000);
        ASSERT_TRUE(adopted.ok()) << adopted.error().message;
        runner = std::move(*adopted);
        ready.set();
      });
      auto control = Channel::adopt(sys::Fd(ends[0]), "control", 1000);
      ASSERT_TRUE(control.ok()) << control.error().message;
      ready.wait();
      body(**control, *runner);
    });
  }
};

Message message(std::string kind) { return Message{json::object({{"kind", std::move(kind)}}), {}}; }

TEST(Channel, CallsAreAnsweredSideBySideAndErrorsComeThrough) {
  Pair().with([](Channel& control, Channel& runner) {
    EXPECT_EQ(control.peer_role(), "runner");
    EXPECT_EQ(runner.peer_role(), "control");
    runner.on_message([](Message m) -> Result<Message> {
      if (m.body.get("kind") == "fail") return error("NotFound", "no such task");
      sleep_for(m.body.get_int("wait"));
      EXPECT_FALSE(m.body.has("call"));
      EXPECT_EQ(m.body.get("id"), m.body.has("id") ? "the request's own" : "");
      return Message{json::object({{"said", m.body.get_int("wait")}}), {}};
    });
    std::vector<int64_t> order;
    Event done;
    for (const int wait : {30, 10}) {
      spawn([&, wait] {
        Message m = message("wait");
        m.body["wait"] = wait;
        m.body["id"] = "the request's own";
        auto r = control.call(std::move(m), 1000);
        ASSERT_TRUE(r.ok()) << r.error().message;
        order.push_back(r->body.get_int("said"));
        if (order.size() == 2) done.set();
      });
    }
    done.wait();
    EXPECT_EQ(order, (std::vector<int64_t>{10, 30}));
    auto r = control.call(message("fail"), 1000);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, "NotFound");
    EXPECT_EQ(r.error().message, "no such task");
  });
}

TEST(Channel, BothEndsMayAskAtOnce) {
  Pair().with([](Channel& control, Channel& runner) {
    runner.on_message([&](Message) -> Result<Message> { return runner.call(message("back"), 1000); });
    control.on_message([](Message m) -> Result<Message> {
      return Message{json::object({{"got", m.body.get("kind")}}), {}};
    });
    auto r = control.call(message("there"), 1000);
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->body.get("got"), "back");
  });
}

TEST(Channel, DescriptorsTravelBothWays) {
  Pair().with([](Channel& control, Channel& runner) {
    runner.on_message([](Message m) -> Result<Message> {
      std::string all;
      for (auto& fd : m.fds) all += sys::read_all(fd.get(), 100).value();
      Message out = message("ok");
      out.fds.push_back(sys::memory_file("t", "<" + all + ">", true).value());
      return out;
    });
    Message m = message("files");
    for (int i = 0; i < 64; ++i) m.fds.push_back(sys::memory_file("t", "x", true).value());
    auto r = control.call(std::move(m), 1000);
    ASSERT_TRUE(r.ok()) << r.error().message;
    ASSERT_EQ(r->fds.size(), 1u);
    EXPECT_EQ(sys::read_all(r->fds[0].get(), 100).value(), "<" + std::string(64, 'x') + ">");

    Message many = message("files");
    for (int i = 0; i < 65; ++i) many.fds.push_back(sys::memory_file("t", "x", true).value());
    EXPECT_EQ(control.call(std::move(many), 1000).error().code, "TooLarge");
    Message large = message("large");
    large.body["x"] = std::string(70'000, 'x');
    EXPECT_EQ(control.call(std::move(large), 1000).error().code, "TooLarge");
    EXPECT_TRUE(control.call(message("still open"), 1000).ok());
  });
}

TEST(Channel, EventsAndWhatCameBeforeTheHandlerArriveInOrder) {
  Pair().with([](Channel& control, Channel& runner) {
    for (int i = 0; i < 5; ++i) {
      Message m = message("event");
      m.body["n"] = i;
      ASSERT_TRUE(runner.notify(std::move(m)).ok());
    }
    sleep_for(10);
    std::vector<int64_t> seen;
    control.on_message([&](Message m) -> Result<Message> {
      seen.push_back(m.body.get_int("n"));
      return message("");
    });
    Message last = message("event");
    last.body["n"] = 5;
    ASSERT_TRUE(runner.notify(std::move(last)).ok());
    sleep_for(10);
    EXPECT_EQ(seen, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  });
}

TEST(Channel, AManySidedFloodIsAnsweredWhole) {
  Pair().with([](Channel& control, Channel& runner) {
    int events = 0;
    runner.on_message([&](Message m) -> Result<Message> {
      events += m.body.get("kind") == "event";
      return message("ok");
    });
    for (int i = 0; i < 5000; ++i) ASSERT_TRUE(control.notify(message("event")).ok());
    ASSERT_TRUE(control.call(message("end"), 5000).ok());
    EXPECT_GT(events, 0);
  });
}

TEST(Channel, ClosingEndsCallsAndTellsThePeer) {
  Pair().with([](Channel& control, Channel& runner) {
    int closed = 0;
    control.on_close([&] { ++closed; });
    runner.on_close([&] { closed += 100; });
    runner.on_message([](Message) -> Result<Message> {
      sleep_for(kHour);
      return message("never");
    });
    auto late = control.call(message("late"), 10);
    ASSERT_FALSE(late.ok());
    EXPECT_EQ(late.error().code, "Timeout");
    spawn([&] {
      sleep_for(10);
      runner.close();
    });
    auto r = control.call(message("cut"), 5000);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, "Closed");
    sleep_for(5);
    EXPECT_TRUE(control.closed());
    EXPECT_EQ(closed, 1);
    EXPECT_EQ(control.notify(message("x")).error().code, "Closed");
  });
}

TEST(Channel, APeerThatSharesNoVersionOrSaysNothingIsRefused) {
  TestLoop().run([] {
    for (const char* said :
         {R"({"hello":"edge","version":9,"speaks":[8,9]})", R"({"kind":"x"})", "nonsense"}) {
      int ends[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
      const sys::Fd peer(ends[1]);
      ASSERT_TRUE(send_packet(peer.get(), said, {}).ok());
      EXPECT_FALSE(Channel::adopt(sys::Fd(ends[0]), "control", 1000).ok()) << said;
    }
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const sys::Fd peer(ends[1]);
    EXPECT_EQ(Channel::adopt(sys::Fd(ends[0]), "control", 20).error().code, "Timeout");
  });
}

TEST(ChannelListener, HandsOverThoseWhoSayHelloAndKeepsItsSocketPrivate) {
  const std::string path = "/tmp/bastide_message_test." + std::to_string(::getpid());
  TestLoop().run([&] {
    std::vector<std::unique_ptr<Channel>> there;
    ChannelListener listener(listen_messages(path).value(), "runner", [&](std::unique_ptr<Channel> channel) {
      channel->on_message([](Message) -> Result<Message> { return message("hi"); });
      there.push_back(std::move(channel));
    });
    struct stat at;
    ASSERT_EQ(::stat(path.c_str(), &at), 0);
    EXPECT_EQ(at.st_mode & 0777, 0600u);
    auto channel = Channel::connect(path, "control", 1000);
    ASSERT_TRUE(channel.ok()) << channel.error().message;
    EXPECT_EQ((*channel)->peer_role(), "runner");
    EXPECT_TRUE((*channel)->call(message("x"), 1000).ok());
    ASSERT_EQ(there.size(), 1u);
    EXPECT_EQ(there[0]->peer_role(), "control");
  });
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace bastide::net
