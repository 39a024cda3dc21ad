// Templates of a team's own, stacks/ACCOUNT/NAME.yaml (or .yml, .json) beside bastide.yaml: part of the same
// plan.
#pragma once

#include "architecture/architecture.h"

namespace bastide::architecture {

// `folder`: of bastide.yaml. `accounts`: that the file has. Errors name file, line and column.
Result<std::vector<Architecture::OwnStack>> read_own_stacks(const std::string& folder,
                                                            const std::vector<std::string>& accounts);

// After the stacks of their account; among one another, those first whose exports others import.
Result<void> add_own_stacks(const Architecture& a, std::vector<Stack>& stacks);

// Asks CloudFormation about every one of them before anything is made; errors name file, line and column.
Result<void> validate_own_stacks(const Architecture& a, const Call& call);

// Where in a template an error of CloudFormation stands: by the resource, and the property's path, that it
// names.
std::string place_of_error(const std::string& text, const std::string& file, const std::string& message);

}  // namespace bastide::architecture
