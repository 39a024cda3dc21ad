#include "aws/authorize.h"

#include <fmt/format.h>

#include "aws/policy_compiled.h"
#include "aws/request_context.h"
#include "base/bytes.h"

namespace bastide::aws {
namespace {

using Kind = Principal::Kind;

constexpr const char* kControl = "service control policy";
constexpr const char* kBoundary = "permissions boundary";
constexpr const char* kSession = "session policy";
constexpr const char* kIdentity = "identity-based policy";
constexpr const char* kResource = "resource-based policy";
constexpr const char* kTrust = "role trust policy";

std::string statement_name(const std::string& policy, const Statement* s) {
  if (!s) return policy;
  return s->sid.empty() ? fmt::format("{}#{}", policy, s->index) : policy + "#" + s->sid;
}

// One target under evaluation. Denies are collected before anything may allow.
class Evaluation {
 public:
  Evaluation(const Call& call, const Target& target, const IdentityPolicies& policies,
             Explanation* explanation)
      : call_(call),
        target_(target),
        policies_(policies),
        explanation_(explanation),
        context_(call, target, policies),
        action_(lower(target.action)) {
    request_ = {action_, target.resource, &call.principal, &context_};
    owner_ = target.owner.empty() ? std::string_view(call.account) : std::string_view(target.owner);
    resource_kind_ = target.mode == PolicyMode::resource_only && action_.starts_with("sts:assumerole")
                         ? kTrust
                         : kResource;
  }

  Decision run() {
    const Principal& p = call_.principal;
    const bool bound = p.kind != Kind::service && p.kind != Kind::anonymous;
    bool control = true, identity = false, boundary = true, session = true;
    if (bound) {
      for (const auto& level : policies_.control) {
        if (!look(level, kControl)) control = false;
      }
    }
    Verdict resource;
    if (target_.policy) {
      resource = verdict(*target_.policy.get(), resource_kind_, target_.resource);
    }
    if (bound) {
      if (policies_.boundary) boundary = look_one(*policies_.boundary, kBoundary);
      for (size_t i = 0; i < p.session_policies.size(); ++i) {
        if (i == 0) session = false;
        if (look_one({"session policy", p.session_policies[i]}, kSession)) session = true;
      }
      identity = look(policies_.identity, kIdentity);
      if (p.kind == Kind::root) identity = boundary = true;
    }
    if (explanation_) {
      explanation_->identity = identity;
      explanation_->boundary = boundary;
      explanation_->session = session;
      explanation_->control = control;
      explanation_->resource = resource.allowed;
    }
    if (denied_) return deny_explicit();
    if (!control) return deny_implicit(kControl);
    return weigh(resource, identity, boundary, session);
  }

 private:
  // The answer when nothing denies explicitly and every SCP level allows.
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-request-process.html
  Decision weigh(const Verdict& resource, bool identity, bool boundary, bool session) {
    const Principal& p = call_.principal;
    if (target_.granted) return allow("grant", "grant");
    const bool resource_only = target_.mode == PolicyMode::resource_only;
    const auto by_resource = [&] {
      return allow(resource_kind_, statement_name(target_.resource, resource.statement));
    };
    if (p.kind == Kind::anonymous || p.account.empty()) {
      if (resource.allowed) return by_resource();
      if (p.kind == Kind::service && !resource_only) return allow("service-linked role", "");
      return deny_implicit(resource_kind_);
    }
    const bool foreign = p.account != owner_;
    const bool own = identity && boundary && session;
    const auto missing = [&] {
      return deny_implicit(!identity ? kIdentity : !boundary ? kBoundary : kSession);
    };
    if (foreign) {
      if (!own) return missing();
      if (!resource.allowed) return deny_implicit(resource_kind_);
      return by_resource();
    }
    if (resource.allowed && resource.named >= Named::role) {
      if (resource.named == Named::direct) return by_resource();
      if (boundary && session) return by_resource();
      return deny_implicit(!boundary ? kBoundary : kSession);
    }
    if (resource_only && !resource.allowed) return deny_implicit(resource_kind_);
    if (own) {
      if (resource_only) return by_resource();
      return allow(p.kind == Kind::root ? "root user" : kIdentity, allowed_by_);
    }
    return missing();
  }

