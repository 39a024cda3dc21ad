#include "services/cloudformation/stack_policy.h"

#include <fmt/format.h>

#include "services/cloudformation/template.h"

namespace bastide::services::cfn {
namespace {

// '*' is any text.
bool like(std::string_view text, std::string_view pattern) {
  size_t t = 0, p = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool any_like(const json::Value* patterns, const std::string& text) {
  if (patterns == nullptr) return false;
  if (patterns->is_string()) return like(text, patterns->string());
  if (!patterns->is_array()) return false;
  for (const auto& one : patterns->array()) {
    if (one.is_string() && like(text, one.string())) return true;
  }
  return false;
}

bool applies(const json::Value& s, const std::string& action, const std::string& logical,
             const std::string& type) {
  if (s.has("NotAction") ? any_like(s.find("NotAction"), action) : !any_like(s.find("Action"), action))
    return false;
  const std::string id = "LogicalResourceId/" + logical;
  if (s.has("NotResource") ? any_like(s.find("NotResource"), id)
                           : s.has("Resource") && !any_like(s.find("Resource"), id))
    return false;
  const json::Value* condition = s.find("Condition");
  if (condition == nullptr) return true;
  for (const auto& [name, tests] : condition->object()) {
    const json::Value* types = tests.find("ResourceType");
    bool yes = name == "StringLike" && any_like(types, type);
    if (name == "StringEquals" && types != nullptr) {
      yes = types->is_string() && types->string() == type;
      if (types->is_array()) {
        for (const auto& one : types->array()) yes = yes || (one.is_string() && one.string() == type);
      }
    }
    if (!yes) return false;
  }
  return true;
}

Error invalid(const std::string& why) { return validation("Error validating stack policy: " + why); }

}  // namespace

Result<json::Value> parse_stack_policy(const std::string& text) {
  if (text.size() > kMaxPolicyBytes) return invalid("Policy is longer than 16384 bytes");
  auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object()) return invalid("Invalid stack policy");
  const json::Value* statements = parsed->find("Statement");
  if (statements == nullptr || !statements->is_array()) return invalid("Statement must be a list");
  for (const auto& s : statements->array()) {
    if (!s.is_object()) return invalid("a statement must be an object");
    for (const auto& [key, v] : s.object()) {
      if (key != "Effect" && key != "Action" && key != "NotAction" && key != "Principal" &&
          key != "Resource" && key != "NotResource" && key != "Condition" && key != "Sid")
        return invalid("unknown field " + key);
    }
    if (s.get("Effect") != "Allow" && s.get("Effect") != "Deny")
      return invalid("Effect must be Allow or Deny");
    if (!s.has("Action") && !s.has("NotAction")) return invalid("a statement needs an Action");
    if (s.get("Principal") != "*") return invalid("Principal must be \"*\"");
    if (const json::Value* c = s.find("Condition")) {
      if (!c->is_object()) return invalid("Condition must be an object");
      for (const auto& [name, tests] : c->object()) {
        if ((name != "StringEquals" && name != "StringLike") || !tests.is_object() ||
            !tests.has("ResourceType"))
          return invalid("a Condition compares ResourceType by StringEquals or StringLike");
      }
    }
  }
  return std::move(*parsed);
}

std::string denied_by(const json::Value& policy, const std::string& action, const std::string& logical,
                      const std::string& type) {
  if (policy.is_null()) return "";
  bool allowed = false;
  int number = 0;
  for (const auto& s : policy.get_array("Statement")) {
    ++number;
    if (!applies(s, action, logical, type)) continue;
    if (s.get("Effect") == "Deny") {
      return fmt::format(
          "Action denied by stack policy: Statement [#{}] does not allow [{}] for resource [{}];", number,
          action, logical);
    }
    allowed = true;
  }
  if (allowed) return "";
  return fmt::format("Action denied by stack policy: Statement [no statement allows] [{}] for resource [{}];",
                     action, logical);
}

}  // namespace bastide::services::cfn
