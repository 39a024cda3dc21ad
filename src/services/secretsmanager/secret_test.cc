#include "services/secretsmanager/secret.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bastide::services {
namespace {

TEST(Secret, WhoeverLosesCurrentBecomesPrevious) {
  Secret s;
  s.versions["one"].created = 1;
  s.stage("one", kCurrent);
  s.versions["two"].created = 2;
  s.stage("two", kCurrent);
  EXPECT_EQ(s.staged(kCurrent), "two");
  EXPECT_EQ(s.staged(kPrevious), "one");
  s.versions["three"].created = 3;
  s.stage("three", kCurrent);
  EXPECT_EQ(s.staged(kPrevious), "two");
  EXPECT_TRUE(s.versions["one"].stages.empty());
  s.stage("one", kPending);
  EXPECT_EQ(s.staged(kCurrent), "three");
}

TEST(Secret, OldUnlabelledVersionsGoBeyondAHundred) {
  Secret s;
  for (int i = 0; i < 120; ++i) s.versions["v" + std::to_string(100 + i)].created = i;
  s.stage("v100", kCurrent);
  const auto gone = s.prune(10 * kDay);
  EXPECT_EQ(gone.size(), 20u);
  EXPECT_EQ(s.versions.size(), 100u);
  EXPECT_TRUE(s.versions.contains("v100"));
  EXPECT_TRUE(s.prune(10 * kDay).empty());
}

TEST(Secret, SurvivesItsRow) {
  Secret s;
  s.arn = "arn";
  s.tags["a"] = "b";
  s.stage("one", kCurrent);
  s.rotation = {true, "f", 3, "", "2h", "t", 4, 5};
  const auto back = secret_from_json("1", "r", "n", to_json(s));
  EXPECT_EQ(json::print(to_json(back)), json::print(to_json(s)));
}

TEST(Rotation, SchedulesAreBounded) {
  SecretRotation r;
  EXPECT_TRUE(apply_rules(r, {std::nullopt, "rate(4 hours)", std::nullopt}));
  EXPECT_EQ(rotation_period(r), 4 * kHour);
  for (const char* bad : {"rate(3 hours)", "rate(0 days)", "rate(9999999999 days)", "rate(a days)",
                          "cron(0 1 * * ? *)", "rate()"}) {
    EXPECT_FALSE(apply_rules(r, {std::nullopt, bad, std::nullopt})) << bad;
  }
  EXPECT_FALSE(apply_rules(r, {5, "rate(4 hours)", std::nullopt}));
}

TEST(Password, HasEachKindAndNothingExcluded) {
  PasswordWish wish;
  wish.length = 4;
  wish.exclude = "abc!";
  for (int i = 0; i < 200; ++i) {
    const auto p = random_password(wish);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->find_first_of("abc!"), std::string::npos);
    for (auto test : {::isupper, ::islower, ::isdigit, ::ispunct})
      EXPECT_TRUE(std::any_of(p->begin(), p->end(), test));
  }
  wish.length = 3;
  EXPECT_FALSE(random_password(wish));
}

}  // namespace
}  // namespace bastide::services
