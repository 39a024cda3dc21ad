// A child acknowledges what it stored on a pipe and is killed at a random moment: everything acknowledged is
// there.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "base/crypto.h"
#include "store/blobs.h"
#include "store/database.h"
#include "store/logs.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr int kRounds = 12;

std::string content(int64_t n) {
  return "event " + std::to_string(n) + " " + std::string(static_cast<size_t>(n * 37 % 3000), 'z');
}

// Runs until killed: three threads a store would hide nothing more, so one each.
[[noreturn]] void child(const std::string& path, int64_t round, int out) {
  auto db = Database::open(path + "/db", Clock::system());
  auto logs = Logs::open(path + "/logs", Clock::system());
  auto blobs = Blobs::open(path + "/blobs");
  if (!db || !logs || !blobs) ::_exit(3);
  auto acknowledge = [&](char what, int64_t n) {
    const std::string line = std::string(1, what) + std::to_string(n) + "\n";
    if (::write(out, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(4);
  };
  const int64_t base = round * 1'000'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t n = base + t;; n += 2) {
        auto r = (*db)->write([&](Writer& w) -> Result<void> {
          TRY(w.put({"1", "", "k", std::to_string(n)}, json::object({{"c", content(n)}}),
                    {{"n", std::to_string(n)}}));
          TRY(w.next("count"));
          return {};
        });
        if (!r) ::_exit(5);
        acknowledge('d', n);
      }
    });
    threads.emplace_back([&, t] {
      for (int64_t n = base + t;; n += 2) {
        LogEvent e;
        e.time = n;
        e.message = content(n);
        if (!(*logs)->append("g" + std::to_string(t), "s", {e})) ::_exit(6);
        acknowledge('l', n);
      }
    });
  }
  for (int64_t n = base;; ++n) {
    if (!(*blobs)->put(content(n))) ::_exit(7);
    acknowledge('b', n);
  }
}

TEST(CrashTest, WhatWasAcknowledgedIsThereAfterKill) {
  const char* given = std::getenv("BASTIDE_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
  std::printf("seed %u (set BASTIDE_SEED to repeat)\n", seed);
  std::minstd_rand random(seed);
  char name[] = "/tmp/bastide-crash-XXXXXX";
  const std::string path = ::mkdtemp(name);
  std::set<int64_t> acknowledged[3];
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::close(ends[0]);
      child(path, round, ends[1]);
    }
    ::close(ends[1]);
    ::usleep(20'000 + random() % 250'000);
    std::thread killer([pid, wait = random() % 50'000] {
      ::usleep(static_cast<useconds_t>(wait));
      ::kill(pid, SIGKILL);
    });
    const auto text = sys::read_all(ends[0], 256u << 20);
    killer.join();
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself: " << status;
    ASSERT_TRUE(text);
    for (const auto line : split(*text, '\n')) {
      if (line.size() < 2) continue;
      const size_t which = std::string_view("dlb").find(line[0]);
      ASSERT_NE(which, std::string_view::npos);
      acknowledged[which].insert(*parse_int(line.substr(1)));
    }

    auto db = Database::open(path + "/db", Clock::system());
    ASSERT_TRUE(db) << db.error().message;
    for (const int64_t n : acknowledged[0]) {
      const auto r = (*db)->get({"1", "", "k", std::to_string(n)});
      ASSERT_TRUE(r && *r) << "lost row " << n;
      ASSERT_EQ((*r)->body.get("c"), content(n));
    }
    const auto rows = (*db)->list("1", "", "k");
    EXPECT_EQ((*db)->find("k", "n", std::to_string(*acknowledged[0].begin()))->size(), 1u);
    ASSERT_TRUE((*db)->write([&](Writer& w) -> Result<void> {
      const int64_t count = TRY(w.next("count"));
      EXPECT_EQ(count, static_cast<int64_t>(rows->size()) + round + 1) << "half a transaction";
      return {};
    }));

    auto logs = Logs::open(path + "/logs", Clock::system());
    ASSERT_TRUE(logs) << logs.error().message;
    std::set<int64_t> seen;
    for (const char* group : {"g0", "g1"}) {
      ASSERT_TRUE((*logs)->scan({.group = group}, [&](const LogEvent& e) {
        EXPECT_TRUE(seen.insert(e.time).second) << "doubled " << e.time;
        EXPECT_EQ(e.message, content(e.time));
        return true;
      }));
    }
    for (const int64_t n : acknowledged[1]) ASSERT_TRUE(seen.contains(n)) << "lost event " << n;

    auto blobs = Blobs::open(path + "/blobs");
    ASSERT_TRUE(blobs);
    for (const int64_t n : acknowledged[2]) {
      const auto bytes = (*blobs)->read("sha256:" + sha256_hex(content(n)), 1 << 20);
      ASSERT_TRUE(bytes) << "lost blob " << n;
      ASSERT_EQ(*bytes, content(n));
    }
  }
  for (const auto& set : acknowledged) EXPECT_GT(set.size(), size_t{kRounds});
  EXPECT_TRUE(sys::remove_tree(path));
}

}  // namespace
}  // namespace bastide::store
