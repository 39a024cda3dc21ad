#include "services/cloudwatch/alarm.h"

#include <gtest/gtest.h>

namespace bastide::services::cw {
namespace {

std::vector<AlarmPoint> points(const std::string& text) {  // 0 fine, X breaching, - missing; newest last
  std::vector<AlarmPoint> out;
  for (const char c : text) {
    auto& p = out.emplace_back();
    p.time = static_cast<Millis>(out.size()) * kMinute;
    if (c != '-') p.value = c == 'X' ? 10 : 0;
  }
  return out;
}

std::string verdict(int n, int m, const char* missing, const std::string& text) {
  AlarmRule rule;
  rule.evaluation_periods = n;
  rule.datapoints = m;
  rule.comparison = "GreaterThanThreshold";
  rule.threshold = 5;
  rule.missing = missing;
  const auto v = judge(rule, points(text));
  return v.state.empty() ? "keep" : v.state;
}

// AWS's own tables.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
TEST(Alarm, JudgesMissingDataAsAwsDocumentsIt) {
  const struct {
    int m;
    const char* points;
    const char* expected[4];  // missing, ignore, breaching, notBreaching
  } kCases[] = {
      {3, "0-X-X", {"OK", "OK", "OK", "OK"}},
      {3, "0----", {"OK", "OK", "OK", "OK"}},
      {3, "-----", {"INSUFFICIENT_DATA", "keep", "ALARM", "OK"}},
      {3, "0XX-X", {"ALARM", "ALARM", "ALARM", "ALARM"}},
      {3, "--X--", {"ALARM", "keep", "ALARM", "OK"}},
      {2, "0-X-X", {"ALARM", "ALARM", "ALARM", "ALARM"}},
      {2, "00X0X", {"ALARM", "ALARM", "ALARM", "ALARM"}},
      {2, "0-X--", {"OK", "OK", "ALARM", "OK"}},
      {2, "----0", {"OK", "OK", "ALARM", "OK"}},
      {2, "---X-", {"ALARM", "keep", "ALARM", "OK"}},
  };
  const char* const kTreatments[] = {"missing", "ignore", "breaching", "notBreaching"};
  for (const auto& c : kCases) {
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(verdict(3, c.m, kTreatments[i], c.points), c.expected[i])
          << c.m << " of 3: " << c.points << " " << kTreatments[i];
  }
}

TEST(Alarm, OnePointIsEnoughWhereOneIsAskedFor) {
  EXPECT_EQ(verdict(1, 1, "missing", "00X"), "ALARM");
  EXPECT_EQ(verdict(1, 1, "missing", "XX0"), "OK");
  EXPECT_EQ(verdict(1, 1, "notBreaching", "---"), "OK");
}

TEST(Alarm, BandsBreachOnTheSidesTheyName) {
  AlarmPoint p;
  p.value = 11;
  p.low = 2;
  p.high = 10;
  AlarmRule rule;
  rule.comparison = "LessThanLowerOrGreaterThanUpperThreshold";
  EXPECT_TRUE(breaches(rule, p));
  rule.comparison = "LessThanLowerThreshold";
  EXPECT_FALSE(breaches(rule, p));
  p.value = 1;
  EXPECT_TRUE(breaches(rule, p));
}

TEST(CompositeRule, CombinesStatesAndRefusesNonsense) {
  auto state = [](const std::string& name) {
    return name == "down" || name == "with space" ? "ALARM" : "OK";
  };
  const struct {
    const char* text;
    bool holds;
  } kRules[] = {{"ALARM(down)", true},
                {"ALARM(up) OR ALARM(\"with space\")", true},
                {"ALARM(down) AND NOT ALARM(up)", true},
                {"NOT (ALARM(down) OR FALSE)", false},
                {"AT_LEAST(2, ALARM, (down, up, \"with space\"))", true},
                {"AT_LEAST(67%, ALARM, (down, up, \"with space\"))", false},
                {"AT_LEAST(1, NOT ALARM, (down, up))", true},
                {"TRUE AND OK(up)", true}};
  for (const auto& r : kRules) {
    const auto rule = CompositeRule::parse(r.text);
    ASSERT_TRUE(rule) << r.text << ": " << rule.error().message;
    EXPECT_EQ(rule->holds(state), r.holds) << r.text;
  }
  EXPECT_EQ(CompositeRule::parse("AT_LEAST(1, ALARM, (a, b)) OR OK(a)")->children().size(), 2u);
  for (const char* bad : {"", "ALARM(", "ALARM(x) ALARM(y)", "MAYBE(x)", "AT_LEAST(3, ALARM, (a, b))",
                          "ALARM()", "(((", "NOT"}) {
    EXPECT_FALSE(CompositeRule::parse(bad)) << bad;
  }
  EXPECT_FALSE(CompositeRule::parse(std::string(200, '(') + "TRUE"));
}

}  // namespace
}  // namespace bastide::services::cw
