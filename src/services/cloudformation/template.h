// A CloudFormation template: read from JSON or YAML (short forms too), checked as a whole, as declarations.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
// Plain values; any thread. Parsing a large text takes milliseconds: offload it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::cfn {

inline constexpr size_t kMaxTemplateBytes = 1'000'000;  // AWS: 1 MB in S3, 51,200 bytes in a request
inline constexpr size_t kMaxResources = 500;
inline constexpr size_t kMaxParameters = 200;
inline constexpr size_t kMaxOutputs = 200;
inline constexpr size_t kMaxMappings = 200;

struct Parameter {
  std::string name, type, description, allowed_pattern, constraint_description;
  std::optional<std::string> fallback;
  std::optional<std::vector<std::string>> allowed_values;
  std::optional<int64_t> min_length, max_length;
  std::optional<double> min_value, max_value;
  bool no_echo = false;
};

struct ResourceDecl {
  std::string logical, type, condition;
  json::Value properties = json::object();
  json::Value metadata;
  std::vector<std::string> depends_on;
  std::string deletion_policy = "Delete";
  std::string update_replace_policy = "Delete";
  json::Value creation_policy;  // null: none
};

struct OutputDecl {
  std::string name, description, condition;
  json::Value value;
  json::Value export_name;  // null: not exported
};

struct Template {
  std::string description;
  std::vector<Parameter> parameters;
  json::Value mappings, conditions, metadata, rules;
  std::vector<ResourceDecl> resources;
  std::vector<OutputDecl> outputs;
  json::Value body;                     // all of it, short forms written out
  bool named_iam = false, iam = false;  // which capabilities it needs

  const ResourceDecl* resource(std::string_view logical) const;
  const Parameter* parameter(std::string_view name) const;
};

// Faults are ValidationError with AWS's wording.
Result<Template> parse_template(const std::string& text);

Error validation(std::string message);

// The logical ids and parameter names that a value refers to by Ref, Fn::GetAtt and Fn::Sub.
std::set<std::string> references(const json::Value& value);

// The variables of a Fn::Sub text, without ${!literal}s: "Name", "Res.Attr", "AWS::Region".
std::vector<std::string> sub_variables(const std::string& text);

// {"Ref": ...} or {"Fn::...": ...}: its name, or empty.
std::string intrinsic_name(const json::Value& value);

// Parts of Fn::GetAtt, whichever way it is written.
std::optional<std::pair<std::string, std::string>> getatt_parts(const json::Value& argument);

// Orders what depends on what; a cycle is named in full.
Result<void> check_cycles(const std::vector<std::pair<std::string, std::set<std::string>>>& depends);

}  // namespace bastide::services::cfn
