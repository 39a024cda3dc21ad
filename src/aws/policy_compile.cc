#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "aws/policy_compiled.h"
#include "base/bytes.h"

namespace bastide::aws {
namespace {

constexpr size_t kMaxStatements = 500;
constexpr const char* kSyntax = "Syntax errors in policy.";

Error syntax() { return error("Invalid", kSyntax); }

Result<std::vector<std::string>> strings(const json::Value& v) {
  std::vector<std::string> out;
  if (v.is_string()) {
    out.push_back(v.string());
  } else if (v.is_array()) {
    for (const auto& e : v.array()) {
      if (!e.is_string()) return syntax();
      out.push_back(e.string());
    }
  } else {
    return syntax();
  }
  return out;
}

Result<void> add_actions(Statement& s, const json::Value& v) {
  const auto texts = TRY(strings(v));
  if (texts.empty()) return error("Invalid", "Policy statement must contain actions.");
  for (const auto& text : texts) {
    if (text != "*") {
      const size_t colon = text.find(':');
      if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
        return error("Invalid", "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
      }
      const std::string_view vendor = std::string_view(text).substr(0, colon);
      const bool valid = std::all_of(vendor.begin(), vendor.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.';
      });
      if (!valid && vendor != "*") return error("Invalid", fmt::format("Vendor {} is not valid", vendor));
      if (text.find(':', colon + 1) != std::string::npos) {
        return error("Invalid", "Actions/Condition can contain only one colon.");
      }
    }
    s.actions.emplace_back(text, Pattern::Options{true, false, true});
  }
  return {};
}

Result<void> add_conditions(Statement& s, const json::Value& v, bool variables) {
  if (!v.is_object()) return syntax();
  for (const auto& [op, keys] : v.object()) {
    if (!keys.is_object()) return syntax();
    for (const auto& [key, values] : keys.object()) {
      s.conditions.push_back(TRY(Condition::compile(op, key, values, variables)));
    }
  }
  return {};
}

Result<Statement> compile_statement(const json::Value& v, bool variables) {
  if (!v.is_object()) return syntax();
  Statement s;
  bool has_effect = false;
  for (const auto& [name, value] : v.object()) {
    if (name == "Sid") {
      if (!value.is_string()) return syntax();
      s.sid = value.string();
    } else if (name == "Effect") {
      if (!value.is_string() || (value.string() != "Allow" && value.string() != "Deny")) return syntax();
      s.deny = value.string() == "Deny";
      has_effect = true;
    } else if (name == "Action" || name == "NotAction") {
      if (!s.actions.empty()) return syntax();
      s.not_action = name == "NotAction";
      TRY(add_actions(s, value));
    } else if (name == "Resource" || name == "NotResource") {
      if (s.has_resource) return syntax();
      s.has_resource = true;
      s.not_resource = name == "NotResource";
      const auto texts = TRY(strings(value));
      if (texts.empty()) return error("Invalid", "Policy statement must contain resources.");
      for (const auto& text : texts) s.resources.emplace_back(text, Pattern::Options{true, variables, false});
    } else if (name == "Principal" || name == "NotPrincipal") {
      if (s.who != Statement::Who::anyone) return syntax();
      s.who = name == "Principal" ? Statement::Who::principal : Statement::Who::not_principal;
      s.principal = TRY(compile_principal(value));
    } else if (name == "Condition") {
      TRY(add_conditions(s, value, variables));
    } else {
      return syntax();
    }
  }
  if (!has_effect) return error("Invalid", "Missing required field Effect");
  if (s.actions.empty()) return error("Invalid", "Policy statement must contain actions.");
  return s;
}

}  // namespace

Result<Policy> compile_policy(const json::Value& document) {
  if (!document.is_object()) return syntax();
  bool variables = false;
  const json::Value* statements = nullptr;
  for (const auto& [name, value] : document.object()) {
    if (name == "Version") {
      if (!value.is_string() || (value.string() != "2012-10-17" && value.string() != "2008-10-17")) {
        return error("Invalid", "The policy must contain a valid version string");
      }
      // Variables came with 2012-10-17: in an older document they are plain text.
      variables = value.string() == "2012-10-17";
    } else if (name == "Id") {
      if (!value.is_string()) return syntax();
    } else if (name == "Statement") {
      statements = &value;
    } else {
      return syntax();
    }
  }
  if (!statements) return error("Invalid", "Missing required field Statement");
  Policy policy;
  if (statements->is_object()) {
    policy.statements.push_back(TRY(compile_statement(*statements, variables)));
    return policy;
  }
  if (!statements->is_array() || statements->array().empty() || statements->array().size() > kMaxStatements) {
    return syntax();
  }
  std::set<std::string> sids;
  for (const auto& v : statements->array()) {
    auto s = TRY(compile_statement(v, variables));
    if (!s.sid.empty() && !sids.insert(s.sid).second) {
      return error("Invalid", "Statement IDs (SID) in a single policy must be unique.");
    }
    s.index = policy.statements.size();
    policy.statements.push_back(std::move(s));
  }
  return policy;
}

bool applies(const Statement& s, const PolicyRequest& r, Named& named) {
  const auto any = [&](const std::vector<Pattern>& patterns, std::string_view value) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const Pattern& p) { return p.matches(value, *r.keys); });
  };
  if (any(s.actions, r.action) == s.not_action) return false;
  if (s.has_resource && any(s.resources, r.resource) == s.not_resource) return false;
  named = Named::direct;
  if (s.who == Statement::Who::principal) {
    named = s.principal.names(*r.principal);
    if (named == Named::no) return false;
  } else if (s.who == Statement::Who::not_principal && s.principal.excepts(*r.principal)) {
    return false;
  }
  return std::all_of(s.conditions.begin(), s.conditions.end(),
                     [&](const Condition& c) { return c.holds(*r.keys); });
}

Verdict evaluate(const Policy& policy, const PolicyRequest& request) {
  Verdict v;
  if (!policy.error.empty()) {
    v.denied = true;
    return v;
  }
  for (const auto& s : policy.statements) {
    if (!s.deny && v.allowed && v.named == Named::direct) continue;
    Named named = Named::no;
    if (!applies(s, request, named)) continue;
    if (s.deny) {
      v.denied = true;
      v.statement = &s;
      return v;
    }
    if (!v.allowed || named > v.named) {
      v.allowed = true;
      v.named = named;
      v.statement = &s;
    }
  }
  return v;
}

}  // namespace bastide::aws
