#include "internal/plan.h"

#include <gtest/gtest.h>

namespace bastide::internal {
namespace {

TEST(Plan, RoundTripsAsJson) {
  Plan plan{.name = "storefront", .region = "us-east-1", .account = "111111111111", .pipeline_role = "arn:x"};
  plan.apps.push_back({.name = "web", .steps = {{"build", "make", kMinute}}, .placements = {{.environment = "stage", .account = "2", .count = 2, .variables = {{"A", "b"}}}}});
  const Plan again = *plan_from_json(*json::parse(json::print(to_json(plan))));
  EXPECT_EQ(json::print(to_json(again)), json::print(to_json(plan)));
  EXPECT_EQ(again.app("web")->placement("stage")->count, 2);
  EXPECT_EQ(again.app("web")->placement("prod"), nullptr);
}

TEST(Plan, AnAppsNameCannotLeaveItsFolder) {
  Plan plan{.name = "x", .region = "r", .account = "1", .pipeline_role = "arn:x"};
  plan.apps.push_back({.name = "../x", .placements = {{.environment = "stage"}}});
  EXPECT_FALSE(plan_from_json(to_json(plan)));
}

TEST(Glob, MatchesTagsAsTheFileNamesThem) {
  EXPECT_TRUE(matches_glob("v*", "v1.2"));
  EXPECT_TRUE(matches_glob("release-?-*", "release-1-"));
  EXPECT_FALSE(matches_glob("v*", "wv1"));
  EXPECT_FALSE(matches_glob("", "v1"));
}

}  // namespace
}  // namespace bastide::internal
