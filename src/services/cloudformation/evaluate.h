// Intrinsic functions and pseudo parameters, over values. What resources will give is asked of the scope,
// which may answer that it is not known yet: then the function stays in the value with everything else
// resolved (that is how two templates are compared without making anything).
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "services/cloudformation/template.h"

namespace bastide::services::cfn {

struct Scope {
  std::string account, region, stack_name, stack_id;
  std::vector<std::string> notification_arns;
  std::map<std::string, json::Value> parameters;  // strings and lists of strings
  std::map<std::string, bool> conditions;
  const json::Value* mappings = nullptr;
  // Of resources: nothing while it is not known.
  std::function<Result<std::optional<json::Value>>(const std::string& logical)> ref;
  std::function<Result<std::optional<json::Value>>(const std::string& logical, const std::string& attribute)>
      attribute;
  std::function<Result<json::Value>(const std::string& name)> import_value;
  std::function<Result<json::Value>(const std::string& region)> zones;
};

// Nothing: AWS::NoValue, the member or element falls away.
Result<std::optional<json::Value>> evaluate(const Scope& scope, const json::Value& value);
Result<json::Value> evaluate_properties(const Scope& scope,
                                        const json::Value& properties);  // an object stays one
bool resolved(const json::Value& value);                                 // no function is left in it

// Every condition of the template, in the order of their dependence.
Result<std::map<std::string, bool>> evaluate_conditions(const Scope& scope, const json::Value& conditions);

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-cidr.html
Result<json::Value> cidr_blocks(const std::string& block, int64_t count, int64_t bits);

std::string scalar_text(const json::Value& value);  // of a string, number or boolean

}  // namespace bastide::services::cfn
