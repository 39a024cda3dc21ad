// Values of a template's parameters: given, kept or default, checked against their constraints.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "services/cloudformation/template.h"

namespace bastide::services::cfn {

struct GivenParameter {
  std::string key, value;
  bool use_previous = false;
};

// `previous` are the stack's present texts; the answer has a text for every parameter of the template.
Result<std::map<std::string, std::string>> parameter_texts(
    const Template& t, const std::vector<GivenParameter>& given,
    const std::map<std::string, std::string>& previous);

// As Ref gives them: lists become arrays, SSM-typed ones are looked up.
using SsmLookup = std::function<Result<std::string>(const std::string& name)>;
Result<std::map<std::string, json::Value>> parameter_values(const Template& t,
                                                            const std::map<std::string, std::string>& texts,
                                                            const SsmLookup& lookup);

}  // namespace bastide::services::cfn
