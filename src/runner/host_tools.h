// The host's own tools as the base of a sandbox: /usr read-only, the little of /etc that programs need, users
// of its own. Nothing of the host that could hold a secret is shown.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "runner/oci_spec.h"

namespace bastide::runner {

Result<void> make_host_tools_base(const std::string& root, uint32_t uid);  // on top of make_skeleton()
void add_host_tools(std::vector<Bind>& binds);
std::vector<std::string> host_tool_paths();  // the same for a build that stands in the host's root folder
Result<void> bind_folder(const std::string& from, const std::string& to);  // makes `to`

}  // namespace bastide::runner
