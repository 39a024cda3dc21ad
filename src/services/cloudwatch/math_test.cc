#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <random>

#include "services/cloudwatch/query.h"
#include "sys/file.h"

namespace bastide::services::cw {
namespace {

constexpr Millis kNow = 1'800'000'000'000;

class MathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-math-XXXXXX";
    path_ = ::mkdtemp(name);
    metrics_ = store::Metrics::open(path_, clock_).value();
    // a: 1 2 3 4 5 in minutes 0..4; b: 10 in minutes 1 and 3; c: nothing.
    std::vector<store::MetricSample> all;
    for (int i = 0; i < 5; ++i) all.push_back(sample("a", i, i + 1));
    all.push_back(sample("b", 1, 10));
    all.push_back(sample("b", 3, 10));
    ASSERT_TRUE(metrics_->append(std::move(all)));
  }
  void TearDown() override {
    metrics_.reset();
    EXPECT_TRUE(sys::remove_tree(path_));
  }
  static store::MetricSample sample(const char* name, int minute, double v) {
    return {{"111111111111", "us-east-1", "T", name, {{"D", name}}, "None"},
            store::MetricCell::of(kNow - kHour + minute * kMinute, v)};
  }
  static json::Value metric(const char* id, const char* name, const char* stat = "Sum") {
    return json::object(
        {{"Id", id},
         {"ReturnData", false},
         {"MetricStat",
          json::object({{"Metric", json::object({{"Namespace", "T"},
                                                 {"MetricName", name},
                                                 {"Dimensions", json::array({json::object(
                                                                    {{"Name", "D"}, {"Value", name}})})}})},
                        {"Period", 60},
                        {"Stat", stat}})}});
  }
  Result<std::vector<QueryResult>> run(const std::string& expression) {
    Scope scope{"111111111111", "us-east-1", kNow - kHour, kNow - kHour + 5 * kMinute, kNow};
    QueryEngine engine(*metrics_, scope);
    json::Array queries = {metric("a", "a"), metric("b", "b"), metric("c", "c"),
                           json::object({{"Id", "e"}, {"Expression", expression}})};
    return engine.run(queries);
  }
  // The values over the minutes, "-" where there is none; or the error.
  std::string shown(const std::string& expression) {
    auto r = run(expression);
    if (!r) return r.error().message;
    std::string out;
    for (const auto& s : *r) {
      if (!out.empty()) out += " | ";
      std::string line[5] = {"-", "-", "-", "-", "-"};
      for (const auto& [t, v] : s.points) {
        char text[40];
        std::snprintf(text, sizeof text, "%g", v);
        line[(t - (kNow - kHour)) / kMinute] = text;
      }
      for (int i = 0; i < 5; ++i) out += (i ? " " : "") + line[i];
    }
    return out;
  }
  std::string path_;
  ManualClock clock_{kNow};
  std::unique_ptr<store::Metrics> metrics_;
};

TEST_F(MathTest, ExpressionsGiveWhatAwsDocuments) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a + 1", "2 3 4 5 6"},
      {"a * 2 - 1", "1 3 5 7 9"},
      {"2 ^ a", "2 4 8 16 32"},
      {"-a", "-1 -2 -3 -4 -5"},
      {"a + b", "1 12 3 14 5"},  // missing counts as 0
      {"b / a", "0 5 0 2.5 0"},
      {"a / b", "- 0.2 - 0.4 -"},  // a division by zero drops the point
      {"a > 2", "0 0 1 1 1"},
      {"a > 2 AND a < 5", "0 0 1 1 0"},
      {"IF(a > 2, a, 0)", "0 0 3 4 5"},
      {"IF(a > 2, b)", "- - - 10 -"},
      {"FILL(b, 0)", "0 10 0 10 0"},
      {"FILL(b, REPEAT)", "- 10 10 10 10"},
      {"FILL(b, LINEAR)", "- 10 10 10 -"},
      {"a / MAX(a)", "0.2 0.4 0.6 0.8 1"},
      {"a - AVG(a)", "-2 -1 0 1 2"},
      {"AVG([a, b])", "1 6 3 7 5"},  // over those that have a point
      {"SUM([a, b])", "1 12 3 14 5"},
      {"MAX([a, b])", "1 10 3 10 5"},
      {"SUM(METRICS())", "1 12 3 14 5"},
      {"METRICS(\"a\")", "1 2 3 4 5"},
      {"DIFF(a)", "- 1 1 1 1"},
      {"DIFF_TIME(b)", "- - - 120 -"},
      {"RATE(a) * 60", "- 1 1 1 1"},
      {"RUNNING_SUM(a)", "1 3 6 10 15"},
      {"ABS(a - 3)", "2 1 0 1 2"},
      {"FLOOR(a / 2)", "0 1 1 2 2"},
      {"CEIL(a / 2)", "1 1 2 2 3"},
      {"LOG10(a * 0 + 100)", "2 2 2 2 2"},
      {"a * PERIOD(a)", "60 120 180 240 300"},
      {"TIME_SERIES(7)", "7 7 7 7 7"},
      {"TIME_SERIES(METRIC_COUNT([a, b]))", "2 2 2 2 2"},
      {"FIRST([a, b])", "1 2 3 4 5"},
      {"LAST([a, b])", "- 10 - 10 -"},
      {"SORT([a, b], AVG, DESC, 1)", "- 10 - 10 -"},
      {"REMOVE_EMPTY([a, c])", "1 2 3 4 5"},
      {"SLICE([a, b], 1)", "- 10 - 10 -"},
      {"SEARCH('{T,D} MetricName=\"b\"', 'Sum', 60)", "- 10 - 10 -"},
      {"SUM(SEARCH('{T,D}', 'Sum', 60))", "1 12 3 14 5"},
      {"TIME_SERIES(STDDEV(a) ^ 2)", "2 2 2 2 2"},
      {"a * 0 + YEAR(a)", "2027 2027 2027 2027 2027"},
      {"SELECT SUM(a) FROM SCHEMA(T, D) GROUP BY D", "1 2 3 4 5"},
      {"SELECT SUM(a) FROM T WHERE D = 'nobody'", ""},
  };
  for (const auto& [expression, expected] : kCases) EXPECT_EQ(shown(expression), expected) << expression;
}

