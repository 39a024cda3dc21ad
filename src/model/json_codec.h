// Structs to and from JSON, as awsJson 1.0 and 1.1, rest-json and LocalClient carry them.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "model/check.h"
#include "model/type.h"

namespace bastide::model {

// Reads into a fresh struct. Malformed text is an error; missing required members go to `check` (null: nobody
// minds, as a client reads). Constraints are validate()'s. Unknown members are passed over.
// What awsJson and rest-json bodies hold: wire names, members of the body alone.
Result<void> read_json(std::string_view text, const Type& type, void* out, Check* check);
void write_json(std::string& out, const Type& type, const void* value);

// For calls by name (LocalClient, Client): the model's member names, every member, times in seconds.
Result<void> read_json_value(const json::Value& value, const Type& type, void* out, Check* check);
json::Value write_json_value(const Type& type, const void* value);

}  // namespace bastide::model
