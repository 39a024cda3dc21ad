// Attributes of load balancers and target groups: their defaults, and the values that this edge can keep.
#pragma once

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::elbv2 {

enum class AttributesOf { balancer, target_group };

// `kept` is an object key -> value; the list is what Describe answers, defaults filled in.
json::Array attribute_list(AttributesOf of, const json::Value& kept);
std::string attribute(AttributesOf of, const json::Value& kept, std::string_view key);
// Applies a request's Attributes to `kept`; an unknown key or a value that cannot be kept is a fault.
Result<void> apply_attributes(AttributesOf of, const json::Value& attributes, json::Value& kept);

}  // namespace bastide::services::elbv2