TEST_F(MathTest, NonsenseIsRefusedWithAReason) {
  for (const char* bad : {"1 + 1", "AVG(a)", "nobody", "e + 1", "a +", "FOO(a)", "a[", "IF([a,b], 1, 2)",
                          "'text'", "FILL(a)", "a $ b", "SELECT", "SELECT AVG(x)"}) {
    auto r = run(bad);
    EXPECT_FALSE(r) << bad;
    if (!r) {
      EXPECT_TRUE(r.error().fault) << bad << ": " << r.error().message;
    }
  }
  EXPECT_FALSE(run(std::string(1000, '(')));
  EXPECT_FALSE(run("a" + std::string(500, '-') + "a"));
}

TEST(Statistic, PercentilesAndRangesOfKnownValues) {
  store::MetricCell c;
  for (int i = 1; i <= 100; ++i) c.merge(store::MetricCell::of(0, i));
  const std::pair<const char*, double> kCases[] = {
      {"p50", 50},       {"p99", 99},          {"p0", 1},         {"p100", 100},
      {"Average", 50.5}, {"SampleCount", 100}, {"tm90", 45.5},    {"TM(10%:90%)", 50.5},
      {"IQM", 50.5},     {"tc90", 90},         {"TC(0:10)", 10},  {"PR(:30)", 30},
      {"PR(90:)", 10},   {"ts10", 55},         {"TS(10:12)", 23}, {"WM(:50)", 37.75}};
  for (const auto& [text, expected] : kCases) {
    const auto s = Statistic::parse(text);
    ASSERT_TRUE(s) << text;
    const auto v = s->of(c);
    ASSERT_TRUE(v) << text;
    EXPECT_NEAR(*v, expected, 1e-9) << text;
  }
  for (const char* bad : {"p101", "p", "median", "TM(1", "TM(:)", "PR(1%:2%)", "tm200", "average"})
    EXPECT_FALSE(Statistic::parse(bad)) << bad;
  c.raw = false;
  c.values.clear();
  EXPECT_FALSE(Statistic::parse("p50")->of(c));
}

// Against a slow and simple calculation over every value.
TEST(Statistic, AgreesWithSortingOnRandomValues) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> all;
    store::MetricCell c;
    const int n = 1 + static_cast<int>(random() % 120);
    for (int i = 0; i < n; ++i) {
      all.push_back(static_cast<double>(random() % 50));
      c.merge(store::MetricCell::of(0, all.back()));
    }
    std::sort(all.begin(), all.end());
    for (const double p : {1.0, 25.0, 50.0, 90.0, 99.0, 99.9}) {
      const auto rank = static_cast<size_t>(std::max(1.0, std::ceil(n * p / 100 - 1e-9)));
      EXPECT_EQ(*Statistic::parse("p" + std::to_string(p))->of(c), all[rank - 1]) << n << " " << p;
    }
  }
}

}  // namespace
}  // namespace bastide::services::cw
