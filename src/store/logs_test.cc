#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "store/log_format.h"
#include "store/logs.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

class LogsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-logs-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(path_)); }
  std::unique_ptr<Logs> open() {
    auto logs = Logs::open(path_, Clock::system());
    EXPECT_TRUE(logs) << logs.error().message;
    return std::move(*logs);
  }
  static std::vector<LogEvent> all(Logs& logs, Logs::Query q) {
    std::vector<LogEvent> out;
    auto r = logs.scan(q, [&](const LogEvent& e) {
      out.push_back(e);
      return true;
    });
    EXPECT_TRUE(r) << r.error().message;
    return out;
  }
  static LogEvent event(Millis t, std::string m) {
    LogEvent e;
    e.time = t;
    e.message = std::move(m);
    return e;
  }
  static std::vector<std::string> names(const std::string& folder) {
    return sys::list_folder(folder).value();
  }
  int count_files(std::string_view suffix) {
    int n = 0;
    for (const auto& g : names(path_ + "/groups")) {
      for (const auto& f : names(path_ + "/groups/" + g)) n += f.ends_with(suffix);
    }
    return n;
  }
  std::string path_;
};

TEST_F(LogsTest, EventsComeBackInTimeOrderAlsoAfterReopening) {
  {
    auto logs = open();
    ASSERT_TRUE(logs->append("g", "b", {event(20, "two"), event(40, "four")}));
    ASSERT_TRUE(logs->append("g", "a", {event(10, "one"), event(30, "three\n\xE2\x82\xAC")}));
    ASSERT_TRUE(logs->append("other", "a", {event(15, "elsewhere")}));
  }
  for (int round = 0; round < 3; ++round) {
    auto logs = open();
    auto events = all(*logs, {.group = "g"});
    ASSERT_EQ(events.size(), 4u);
    EXPECT_EQ(events[0].message, "one");
    EXPECT_EQ(events[0].stream, "a");
    EXPECT_EQ(events[2].message, "three\n\xE2\x82\xAC");
    EXPECT_GT(events[0].ingested, 0);
    events = all(*logs, {.group = "g", .newest_first = true});
    EXPECT_EQ(events[0].message, "four");
    events = all(*logs, {.group = "g", .streams = {"a"}});
    EXPECT_EQ(events.size(), 2u);
    events = all(*logs, {.group = "g", .start = 20, .end = 40});
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].message, "two");
    events = all(*logs, {.group = "g", .after_sequence = 2});
    EXPECT_EQ(events.size(), 2u);
    EXPECT_EQ(all(*logs, {.group = "unknown"}).size(), 0u);
  }
}

TEST_F(LogsTest, ManyEventsGoThroughSegmentsAndNoneIsLostOrDoubled) {
  constexpr int kThreads = 4, kAppends = 60, kEvents = 50;
  auto check = [&](Logs& logs) {
    std::set<std::string> seen;
    Millis last = 0;
    for (const auto& e : all(logs, {.group = "g"})) {
      EXPECT_TRUE(seen.insert(e.message).second) << e.message;
      EXPECT_GE(e.time, last);
      last = e.time;
    }
    EXPECT_EQ(seen.size(), size_t{kThreads} * kAppends * kEvents);
  };
  {
    auto logs = open();
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kAppends; ++i) {
          std::vector<LogEvent> events;
          for (int k = 0; k < kEvents; ++k) {
            events.push_back(event(1000 + i * 10, std::to_string(t) + "/" + std::to_string(i) + "/" +
                                                      std::to_string(k) + std::string(900, 'x')));
          }
          EXPECT_TRUE(logs->append("g", "s" + std::to_string(t), std::move(events)));
        }
      });
    }
    for (auto& t : threads) t.join();
    check(*logs);
    EXPECT_GT(*logs->stored_bytes("g"), 0);
  }
  auto logs = open();
  check(*logs);
  EXPECT_GT(count_files(".seg"), 0);
}