  Verdict verdict(const Policy& policy, const char* kind, const std::string& name) {
    const Verdict v = evaluate(policy, request_);
    if (v.denied && !denied_) {
      denied_ = true;
      denied_kind_ = kind;
      denied_statement_ = v.statement;
      denied_policy_ = name;
    }
    if (explanation_ && (v.denied || v.allowed)) explain(policy, kind, name);
    return v;
  }

  bool look_one(const NamedPolicy& policy, const char* kind) {
    if (!policy.document) return false;
    const Verdict v = verdict(*policy.document.get(), kind, policy.name);
    if (v.allowed && kind == kIdentity && allowed_by_.empty())
      allowed_by_ = statement_name(policy.name, v.statement);
    return v.allowed;
  }

  bool look(const std::vector<NamedPolicy>& list, const char* kind) {
    bool allowed = false;
    for (const auto& policy : list) {
      if (look_one(policy, kind)) allowed = true;
    }
    return allowed;
  }

  void explain(const Policy& policy, const char* kind, const std::string& name) {
    for (const auto& s : policy.statements) {
      Named named = Named::no;
      if (!applies(s, request_, named)) continue;
      explanation_->matches.push_back({kind, name, s.sid.empty() ? std::to_string(s.index) : s.sid, s.deny});
    }
  }

  Decision allow(const char* kind, std::string statement) {
    Decision d;
    d.allowed = true;
    d.policy_kind = kind;
    d.statement = std::move(statement);
    return d;
  }

  // https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
  std::string who_and_what() const {
    const Principal& p = call_.principal;
    const std::string& who = p.arn.empty() ? std::string("anonymous") : p.arn;
    return fmt::format("User: {} is not authorized to perform: {} on resource: {}", who, target_.action,
                       target_.resource);
  }

  Decision deny_explicit() {
    Decision d;
    d.explicit_deny = true;
    d.policy_kind = denied_kind_;
    d.statement = statement_name(denied_policy_, denied_statement_);
    const std::string_view kind = denied_kind_;
    const char* article = kind == kIdentity ? "an" : kind == kTrust ? "the" : "a";
    d.message = fmt::format("{} with an explicit deny in {} {}", who_and_what(), article, kind);
    return d;
  }

  Decision deny_implicit(const char* kind) {
    Decision d;
    d.policy_kind = kind;
    d.message = fmt::format("{} because no {} allows the {} action", who_and_what(), kind, target_.action);
    return d;
  }

  const Call& call_;
  const Target& target_;
  const IdentityPolicies& policies_;
  Explanation* explanation_;
  RequestContext context_;
  std::string action_;
  PolicyRequest request_;
  std::string_view owner_;
  const char* resource_kind_ = kResource;
  bool denied_ = false;
  const char* denied_kind_ = "";
  const Statement* denied_statement_ = nullptr;
  std::string denied_policy_;
  std::string allowed_by_;
};

}  // namespace

Decision decide(const Call& call, const Target& target, const IdentityPolicies& policies,
                Explanation* explanation) {
  return Evaluation(call, target, policies, explanation).run();
}

json::Value denial_document(const Call& call, const Target& target, const Decision& decision) {
  json::Value items = json::array();
  if (decision.explicit_deny) {
    items.push(json::object(
        {{"statementId", decision.statement}, {"effect", "DENY"}, {"policyKind", decision.policy_kind}}));
  }
  json::Value conditions = json::array();
  for (const auto& [key, value] : target.context) {
    conditions.push(json::object(
        {{"key", key},
         {"values", json::object({{"items", json::array({json::object({{"value", value}})})}})}}));
  }
  return json::object({
      {"allowed", decision.allowed},
      {"explicitDeny", decision.explicit_deny},
      {"matchedStatements", json::object({{"items", std::move(items)}})},
      {"failures", json::object({{"items", json::array()}})},
      {"context",
       json::object({{"principal", json::object({{"id", call.principal.id}, {"arn", call.principal.arn}})},
                     {"action", target.action},
                     {"resource", target.resource},
                     {"conditions", json::object({{"items", std::move(conditions)}})}})},
  });
}

}  // namespace bastide::aws
