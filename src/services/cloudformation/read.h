// What the readers of resources share (for drift): each gives the properties that stand, as the template
// would write them. `p` are those last applied: a reader may leave out what they do not name.
#pragma once

#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {

// [{Key, Value}] from a list of tags or a map, without those of AWS.
json::Value plain_tags(const json::Value* tags, const char* key = "Key", const char* value = "Value");
// A policy as an object, from its text (percent-encoded or not).
json::Value policy_object(const std::string& text);
// {"awsvpcConfiguration": ...} -> {"AwsvpcConfiguration": ...}
json::Value pascal_keys(const json::Value& v);
// The first of a list, or a fault NotFound.
Result<json::Value> first_of(const Result<json::Value>& answer, const char* list, const std::string& what);
json::Value member(const json::Value& v, const char* key);

}  // namespace bastide::services::cfn
