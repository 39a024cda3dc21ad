// Makes the machine's networks what the VPCs are: one network.ensure a VPC after each change and each resync,
// one network.remove for a VPC that is gone; then who may speak to whom in each, and the ways between them
// (network_policy.h). Idempotent; on the loop that starts it.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "internal/network.h"
#include "internal/runner.h"
#include "store/database.h"

namespace bastide::services {

class NetworkReconciler {
 public:
  using Ensure = std::function<Result<void>(internal::NetworkSpec)>;                 // waits
  using Remove = std::function<Result<void>(std::string account, std::string vpc)>;  // waits
  using List = std::function<Result<std::vector<internal::NetworkSpec>>()>;          // waits
  using Apply = std::function<Result<void>(const internal::NetworkPolicy&)>;              // waits
  using Paths = std::function<Result<void>(const std::vector<internal::NetworkPath>&)>;  // waits
  // With `list` also the networks of VPCs that went while nobody listened are removed.
  NetworkReconciler(store::Database& database, Ensure ensure, Remove remove = {}, List list = {});
  ~NetworkReconciler();
  void tell(Apply apply, Paths paths);  // before start(): what changed at once, all of it at each resync
  void start();              // listens to "ec2.network"; the first round at once
  Result<void> reconcile();  // one round over all VPCs; waits. The first error, after all were tried

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace bastide::services
