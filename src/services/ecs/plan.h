// What a service needs next: a plain function over what is. Rolling deployments as ECS's scheduler does them.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"

namespace bastide::services::ecs {

struct TaskView {
  std::string id;
  std::string deployment;
  bool running = false;
  bool healthy = false;   // running, and healthy in every target group
  bool stopping = false;  // asked to stop
  Millis created_at = 0;
};

struct ServiceView {
  int desired = 0;
  int minimum_percent = 100, maximum_percent = 200;
  std::string primary;  // the deployment that tasks are started for
  bool primary_failed = false;
  Millis retry_at = 0;  // no start before, after failures
};

struct ServicePlan {
  int start = 0;
  std::vector<std::string> stop;
  bool steady = false;  // exactly the desired tasks of the primary, all healthy, nothing else
};

ServicePlan plan_service(const ServiceView& service, std::vector<TaskView> tasks, Millis now);

// Failures after which the circuit breaker trips.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
int breaker_threshold(int desired);

// How long to wait before the next start after that many failures in a row.
Millis retry_delay(int failures);

}  // namespace bastide::services::ecs
