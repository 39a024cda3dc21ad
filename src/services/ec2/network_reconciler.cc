#include "services/ec2/network_reconciler.h"

#include "base/log.h"
#include "net/loop.h"
#include "services/ec2/ec2.h"

namespace bastide::services {

struct NetworkReconciler::State {
  store::Database& db;
  Ensure ensure;
  Remove remove;
  List list;
  std::set<std::pair<std::string, std::string>> made;  // account, vpc: by this process
  bool running = false, again = false, stopped = false;

  Result<void> round() {
    std::optional<Error> first;
    auto keep = [&](Result<void> r) {
      if (!r && !first) first = std::move(r).error();
    };
    auto vpcs = TRY(db.list("*", "*", "ec2.vpc"));
    std::set<std::pair<std::string, std::string>> wanted;
    for (const auto& vpc : vpcs) {
      wanted.emplace(vpc.key.account, vpc.key.id);
      auto ensured = ensure({vpc.key.account, vpc.key.id, vpc.body.get("CidrBlock")});
      if (ensured) made.emplace(vpc.key.account, vpc.key.id);
      keep(std::move(ensured));
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
      if (removed) made.erase(network);
      keep(std::move(removed));
    }
    if (first) return *first;
    return {};
  }
};

NetworkReconciler::NetworkReconciler(store::Database& database, Ensure ensure, Remove remove, List list)
    : state_(new State{database, std::move(ensure), std::move(remove), std::move(list)}) {}

NetworkReconciler::~NetworkReconciler() { state_->stopped = true; }

Result<void> NetworkReconciler::reconcile() { return state_->round(); }

void NetworkReconciler::start() {
  auto wake = [state = state_](const std::string&) {
    if (state->stopped) return;
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
