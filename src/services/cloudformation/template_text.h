// The text of a template as one JSON value.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::cfn {

// JSON where the text begins with '{', else YAML with !Ref, !Sub, ... written out in full.
Result<json::Value> read_template_text(const std::string& text);

}  // namespace bastide::services::cfn