TEST_F(LogsTest, ATornTailIsCutAndTheRestIsThere) {
  {
    auto logs = open();
    ASSERT_TRUE(logs->append("g", "s", {event(1, "kept")}));
  }
  {
    auto logs = open();  // turns what the write-ahead file held into a segment
    for (int i = 0; i < 500 && count_files(".seg") == 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_EQ(count_files(".seg"), 1);
  }
  std::vector<std::string> files;
  for (const auto& f : names(path_)) {
    if (f.starts_with("wal-")) files.push_back(path_ + "/" + f);
  }
  for (const auto& g : names(path_ + "/groups")) {
    for (const auto& f : names(path_ + "/groups/" + g)) {
      if (f.ends_with(".seg")) files.push_back(path_ + "/groups/" + g + "/" + f);
    }
  }
  ASSERT_FALSE(files.empty());
  for (const auto& f : files) {
    const int fd = ::open(f.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(::write(fd, "BLB1 half of a block", 20), 20);
    ::close(fd);
  }
  for (int i = 0; i < 2; ++i) {
    auto logs = open();
    const auto events = all(*logs, {.group = "g"});
    ASSERT_EQ(events.size(), 1u + i);
    EXPECT_EQ(events[0].message, "kept");
    ASSERT_TRUE(logs->append("g", "s", {event(2 + i, "more")}));
  }
}

TEST_F(LogsTest, WhatIsDroppedStaysDropped) {
  {
    auto logs = open();
    ASSERT_TRUE(logs->append("g", "a", {event(1, "a1")}));
    ASSERT_TRUE(logs->append("g", "b", {event(2, "b1")}));
    ASSERT_TRUE(logs->append("h", "a", {event(3, "h1")}));
    ASSERT_TRUE(logs->drop_stream("g", "a"));
    ASSERT_TRUE(logs->append("g", "a", {event(4, "a2")}));
    ASSERT_TRUE(logs->drop_group("h"));
    ASSERT_TRUE(logs->append("h", "a", {event(5, "h2")}));
  }
  for (int i = 0; i < 2; ++i) {
    auto logs = open();
    auto g = all(*logs, {.group = "g"});
    ASSERT_EQ(g.size(), 2u);
    EXPECT_EQ(g[0].message, "b1");
    EXPECT_EQ(g[1].message, "a2");
    auto h = all(*logs, {.group = "h"});
    ASSERT_EQ(h.size(), 1u);
    EXPECT_EQ(h[0].message, "h2");
  }
}

TEST_F(LogsTest, RetentionRemovesWholeSegments) {
  auto logs = open();
  auto fill = [&](Millis time) {
    std::vector<LogEvent> events;
    for (int i = 0; i < 400; ++i) events.push_back(event(time + i, std::string(1000, 'y')));
    ASSERT_TRUE(logs->append("g", "s", std::move(events)));
    for (int i = 0; i < 200 && count_files(".seg") < (time > kDay ? 2 : 1); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  };
  fill(0);
  fill(3 * kDay);
  ASSERT_EQ(count_files(".seg"), 2);
  ASSERT_TRUE(logs->drop_before("g", 2 * kDay));
  EXPECT_EQ(count_files(".seg"), 1);
  const auto left = all(*logs, {.group = "g"});
  EXPECT_EQ(left.size(), 400u);
  EXPECT_EQ(left[0].time, 3 * kDay);
}

TEST_F(LogsTest, DamagedBytesAreRefusedNotTrusted) {
  std::vector<LogEvent> events(3);
  for (auto& e : events) e.message = "hello";
  const std::string block = encode_block(events);
  for (size_t i = 0; i < block.size(); ++i) {
    std::string bad = block;
    bad[i] ^= 0x20;
    const auto header = decode_header(bad, 0);
    if (!header) continue;
    EXPECT_FALSE(decode_block(*header, std::string_view(bad).substr(kBlockHeader))) << i;
  }
  std::string record;
  encode_record(record, "g", "s", events);
  for (size_t i = 0; i < record.size(); ++i) {
    size_t taken = 0;
    EXPECT_FALSE(decode_record(std::string_view(record).substr(0, i), &taken));
    std::string bad = record;
    bad[i] ^= 0x01;
    EXPECT_FALSE(decode_record(bad, &taken)) << i;
  }
}

}  // namespace
}  // namespace bastide::store
