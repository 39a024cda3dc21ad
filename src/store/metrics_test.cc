#include "store/metrics.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <random>
#include <thread>

#include "store/metrics_format.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr Millis kNow = 1'800'000'000'000;

class MetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-metrics-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  void TearDown() override {
    metrics_.reset();
    EXPECT_TRUE(sys::remove_tree(path_));
  }
  Metrics& open() {
    metrics_.reset();
    auto opened = Metrics::open(path_, clock_);
    EXPECT_TRUE(opened) << opened.error().message;
    metrics_ = std::move(*opened);
    return *metrics_;
  }
  static MetricName name(const std::string& n = "M", const std::string& unit = "None") {
    return {"111111111111", "eu-central-1", "Shop", n, {{"App", "web\n1"}, {"B", "\\"}}, unit};
  }
  static MetricSample sample(Millis t, double v, const std::string& n = "M", int32_t resolution = 60) {
    return {name(n), MetricCell::of(t, v, 1, resolution)};
  }
  std::vector<MetricCell> cells(Millis start, Millis end, int64_t period = 60, const std::string& n = "M") {
    auto rows = metrics_->read(name(n), start, end, period);
    EXPECT_TRUE(rows) << rows.error().message;
    return rows->empty() ? std::vector<MetricCell>{} : rows->front().cells;
  }
  std::string path_;
  ManualClock clock_{kNow};
  std::unique_ptr<Metrics> metrics_;
};

TEST_F(MetricsTest, SamplesOfAMinuteAreOneCellWithEveryValueAlsoAfterReopening) {
  open();
  ASSERT_TRUE(metrics_->append({sample(kNow, 1), sample(kNow, 5), sample(kNow + kMinute, 7)}));
  ASSERT_TRUE(metrics_->append({sample(kNow, 3)}));
  for (int round = 0; round < 4; ++round) {
    const auto got = cells(kNow, kNow + kHour);
    ASSERT_EQ(got.size(), 2u) << round;
    EXPECT_EQ(got[0].count, 3);
    EXPECT_EQ(got[0].sum, 9);
    EXPECT_EQ(got[0].min, 1);
    EXPECT_EQ(got[0].max, 5);
    ASSERT_EQ(got[0].values.size(), 3u);
    EXPECT_EQ(got[0].values[1].first, 3);
    EXPECT_EQ(got[1].sum, 7);
    const auto five = cells(kNow, kNow + kHour, 300);
    ASSERT_EQ(five.size(), 1u);
    EXPECT_EQ(five[0].sum, 16);
    if (round == 1) {
      ASSERT_TRUE(metrics_->flush());
    } else {
      open();
    }
  }
  EXPECT_EQ(metrics_->list("111111111111", "", [](auto&) { return true; }).size(), 1u);
  EXPECT_EQ(metrics_->list("222222222222", "", [](auto&) { return true; }).size(), 0u);
  EXPECT_EQ(metrics_->usage().segments, 1);
}

TEST_F(MetricsTest, UnitsAreMetricsOfTheirOwn) {
  open();
  ASSERT_TRUE(metrics_->append(
      {{name("M", "Count"), MetricCell::of(kNow, 1)}, {name("M", "Bytes"), MetricCell::of(kNow, 2)}}));
  MetricName any = name("M", "");
  EXPECT_EQ(metrics_->read(any, kNow, kNow + kHour, 60)->size(), 2u);
  any.unit = "Bytes";
  auto one = metrics_->read(any, kNow, kNow + kHour, 60);
  ASSERT_EQ(one->size(), 1u);
  EXPECT_EQ((*one)[0].cells[0].sum, 2);
}

