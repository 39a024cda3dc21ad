// What the rows of EC2, ECS, ELB, RDS and Organizations mean for the machine's networks: which VPCs there are, who
// may speak to whom in each, which ways lead from one to another, and what their names are. Pure but for reading.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "internal/network.h"
#include "internal/runner.h"
#include "store/database.h"

namespace bastide::services {

struct NetworkPlan {
  std::vector<internal::NetworkSpec> networks;
  std::vector<internal::NetworkPolicy> policies;  // one a network, in the same order
  std::vector<internal::NetworkPath> paths;
};

Result<NetworkPlan> plan_networks(store::Reader& reader);

}  // namespace bastide::services
