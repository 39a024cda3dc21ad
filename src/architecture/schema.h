// The JSON Schema of bastide.yaml, for editors and checks elsewhere: `bastide schema`,
// docs/bastide.schema.json.
#pragma once

#include "base/json.h"

namespace bastide::architecture {

json::Value file_schema();

}  // namespace bastide::architecture