TEST_F(MetricsTest, ResolutionsAndRollUpsAreAws) {
  open();
  std::vector<MetricSample> samples;
  for (int i = 0; i < 600; ++i) samples.push_back(sample(kNow + i * kSecond, i, "fine", 1));
  ASSERT_TRUE(metrics_->append(std::move(samples)));
  EXPECT_EQ(cells(kNow, kNow + kHour, 1, "fine").size(), 600u);
  EXPECT_EQ(cells(kNow, kNow + kHour, 60, "fine").size(), 10u);
  ASSERT_TRUE(metrics_->flush());
  struct Step {
    Millis age;
    int64_t finest;
    size_t cells;
  };
  for (const auto& [age, finest, n] :
       {Step{4 * kHour, 60, 10}, Step{16 * kDay, 300, 2}, Step{64 * kDay, 3600, 1}}) {
    clock_.advance(kNow + age - clock_.wall());
    for (int round = 0; round < 2; ++round) {
      const Millis start = kNow - kNow % kHour;
      EXPECT_EQ(cells(start, start + kDay, finest, "fine").size(), n) << finest;
      EXPECT_TRUE(cells(start, start + kDay, finest / 5, "fine").empty());
      const auto hour = cells(start, start + kDay, 3600, "fine");
      ASSERT_EQ(hour.size(), 1u);
      EXPECT_EQ(hour[0].sum, 599 * 300);
      EXPECT_EQ(hour[0].max, 599);
      ASSERT_TRUE(metrics_->compact());
    }
  }
  EXPECT_EQ(metrics_->usage().cells, 1);
  clock_.advance(kHourRetention);
  ASSERT_TRUE(metrics_->compact());
  EXPECT_EQ(metrics_->usage().segments, 0);
  open();
  EXPECT_TRUE(cells(kNow - kHour, kNow + kDay, 3600, "fine").empty());
}

TEST_F(MetricsTest, ManyValuesBecomeASketchWithinHalfAPerCent) {
  MetricCell c = MetricCell::of(0, 0.001);
  std::mt19937 random(7);
  std::lognormal_distribution<double> d(0, 2);
  std::vector<double> all = {0.001};
  for (int i = 0; i < 20'000; ++i) {
    all.push_back(d(random));
    c.merge(MetricCell::of(0, all.back()));
  }
  std::sort(all.begin(), all.end());
  double seen = 0;
  size_t checked = 0;
  for (const auto& [v, n] : c.values) {
    seen += n;
    if (checked++ % 50 != 0) continue;
    const double exact = all[static_cast<size_t>(seen) - 1];
    EXPECT_NEAR(v / exact, 1, 0.012);
  }
  EXPECT_EQ(c.count, 20'001);
  EXPECT_EQ(seen, 20'001);
  EXPECT_LT(c.values.size(), 2500u);
  EXPECT_EQ(c.min, all.front());
  EXPECT_EQ(c.max, all.back());
}

TEST_F(MetricsTest, WhatIsEncodedComesBackToTheBitAndDamageIsRefused) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<MetricCell> in;
    Millis t = static_cast<Millis>(random() % 1'000'000);
    for (int i = static_cast<int>(random() % 40); i > 0; --i) {
      const double v = random() % 2 ? static_cast<double>(random() % 1000) / 10
                                    : std::bit_cast<double>((random() >> 2) | 1);
      auto c = MetricCell::of(t += static_cast<Millis>(random() % 3) * kMinute + 1, v,
                              1 + static_cast<double>(random() % 2));
      if (random() % 4 == 0) c.merge(MetricCell::of(0, static_cast<double>(random() % 9)));
      if (random() % 9 == 0) {
        c.raw = false;
        c.values.clear();
      }
      in.push_back(c);
    }
    std::string bytes = metrics::encode_cells(in);
    const auto out = metrics::decode_cells(bytes);
    ASSERT_TRUE(out);
    ASSERT_EQ(out->size(), in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      EXPECT_EQ((*out)[i].time, in[i].time);
      EXPECT_EQ((*out)[i].sum, in[i].sum);
      EXPECT_EQ((*out)[i].values, in[i].values);
      EXPECT_EQ((*out)[i].raw, in[i].raw);
    }
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string cut = bytes.substr(0, i);
      cut += static_cast<char>(random());
      (void)metrics::decode_cells(cut);  // ends without reading beyond
    }
  }
}

