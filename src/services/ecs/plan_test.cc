#include "services/ecs/plan.h"

#include <gtest/gtest.h>

namespace bastide::services::ecs {
namespace {

TaskView task(const char* id, const char* deployment, bool healthy, Millis created = 0) {
  return {id, deployment, healthy, healthy, false, created};
}

TEST(Plan, NewTasksAreHealthyBeforeOldOnesGo) {
  ServiceView s{2, 100, 200, "new"};
  std::vector<TaskView> tasks = {task("a", "old", true), task("b", "old", true)};
  auto plan = plan_service(s, tasks, 0);
  EXPECT_EQ(plan.start, 2);
  EXPECT_TRUE(plan.stop.empty());
  tasks.push_back(task("c", "new", false));
  tasks.push_back(task("d", "new", false));
  plan = plan_service(s, tasks, 0);
  EXPECT_EQ(plan.start, 0);
  EXPECT_TRUE(plan.stop.empty());
  tasks[2] = task("c", "new", true);
  EXPECT_EQ(plan_service(s, tasks, 0).stop.size(), 1u) << "one healthy more than needed: one old may go";
  tasks[3] = task("d", "new", true);
  plan = plan_service(s, tasks, 0);
  EXPECT_EQ(plan.stop.size(), 2u);
  EXPECT_FALSE(plan.steady);
  EXPECT_TRUE(plan_service(s, {tasks[2], tasks[3]}, 0).steady);
}

TEST(Plan, WithoutRoomAboveAnOldTaskMakesPlace) {
  ServiceView s{2, 50, 100, "new"};
  std::vector<TaskView> tasks = {task("a", "old", true, 1), task("b", "old", true, 2)};
  const auto plan = plan_service(s, tasks, 0);
  EXPECT_EQ(plan.stop, std::vector<std::string>{"a"});
  EXPECT_EQ(plan.start, 1);
}

TEST(Plan, FailedDeploymentNeitherStartsNorStopsTheOldOnes) {
  ServiceView s{1, 100, 200, "new"};
  s.primary_failed = true;
  const auto plan = plan_service(s, {task("a", "old", true)}, 0);
  EXPECT_EQ(plan.start, 0);
  EXPECT_TRUE(plan.stop.empty());
}

TEST(Plan, ScalingInStopsTheYoungestAndScalingOutStartsTheMissing) {
  ServiceView s{1, 100, 200, "d"};
  EXPECT_EQ(plan_service(s, {task("a", "d", true, 1), task("b", "d", true, 2)}, 0).stop,
            std::vector<std::string>{"b"});
  s.desired = 3;
  EXPECT_EQ(plan_service(s, {task("a", "d", true)}, 0).start, 2);
  s.desired = 0;
  EXPECT_EQ(plan_service(s, {task("a", "d", true)}, 0).stop.size(), 1u);
}

TEST(Plan, FailuresAreWaitedOut) {
  ServiceView s{1, 100, 200, "d"};
  s.retry_at = 100;
  EXPECT_EQ(plan_service(s, {}, 99).start, 0);
  EXPECT_EQ(plan_service(s, {}, 100).start, 1);
  EXPECT_LT(retry_delay(1), retry_delay(2));
  EXPECT_EQ(retry_delay(50), kMinute);
  EXPECT_EQ(breaker_threshold(1), 3);
  EXPECT_EQ(breaker_threshold(25), 13);
  EXPECT_EQ(breaker_threshold(1000), 200);
}

}  // namespace
}  // namespace bastide::services::ecs
