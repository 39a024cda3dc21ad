#include "runner/tier.h"

namespace bastide::runner {

std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::root:
      return "root";
    case Tier::userns:
      return "userns";
    case Tier::chroot:
      return "chroot";
    case Tier::landlock:
      return "landlock";
  }
  return "none";
}

std::optional<Tier> tier_named(std::string_view name) {
  for (const Tier tier : {Tier::root, Tier::userns, Tier::chroot, Tier::landlock}) {
    if (tier_name(tier) == name) return tier;
  }
  return std::nullopt;
}

}  // namespace bastide::runner
