// Everything that runner works with, put together over one stage.
#pragma once

#include <memory>
#include <string>

#include "runner/accounts.h"
#include "runner/layers.h"
#include "runner/networks.h"
#include "runner/rootfs.h"
#include "runner/sandboxes.h"
#include "runner/stage.h"
#include "runner/tasks.h"

namespace bastide::runner {

struct Parts {
  // Before the process has threads. Finds the tasks of an earlier runner again and clears its sandboxes.
  static Result<std::unique_ptr<Parts>> open(const std::string& home, const std::string& helpers, Tier tier);

  Stage stage;
  std::unique_ptr<Accounts> accounts;
  std::unique_ptr<Layers> layers;
  std::unique_ptr<Roots> roots;
  std::unique_ptr<Networks> networks;
  std::unique_ptr<Tasks> tasks;
  std::unique_ptr<Sandboxes> sandboxes;
};

}  // namespace bastide::runner
