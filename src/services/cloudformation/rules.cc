#include "services/cloudformation/rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace bastide::services::cfn {
namespace {

using json::Value;
constexpr int kMaxDepth = 32;

Error wrong(const std::string& why) { return validation("Template error: Rules: " + why); }

Result<std::vector<std::string>> texts(const Scope& scope, const Value& v) {
  const auto got = TRY(evaluate(scope, v));
  std::vector<std::string> out;
  if (!got) return out;
  if (!resolved(*got)) return wrong("a rule may only look at parameters");
  if (got->is_array()) {
    for (const auto& one : got->array()) out.push_back(scalar_text(one));
  } else if (!got->is_object()) {
    out.push_back(scalar_text(*got));
  }
  return out;
}

bool has(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

Result<bool> holds(const Scope& scope, const Value& v, int depth) {
  if (depth > kMaxDepth) return wrong("nested too deeply");
  const std::string name = intrinsic_name(v);
  if (name.empty()) return wrong("a rule's condition must be a function");
  const Value& a = v.object()[0].second;
  if (!a.is_array()) return wrong(name + " needs a list");
  if (name == "Fn::And" || name == "Fn::Or") {
    bool out = name == "Fn::And";
    for (const auto& one : a.array()) {
      const bool b = TRY(holds(scope, one, depth + 1));
      out = name == "Fn::And" ? out && b : out || b;
    }
    return out;
  }
  if (name == "Fn::Not") {
    if (a.array().size() != 1) return wrong("Fn::Not takes one condition");
    const bool b = TRY(holds(scope, a.array()[0], depth + 1));
    return !b;
  }
  if (a.array().size() != 2) return wrong(name + " takes two values");
  const auto first = TRY(texts(scope, a.array()[0]));
  const auto second = TRY(texts(scope, a.array()[1]));
  if (name == "Fn::Equals") return first == second;
  // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-rules.html
  if (name == "Fn::Contains") return second.size() == 1 && has(first, second[0]);
  if (name == "Fn::EachMemberEquals")
    return second.size() == 1 &&
           std::all_of(first.begin(), first.end(), [&](const std::string& s) { return s == second[0]; });
  if (name == "Fn::EachMemberIn")
    return std::all_of(first.begin(), first.end(), [&](const std::string& s) { return has(second, s); });
  return wrong(name + " is not supported");
}

}  // namespace

Result<void> check_rules(const Scope& scope, const Value& rules) {
  if (!rules.is_object()) return {};
  for (const auto& [name, rule] : rules.object()) {
    const Value* assertions = rule.find("Assertions");
    if (assertions == nullptr || !assertions->is_array()) return wrong(name + " needs a list of Assertions");
    if (const Value* condition = rule.find("RuleCondition")) {
      const bool counts = TRY(holds(scope, *condition, 0));
      if (!counts) continue;
    }
    for (const auto& one : assertions->array()) {
      const Value* assertion = one.find("Assert");
      if (assertion == nullptr) return wrong(name + ": an assertion needs Assert");
      const bool yes = TRY(holds(scope, *assertion, 0));
      if (!yes) {
        return validation(fmt::format("Template constraints of the rule {} are not met: {}", name,
                                      one.get("AssertDescription", "an assertion does not hold")));
      }
    }
  }
  return {};
}

}  // namespace bastide::services::cfn
