#include "aws/policy_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "aws/request_context.h"
#include "base/bytes.h"

namespace bastide::aws {
namespace {

using Visit = std::function<void(const Policy& policy, const char* kind, const std::string& name)>;

void each_policy(const Call& call, const Target& target, const IdentityPolicies& policies,
                 const Visit& visit) {
  const auto one = [&](const PolicyDocument& document, const char* kind, const std::string& name) {
    if (document) visit(*document.get(), kind, name);
  };
  for (const auto& level : policies.control) {
    for (const auto& p : level) one(p.document, "service control policy", p.name);
  }
  one(target.policy,
      target.mode == PolicyMode::resource_only && lower(target.action).starts_with("sts:assumerole")
          ? "role trust policy"
          : "resource-based policy",
      target.resource);
  if (policies.boundary) one(policies.boundary->document, "permissions boundary", policies.boundary->name);
  for (const auto& p : call.principal.session_policies) one(p, "session policy", "session policy");
  for (const auto& p : policies.identity) one(p.document, "identity-based policy", p.name);
}

const json::Value& statement_source(const Policy& policy, size_t index) {
  static const json::Value kNone;
  const json::Value* all = policy.source.find("Statement");
  if (!all) return kNone;
  if (all->is_object()) return *all;
  return all->is_array() && index < all->array().size() ? all->array()[index] : kNone;
}

std::string list_of(const json::Value* v) {
  if (!v) return "";
  std::vector<std::string> texts;
  if (v->is_array()) {
    for (const auto& one : v->array()) texts.push_back(one.is_string() ? one.string() : json::print(one));
  } else {
    texts.push_back(v->is_string() ? v->string() : json::print(*v));
  }
  return join(texts, ", ");
}

// The compiled conditions stand in the order of the document.
std::string failed_condition(const Statement& s, const json::Value& source, const PolicyRequest& r) {
  size_t at = 0;
  for (const auto& [op, keys] : source.get_object("Condition")) {
    for (const auto& [key, values] : keys.is_object() ? keys.object() : json::Object{}) {
      if (at >= s.conditions.size()) return "a condition does not hold";
      const Condition& c = s.conditions[at++];
      if (c.holds(*r.keys)) continue;
      std::vector<std::string> found;
      r.keys->find(c.key(), found);
      return fmt::format("condition {} {} wants {}, the request has {}", op, key, list_of(&values),
                         found.empty() ? "none" : join(found, ", "));
    }
  }
  return "a condition does not hold";
}

std::string why_not(const Statement& s, const json::Value& source, const PolicyRequest& r) {
  const auto any = [&](const std::vector<Pattern>& patterns, std::string_view value) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const Pattern& p) { return p.matches(value, *r.keys); });
  };
  if (any(s.actions, r.action) == s.not_action) {
    return fmt::format("{} {} does not cover the action", s.not_action ? "NotAction" : "Action",
                       list_of(source.find(s.not_action ? "NotAction" : "Action")));
  }
  if (s.has_resource && any(s.resources, r.resource) == s.not_resource) {
    return fmt::format("{} {} does not cover the resource", s.not_resource ? "NotResource" : "Resource",
                       list_of(source.find(s.not_resource ? "NotResource" : "Resource")));
  }
  if (s.who == Statement::Who::principal && s.principal.names(*r.principal) == Named::no) {
    return fmt::format("Principal {} does not name the caller", list_of(source.find("Principal")));
  }
  if (s.who == Statement::Who::not_principal && s.principal.excepts(*r.principal))
    return "NotPrincipal exempts the caller";
  return failed_condition(s, source, r);
}

}  // namespace

std::vector<ExplainedStatement> explain_statements(const Call& call, const Target& target,
                                                   const IdentityPolicies& policies) {
  const RequestContext context(call, target, policies);
  const std::string action = lower(target.action);
  const PolicyRequest request{action, target.resource, &call.principal, &context};
  std::vector<ExplainedStatement> out;
  each_policy(call, target, policies, [&](const Policy& policy, const char* kind, const std::string& name) {
    if (!policy.error.empty()) {
      out.push_back({kind, name, "", true, true,
                     "the policy cannot be read and denies everything: " + policy.error, policy.source});
      return;
    }
    for (const auto& s : policy.statements) {
      const json::Value& source = statement_source(policy, s.index);
      ExplainedStatement e{kind, name,  s.sid.empty() ? std::to_string(s.index) : s.sid, s.deny, false,
                           "",   source};
      Named named = Named::no;
      e.applies = applies(s, request, named);
      if (!e.applies) e.reason = why_not(s, source, request);
      out.push_back(std::move(e));
    }
  });
  return out;
}

std::vector<std::string> missing_keys(const Call& call, const Target& target,
                                      const IdentityPolicies& policies) {
  const RequestContext context(call, target, policies);
  std::set<std::string> out;
  each_policy(call, target, policies, [&](const Policy& policy, const char*, const std::string&) {
    for (const auto& s : policy.statements) {
      const json::Value& source = statement_source(policy, s.index);
      std::vector<std::string> names;
      for (const auto& [op, keys] : source.get_object("Condition")) {
        for (const auto& [key, values] : keys.is_object() ? keys.object() : json::Object{})
          names.push_back(key);
      }
      for (size_t i = 0; i < s.conditions.size() && i < names.size(); ++i) {
        std::vector<std::string> found;
        context.find(s.conditions[i].key(), found);
        if (found.empty()) out.insert(names[i]);
      }
    }
  });
  return {out.begin(), out.end()};
}

}  // namespace bastide::aws
