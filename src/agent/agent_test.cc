#include <gtest/gtest.h>

#include "agent/balancer.h"
#include "agent/host.h"
#include "agent/tasks.h"

namespace bastide::agent {
namespace {

constexpr Millis kNow = 1'800'000'000'000;

const store::MetricSample* find(const std::vector<store::MetricSample>& all, const std::string& name, size_t dimensions) {
  for (const auto& s : all) {
    if (s.name.name == name && s.name.dimensions.size() == dimensions) return &s;
  }
  return nullptr;
}

TEST(Agent, RequestsAreCountedAsElbCountsThem) {
  Balancer balancer;
  internal::AccessEntry e;
  e.time = kNow;
  e.balancer = "arn:aws:elasticloadbalancing:us-east-1:111111111111:loadbalancer/app/web/abc";
  e.target_group = "arn:aws:elasticloadbalancing:us-east-1:111111111111:targetgroup/t/def";
  e.action = "forward";
  e.target = "10.0.0.1:80";
  for (int i = 0; i < 10; ++i) {
    e.status = e.target_status = i < 8 ? 200 : 500;
    e.target_time = 0.01 * (i + 1);
    balancer.add(e);
  }
  e.target_status = 0;
  e.status = 502;
  balancer.add(e);
  const auto all = balancer.take();
  EXPECT_EQ(find(all, "RequestCount", 1)->cell.sum, 11);
  EXPECT_EQ(find(all, "HTTPCode_Target_5XX_Count", 2)->cell.sum, 2);
  EXPECT_EQ(find(all, "HTTPCode_ELB_5XX_Count", 1)->cell.sum, 1);
  const auto* time = find(all, "TargetResponseTime", 2);
  EXPECT_EQ(time->cell.count, 10);
  EXPECT_DOUBLE_EQ(time->cell.max, 0.1);
  EXPECT_EQ(time->name.dimensions[1].second, "targetgroup/t/def");
  EXPECT_EQ(time->name.account, "111111111111");
  EXPECT_TRUE(balancer.take().empty());
}

TEST(Agent, TasksAreMeasuredAgainstWhatTheyMayUse) {
  Tasks tasks;
  TaskRow row{"111111111111", "us-east-1", "t1",
              json::object({{"clusterArn", "arn:aws:ecs:us-east-1:1:cluster/shop"}, {"group", "service:web"}, {"lastStatus", "RUNNING"}, {"cpu", "256"}, {"memory", "512"}})};
  auto usage = [](int64_t cpu_us) { return json::Array{json::object({{"id", "t1"}, {"cpu_us", cpu_us}, {"memory", int64_t{256} << 20}})}; };
  auto first = tasks.collect({row}, usage(0), kNow);
  EXPECT_EQ(find(first, "CPUUtilization", 2), nullptr);
  EXPECT_EQ(find(first, "MemoryUtilization", 2)->cell.sum, 50);
  // 7.5 seconds of CPU in a minute are an eighth of a core: half of 256 units.
  auto second = tasks.collect({row}, usage(7'500'000), kNow + kMinute);
  EXPECT_EQ(find(second, "CPUUtilization", 2)->cell.sum, 50);
  EXPECT_EQ(find(second, "RunningTaskCount", 2)->cell.sum, 1);
  row.body["lastStatus"] = "STOPPED";
  row.body["stopCode"] = "EssentialContainerExited";
  EXPECT_EQ(find(tasks.collect({row}, {}, kNow + 2 * kMinute), "RestartCount", 2)->cell.sum, 1);
  EXPECT_EQ(find(tasks.collect({row}, {}, kNow + 3 * kMinute), "RestartCount", 2), nullptr);
}

TEST(Agent, TheHostIsMeasured) {
  Host host("/");
  host.collect("1", "r", kNow);
  const auto all = host.collect("1", "r", kNow + kMinute);
  const auto* memory = find(all, "mem_used_percent", 1);
  ASSERT_NE(memory, nullptr);
  EXPECT_GT(memory->cell.sum, 0);
  EXPECT_LE(memory->cell.sum, 100);
  EXPECT_NE(find(all, "disk_used_percent", 2), nullptr);
}

}  // namespace
}  // namespace bastide::agent