TEST_F(MetricsTest, AWeekOfAMinutesMetricsTakesLessThanThreeBytesASample) {
  open();
  std::mt19937 random(3);
  double load = 20, requests = 1000;
  for (int day = 0; day < 2; ++day) {
    std::vector<MetricSample> samples;
    for (int i = 0; i < 1440; ++i) {
      const Millis t = kNow - 3 * kDay + day * kDay + i * kMinute;
      load += static_cast<double>(static_cast<int>(random() % 201) - 100) / 100;
      requests += static_cast<double>(static_cast<int>(random() % 41) - 20);
      samples.push_back(sample(t, std::round(load * 100) / 100, "cpu"));
      samples.push_back(sample(t, requests, "requests"));
      samples.push_back(sample(t, 4, "tasks"));
    }
    ASSERT_TRUE(metrics_->append(std::move(samples)));
    ASSERT_TRUE(metrics_->flush());
  }
  ASSERT_TRUE(metrics_->compact());
  const auto u = metrics_->usage();
  EXPECT_EQ(u.cells, 2 * 1440 * 3);
  EXPECT_LT(static_cast<double>(u.bytes) / static_cast<double>(u.cells), 3.0);
  RecordProperty("bytes_per_sample_x100", static_cast<int>(100 * u.bytes / u.cells));
}

TEST_F(MetricsTest, ATornTailIsCutAndLaterSamplesAreKept) {
  open();
  ASSERT_TRUE(metrics_->append({sample(kNow, 1)}));
  metrics_.reset();
  const auto files = sys::list_folder(path_).value();
  for (const auto& f : files) {
    if (!f.starts_with("wal-")) continue;
    const int fd = ::open((path_ + "/" + f).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    EXPECT_EQ(::write(fd, "\x40\0\0\0half a record", 17), 17);
    ::close(fd);
  }
  open();
  ASSERT_TRUE(metrics_->append({sample(kNow, 2)}));
  open();
  EXPECT_EQ(cells(kNow, kNow + kMinute).at(0).sum, 3);
  ASSERT_TRUE(metrics_->flush());
  open();
  EXPECT_EQ(cells(kNow, kNow + kMinute).at(0).sum, 3);
}

// Killed at any moment, also while segments are written and merged: what was acknowledged is there, once.
TEST_F(MetricsTest, NothingAcknowledgedIsLostByKillMinusNine) {
  int acknowledged = 0;
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  for (int round = 0; round < 6; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ManualClock clock(kNow + 2 * kDay);
      auto m = Metrics::open(path_, clock);
      if (!m) ::_exit(1);
      std::thread writer([&] {
        for (;;) {
          (void)(*m)->flush();
          (void)(*m)->compact();
        }
      });
      for (int i = 0;; ++i) {
        if (!(*m)->append({sample(kNow + (i % 50) * kMinute, 1)})) ::_exit(1);
        if (::write(pipe[1], ".", 1) != 1) ::_exit(1);
      }
    }
    ::close(pipe[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(30 + random() % 120));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself";
    char buffer[4096];
    for (ssize_t n; (n = ::read(pipe[0], buffer, sizeof buffer)) > 0;) acknowledged += static_cast<int>(n);
    ::close(pipe[0]);
    clock_.advance(kNow + 2 * kDay - clock_.wall());
    open();
    double count = 0;
    for (const auto& c : cells(kNow, kNow + kHour)) count += c.count;
    EXPECT_GE(count, acknowledged) << "seed " << ::getpid();
    EXPECT_LE(count, acknowledged + round + 1);  // one a round may be on disk without having been told
    metrics_.reset();
  }
  EXPECT_GT(acknowledged, 10);
}

}  // namespace
}  // namespace bastide::store
