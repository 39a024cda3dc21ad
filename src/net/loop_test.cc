#include "net/loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "net/socket.h"
#include "net/test_loop.h"
#include "sys/fd.h"

namespace bastide::net {
namespace {

TEST(Loop, FibersSleepSideBySide) {
  TestLoop t;
  std::vector<int> order;
  t.run([&] {
    Event done;
    int left = 3;
    for (int i : {3, 1, 2}) {
      spawn([&, i] {
        sleep_for(i * 20);
        order.push_back(i);
        if (--left == 0) done.set();
      });
    }
    done.wait();
  });
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(Loop, AYieldLetsOthersRun) {
  TestLoop t;
  std::string order;
  t.run([&] {
    spawn([&] { order += "b"; });
    order += "a";
    sleep_for(0);
    order += "c";
  });
  EXPECT_EQ(order, "abc");
}

TEST(Loop, AnEventRemembersOneSetAndWakesAllWhoWait) {
  TestLoop t;
  int woken = 0;
  t.run([&] {
    Event event;
    event.set();
    event.set();
    event.wait();
    EXPECT_FALSE(event.wait_for(10));
    for (int i = 0; i < 3; ++i) {
      spawn([&] {
        event.wait();
        ++woken;
      });
    }
    sleep_for(5);
    event.set();
    sleep_for(5);
    spawn([&] {
      sleep_for(10);
      event.set();
    });
    EXPECT_TRUE(event.wait_for(5000));
  });
  EXPECT_EQ(woken, 3);
}

TEST(Loop, OffloadRunsElsewhereWhileTheLoopGoesOn) {
  TestLoop t;
  int ticks = 0;
  std::thread::id worker;
  t.run([&] {
    spawn([&] {
      for (int i = 0; i < 10; ++i) {
        sleep_for(2);
        ++ticks;
      }
    });
    const int n = offload_result([&] {
      worker = std::this_thread::get_id();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      return 42;
    });
    EXPECT_EQ(n, 42);
    EXPECT_EQ(ticks, 10);
  });
  EXPECT_NE(worker, std::this_thread::get_id());
  offload([&] { worker = std::this_thread::get_id(); });
  EXPECT_EQ(worker, std::this_thread::get_id());
}

TEST(Loop, TakesWorkFromOtherThreads) {
  TestLoop t;
  std::atomic<int> count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 250; ++k) {
        t.loop.spawn([&] {
          sleep_for(1);
          if (++count == 1000) t.loop.stop();
        });
      }
    });
  }
  t.loop.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, 1000);
}

TEST(Loop, ItsEndUnwindsFibersThatWait) {
  struct Guard {
    int* count;
    ~Guard() { ++*count; }
  };
  int ended = 0;
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const sys::Fd r(pipe_ends[0]), w(pipe_ends[1]);
  {
    TestLoop t;
    for (int i = 0; i < 3; ++i) {
      t.loop.spawn([&, i] {
        const Guard guard{&ended};
        if (i == 0) sleep_for(kHour);
        if (i == 1) Event().wait();
        if (i == 2) (void)wait_readable(r.get(), kHour);
        ADD_FAILURE() << "went on";
      });
    }
    t.run([] { sleep_for(5); });
    EXPECT_EQ(ended, 0);
  }
  EXPECT_EQ(ended, 3);
}

TEST(Loop, WaitsForAnyDescriptor) {
  TestLoop t;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const sys::Fd r(ends[0]), w(ends[1]);
  t.run([&] {
    EXPECT_FALSE(wait_readable(r.get(), 10).value());
    spawn([&] {
      sleep_for(5);
      EXPECT_EQ(::write(w.get(), "x", 1), 1);
    });
    EXPECT_TRUE(wait_readable(r.get(), 5000).value());
  });
  EXPECT_TRUE(wait_readable(r.get(), 0).value());
}

TEST(Loop, CallsBackOnSignals) {
  TestLoop t;
  std::vector<int> seen;
  t.loop.on_signals({SIGUSR1, SIGUSR2}, [&](int number) { seen.push_back(number); });
  t.run([&] {
    ::raise(SIGUSR1);
    sleep_for(10);
    ::raise(SIGUSR2);
    sleep_for(10);
  });
  EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

TEST(Socket, TimesOutAndSeesThePeersEnd) {
  TestLoop t;
  auto listener = listen_tcp("127.0.0.1", 0).value();
  const auto port = local_port(listener.get()).value();
  t.run([&] {
    std::vector<Socket> accepted;
    Acceptor acceptor(std::move(listener), [&](Socket s) { accepted.push_back(std::move(s)); });
    auto socket = Socket::connect_tcp("127.0.0.1", port, 1000).value();
    socket.set_timeout(20);
    char buffer[10];
    auto n = socket.read(buffer, sizeof buffer);
    ASSERT_FALSE(n.ok());
    EXPECT_EQ(n.error().code, "Timeout");
    ASSERT_EQ(accepted.size(), 1u);
    EXPECT_TRUE(accepted[0].peer().starts_with("127.0.0.1:"));
    // A peer that does not read stops the writer at its time-out.
    auto written = socket.write(std::string(64 << 20, 'x'));
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, "Timeout");
    accepted.clear();
    written = socket.write("x");
    for (int i = 0; i < 10 && written; ++i) written = socket.write("x");
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, "Closed");
  });
}

TEST(Socket, ClosingWakesWhoeverWaits) {
  TestLoop t;
  auto listener = listen_unix("/tmp/bastide_net_test." + std::to_string(::getpid()), 0600).value();
  t.run([&] {
    Acceptor acceptor(std::move(listener), [&](Socket) { sleep_for(1000); });
    const std::string path = "/tmp/bastide_net_test." + std::to_string(::getpid());
    auto socket = Socket::connect_unix(path, 1000).value();
    EXPECT_EQ(socket.peer(), "unix:uid=" + std::to_string(::getuid()));
    ::unlink(path.c_str());
    spawn([&] {
      sleep_for(10);
      socket.close();
    });
    char buffer[10];
    auto n = socket.read(buffer, sizeof buffer);
    ASSERT_FALSE(n.ok());
    EXPECT_EQ(n.error().code, "Closed");
  });
}

TEST(Socket, RefusedConnectionsAreErrors) {
  TestLoop t;
  auto listener = listen_tcp("127.0.0.1", 0).value();
  const auto port = local_port(listener.get()).value();
  EXPECT_EQ(listen_tcp("127.0.0.1", port).error().code, "Exists");
  listener.reset();
  t.run([&] { EXPECT_FALSE(Socket::connect_tcp("127.0.0.1", port, 1000).ok()); });
  EXPECT_FALSE(Socket::connect_tcp("127.0.0.1", port, 1000).ok());
  EXPECT_FALSE(Socket::connect_tcp("localhost", port, 1000).ok());
}

}  // namespace
}  // namespace bastide::net
