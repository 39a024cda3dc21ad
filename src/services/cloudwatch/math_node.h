// Inside metric math: the tree of an expression, and its functions.
#pragma once

#include "services/cloudwatch/math.h"

namespace bastide::services::cw {

struct MathExpression::Node {
  enum class Kind { number, text, variable, list, call, binary, negation } kind = Kind::number;
  double number = 0;
  std::string text;  // name of a variable or function, an operator, a string
  std::vector<Node> nodes;
};

// An operator between numbers, series and arrays, point by point.
Result<Value> combine(const std::string& op, const Value& a, const Value& b);
// A function whose arguments are evaluated already. IF is here too.
Result<Value> call_function(const std::string& name, std::vector<Value> arguments,
                            const MathContext& context);
bool is_function(const std::string& name);

}  // namespace bastide::services::cw
