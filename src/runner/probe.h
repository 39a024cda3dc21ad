// Which tier this host permits, found out by running a container in it that tries to break out of its limits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/parts.h"
#include "runner/tier.h"

namespace bastide::runner {

struct Guarantee {
  std::string name;
  bool enforced = false;
  std::string why;
};

// Runs that container; an error says what this host does not permit.
Result<std::vector<Guarantee>> probe(Parts& parts);

struct Choice {
  Tier tier = Tier::root;
  std::vector<Guarantee> guarantees;
  std::string weaker_because;  // why the tiers above were not taken
};
// The strongest tier that works, or the one asked for, or that of containers which still run. Each is tried
// in a child process, which leaves the stage of the one that worked for Parts::open to find. Before there are
// threads.
Result<Choice> choose_tier(const std::string& home, const std::string& helpers, std::optional<Tier> wanted);

}  // namespace bastide::runner
