// What fibers rely on: writes that wait, wake-ups and jobs.
#include <gtest/gtest.h>

#include "net/test_loop.h"
#include "store/database.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

class FiberTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-fiber-XXXXXX";
    path_ = ::mkdtemp(name);
    open();
  }
  void TearDown() override {
    db_.reset();
    EXPECT_TRUE(sys::remove_tree(path_));
  }
  void open() {
    db_.reset();
    auto db = Database::open(path_ + "/db", Clock::system());
    ASSERT_TRUE(db) << db.error().message;
    db_ = std::move(*db);
  }
  static bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) net::sleep_for(10);
    return condition();
  }
  std::string path_;
  std::unique_ptr<Database> db_;
};

TEST_F(FiberTest, ManyFibersWriteAndEachSeesItsOwn) {
  net::TestLoop t;
  t.run([&] {
    int done = 0;
    for (int i = 0; i < 50; ++i) {
      net::spawn([&, i] {
        const Key key{"1", "", "k", std::to_string(i)};
        EXPECT_TRUE(db_->write([&](Writer& w) { return w.put(key, json::object({{"i", i}})); }));
        const auto r = db_->get(key);
        EXPECT_TRUE(r && *r && (*r)->body.get_int("i") == i);
        ++done;
      });
    }
    EXPECT_TRUE(eventually([&] { return done == 50; }));
  });
  db_.reset();  // before its loop
}

TEST_F(FiberTest, ListenersHearCommitsInOrderAndOnlyThose) {
  net::TestLoop t;
  t.run([&] {
    std::vector<std::string> heard;
    db_->listen("topic", [&](const std::string& key) { heard.push_back(key); });
    EXPECT_TRUE(eventually([&] { return heard.size() == 1; }));
    for (const char* key : {"a", "b", "c"}) {
      EXPECT_TRUE(db_->write([&](Writer& w) { return w.emit("topic", key); }));
    }
    EXPECT_FALSE(db_->write([&](Writer& w) -> Result<void> {
      TRY(w.emit("topic", "never"));
      return error("no");
    }));
    EXPECT_TRUE(db_->write([&](Writer& w) { return w.emit("topic", "d"); }));
    EXPECT_TRUE(eventually([&] { return heard.size() == 5; }));
    EXPECT_EQ(heard, (std::vector<std::string>{"", "a", "b", "c", "d"}));
  });
  db_.reset();  // before its loop
}

TEST_F(FiberTest, AJobRunsStepByStepRetriesAndEnds) {
  net::TestLoop t;
  t.run([&] {
    std::vector<int64_t> steps;
    db_->run_jobs("work", [&](Job& job) -> Result<std::optional<Millis>> {
      const int64_t step = job.state.get_int("step");
      steps.push_back(step);
      if (step == 1 && job.attempts == 0) return error("not yet");
      job.state["step"] = step + 1;
      if (step == 2) return std::optional<Millis>{};
      return std::optional<Millis>{0};
    });
    EXPECT_TRUE(db_->write([&](Writer& w) {
      return w.enqueue("work", "k", json::object({{"step", 0}}), 0);
    }));
    EXPECT_TRUE(eventually([&] { return steps.size() == 4; }));
    EXPECT_EQ(steps, (std::vector<int64_t>{0, 1, 1, 2}));
  });
  db_.reset();  // before its loop
}

TEST_F(FiberTest, AJobSurvivesTheProcess) {
  EXPECT_TRUE(db_->write([&](Writer& w) { return w.enqueue("work", "k", json::object({{"n", 7}}), 0); }));
  open();
  net::TestLoop t;
  t.run([&] {
    int64_t seen = 0;
    db_->run_jobs("work", [&](Job& job) -> Result<std::optional<Millis>> {
      seen = job.state.get_int("n");
      return std::optional<Millis>{};
    });
    EXPECT_TRUE(eventually([&] { return seen == 7; }));
  });
  db_.reset();  // before its loop
}

TEST_F(FiberTest, AWakeUpWhileAJobRunsIsNotLost) {
  net::TestLoop t;
  t.run([&] {
    int runs = 0;
    db_->run_jobs("work", [&](Job&) -> Result<std::optional<Millis>> {
      ++runs;
      net::sleep_for(50);
      return std::optional<Millis>{};
    });
    auto enqueue = [&] {
      EXPECT_TRUE(db_->write([&](Writer& w) { return w.enqueue("work", "k", json::object(), 0); }));
    };
    enqueue();
    EXPECT_TRUE(eventually([&] { return runs == 1; }));
    enqueue();
    enqueue();
    EXPECT_TRUE(eventually([&] { return runs == 2; }));
    net::sleep_for(150);
    EXPECT_EQ(runs, 2);
  });
  db_.reset();
}

}  // namespace
}  // namespace bastide::store
