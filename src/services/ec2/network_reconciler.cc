#include "services/ec2/network_reconciler.h"

#include "base/log.h"
#include "net/loop.h"
#include "services/ec2/ec2.h"
#include "services/ec2/network_policy.h"

namespace bastide::services {

struct NetworkReconciler::State {
  store::Database& db;
  Ensure ensure;
  Remove remove;
  List list;
  std::set<std::pair<std::string, std::string>> made;  // account, vpc: by this process
  bool running = false, again = false, stopped = false, all = true;
  Apply apply;
  Paths paths;
  std::map<std::pair<std::string, std::string>, internal::NetworkPolicy> told;
  std::vector<internal::NetworkPath> told_paths;

  Result<void> round() {
    std::optional<Error> first;
    auto keep = [&](Result<void> r) {
      if (!r && !first) first = std::move(r).error();
    };
    const bool everything = std::exchange(all, false);
    NetworkPlan plan;
    TRY(db.read([&](store::Reader& reader) -> Result<void> {
      plan = TRY(plan_networks(reader));
      return {};
    }));
    std::set<std::pair<std::string, std::string>> wanted;
    for (size_t i = 0; i < plan.networks.size(); ++i) {
      const auto& network = plan.networks[i];
      const std::pair id(network.account, network.vpc);
      wanted.insert(id);
      if (everything || !made.contains(id)) {
        auto ensured = ensure(network);
        if (ensured) made.insert(id);
        keep(std::move(ensured));
      }
      if (!apply || !made.contains(id)) continue;
      const auto before = told.find(id);
      if (!everything && before != told.end() && before->second == plan.policies[i]) continue;
      auto applied = apply(plan.policies[i]);
      if (applied)
        told[id] = plan.policies[i];
      else
        told.erase(id);
      keep(std::move(applied));
    }
    if (paths && (everything || plan.paths != told_paths)) {
      auto set = paths(plan.paths);
      if (set)
        told_paths = plan.paths;
      else
        all = true;
      keep(std::move(set));
    }
    if (list && remove) {
      auto there = list();
      if (there) {
        for (const auto& network : *there) {
          if (network.vpc.compare(0, 4, "vpc-") == 0) made.emplace(network.account, network.vpc);
        }
      } else {
        keep(std::move(there).error());
      }
    }
    auto before = made;
    for (const auto& network : before) {
      if (wanted.count(network) || !remove) continue;
      auto removed = remove(network.first, network.second);
      if (removed) {
        made.erase(network);
        told.erase(network);
      }
      keep(std::move(removed));
    }
    if (first) all = true;
    if (first) return *first;
    return {};
  }
};

NetworkReconciler::NetworkReconciler(store::Database& database, Ensure ensure, Remove remove, List list)
    : state_(new State{database, std::move(ensure), std::move(remove), std::move(list)}) {}

NetworkReconciler::~NetworkReconciler() { state_->stopped = true; }

void NetworkReconciler::tell(Apply apply, Paths paths) {
  state_->apply = std::move(apply);
  state_->paths = std::move(paths);
}

Result<void> NetworkReconciler::reconcile() { return state_->round(); }

void NetworkReconciler::start() {
  auto wake = [state = state_](const std::string& key) {
    if (state->stopped) return;
    if (key.empty()) state->all = true;
    state->again = true;
    if (state->running) return;
    state->running = true;
    net::spawn([state] {
      while (state->again && !state->stopped) {
        state->again = false;
        auto done = state->round();
        if (!done) log::warn("ec2: networks are not all made: {}", done.error().message);
      }
      state->running = false;
    });
  };
  state_->db.listen(kEc2NetworkTopic, wake);
  wake("");
}

}  // namespace bastide::services
