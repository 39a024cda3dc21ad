#include "runner/parts.h"

namespace bastide::runner {
Result<std::unique_ptr<Parts>> Parts::open(const std::string& home, const std::string& helpers,
                                           Tier tier) {
  auto parts = std::make_unique<Parts>();
  auto stage = TRY(Stage::enter(home, helpers, tier));
  parts->stage = std::move(stage);
  auto accounts = TRY(Accounts::open(parts->stage.disk() + "/accounts.json", parts->stage.ids()));
  parts->accounts = std::move(accounts);
  auto layers = TRY(Layers::open(parts->stage));
  parts->layers = std::move(layers);
  parts->roots = std::make_unique<Roots>(parts->stage, *parts->accounts);
  auto networks = TRY(Networks::open(parts->stage));
  parts->networks = std::move(networks);
  parts->tasks = std::make_unique<Tasks>(parts->stage, *parts->accounts, *parts->layers, *parts->roots,
                                         *parts->networks);
  parts->sandboxes = std::make_unique<Sandboxes>(parts->stage, *parts->accounts, *parts->layers,
                                                 *parts->roots, *parts->networks);
  TRY(parts->tasks->adopt());
  TRY(parts->sandboxes->clear());
  return parts;
}

}  // namespace bastide::runner
