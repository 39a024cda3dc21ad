// What the resource types that Bastide can make look like: AWS's own registry schemas, pruned to the
// properties that our handlers understand (models/cloudformation/resource-types.json). Constant after start;
// any thread.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::cfn {

bool known_type(const std::string& type);
std::vector<std::string> all_types();

// Whether Fn::GetAtt may ask for it.
bool has_attribute(const std::string& type, const std::string& attribute);

// Properties as a template has them: names, kinds and required ones; what an intrinsic will give is not
// looked at.
Result<void> check_properties(const std::string& type, const std::string& logical,
                              const json::Value& properties);

// Resolved properties with scalars made what the schema wants ("true" -> true, 80 -> "80"); else the same
// fault.
Result<json::Value> coerce_properties(const std::string& type, const std::string& logical,
                                      json::Value properties);

// Of two resolved sets: the properties that differ; and whether one of them can only change by replacement.
std::vector<std::string> changed_properties(const json::Value& before, const json::Value& after);
bool needs_replacement(const std::string& type, const std::string& property);

// What its service does not give back: passwords, texts of secrets.
std::vector<std::string> unreadable_properties(const std::string& type);

// As the registry tells of a type.
std::string type_arn(const std::string& type);
std::string type_schema(const std::string& type);  // JSON
bool mutable_type(const std::string& type);        // some property changes in place

// How the type holds tags: "array" of {Key, Value}, "object", or empty: not at all.
std::string tags_kind(const std::string& type);

// The value with keys as the ECS API writes them (containerDefinitions), free-form maps left alone.
json::Value camel_keys(const std::string& type, const std::string& property, const json::Value& value);

}  // namespace bastide::services::cfn
