// Transforms of a template that are done before anything else: AWS::LanguageExtensions and AWS::Include.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-languageextensions.html
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::cfn {

struct TransformInput {
  std::map<std::string, std::string> parameters;  // given ones
  std::string account, region, stack_name;
  std::function<Result<std::string>(const std::string& location)> fetch;  // of AWS::Include: "s3://bucket/key"
};

std::vector<std::string> declared_transforms(const json::Value& body);

// The template as it is executed: without its Transform section, loops written out. At most 1 MB comes out of it.
Result<json::Value> expand(json::Value body, const TransformInput& in);

}  // namespace bastide::services::cfn
