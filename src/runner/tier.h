// How strongly this host can isolate. Strongest first; docs/TIERS.md says what each holds.
#pragma once

#include <optional>
#include <string_view>

namespace bastide::runner {

enum class Tier { root, userns, chroot, landlock };

std::string_view tier_name(Tier tier);
std::optional<Tier> tier_named(std::string_view name);

// root and userns: containers by crun in namespaces. The others run plain processes.
constexpr bool has_namespaces(Tier tier) { return tier == Tier::root || tier == Tier::userns; }
// Whether runner is root of the host and can give processes uids of their own.
constexpr bool is_host_root(Tier tier) { return tier == Tier::root || tier == Tier::chroot; }

}  // namespace bastide::runner
