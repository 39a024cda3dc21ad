// Why a principal may do something to a resource, or may not: the decision, and each statement's part in it.
#include <fmt/format.h>

#include "access/service.h"
#include "aws/arn.h"
#include "aws/local_client.h"
#include "aws/policy_explain.h"
#include "base/bytes.h"

namespace bastide::access {

namespace {

Error invalid(std::string message) { return fault("ValidationException", std::move(message), 400); }

}  // namespace

// The resource's own policy, where it is of a kind that has one.
Result<aws::PolicyDocument> Access::policy_of_resource(const std::string& text, aws::Target& target) {
  const auto arn = aws::parse_arn(text);
  if (!arn) return aws::PolicyDocument();
  const std::string action = lower(target.action);
  if (arn->service == "iam" && arn->resource.starts_with("role/") && action.starts_with("sts:assumerole")) {
    target.mode = aws::PolicyMode::resource_only;
    const auto role = TRY(n_.identities.role(text));
    return role ? role->trust : aws::PolicyDocument();
  }
  struct Source {
    const char *service, *prefix, *operation, *parameter, *member;
    bool whole_arn;
  };
  static constexpr Source kSources[] = {
      {"kms", "key/", "GetKeyPolicy", "KeyId", "Policy", true},
      {"secretsmanager", "secret:", "GetResourcePolicy", "SecretId", "ResourcePolicy", true},
      {"sns", "", "GetTopicAttributes", "TopicArn", "", true},
      {"s3", "", "GetBucketPolicy", "Bucket", "Policy", false},
      {"ecr", "repository/", "GetRepositoryPolicy", "repositoryName", "policyText", false},
  };
  for (const auto& s : kSources) {
    if (arn->service != s.service || !arn->resource.starts_with(s.prefix)) continue;
    if (arn->service == "kms") target.mode = aws::PolicyMode::resource_only;
    const std::string rest = arn->resource.substr(std::string_view(s.prefix).size());
    const std::string name = s.whole_arn                         ? text
                             : arn->service == std::string("s3") ? rest.substr(0, rest.find('/'))
                                                                 : rest;
    json::Value input = json::object({{s.parameter, name}});
    if (arn->service == "kms") input["PolicyName"] = "default";
    const auto answer =
        n_.client.call(aws::Principal::service("bastide.amazonaws.com"), target.owner,
                       arn->region.empty() ? "us-east-1" : arn->region, s.service, s.operation, input);
    if (!answer) return aws::PolicyDocument();  // there is none
    const std::string policy = arn->service == "sns" && answer->find("Attributes")
                                   ? answer->find("Attributes")->get("Policy")
                                   : answer->get(s.member);
    return policy.empty() ? aws::PolicyDocument() : aws::PolicyDocument::of_text(policy);
  }
  return aws::PolicyDocument();
}

Result<op::ExplainAccess::Response> Access::explain(Call& call, const op::ExplainAccess::Request& q) {
  const auto arn = aws::parse_arn(q.principal);
  if (!arn || arn->service != "iam" || !aws::valid_account_id(arn->account))
    return invalid("principal is the ARN of a role or a user");
  Call asked = call;
  auto& p = asked.principal;
  p = {};
  p.account = arn->account;
  p.name = q.principal.substr(q.principal.rfind('/') + 1);
  if (arn->resource.starts_with("role/")) {
    const auto role = TRY(n_.identities.role(q.principal));
    if (!role) return fault("ResourceNotFoundException", "There is no role " + q.principal);
    p.kind = aws::Principal::Kind::assumed_role;
    p.role_arn = role->arn;
    p.arn = aws::make_arn("sts", "", role->account, "assumed-role/" + role->name + "/explain");
    p.id = role->id + ":explain";
    p.tags = role->tags;
    p.issued_at = call.now;
  } else if (arn->resource.starts_with("user/")) {
    const auto user = TRY(n_.identities.user(arn->account, p.name));
    if (!user || user->arn != q.principal)
      return fault("ResourceNotFoundException", "There is no user " + q.principal);
    p.kind = aws::Principal::Kind::user;
    p.arn = user->arn;
    p.id = user->id;
    p.tags = user->tags;
  } else {
    return invalid("principal is the ARN of a role or a user");
  }
  asked.account = p.account;
  asked.source_ip.clear();
  asked.user_agent.clear();
  if (q.region) asked.region = *q.region;
  aws::Target target;
  target.action = q.action;
  target.resource = q.resource;
  const auto resource = aws::parse_arn(q.resource);
  target.owner = q.resource_account                       ? *q.resource_account
                 : resource && !resource->account.empty() ? resource->account
                                                          : p.account;
  if (!aws::valid_account_id(target.owner)) return invalid("resourceAccount is an account id");
  if (q.context) {
    for (const auto& entry : *q.context) {
      for (const auto& value : entry.values) target.context.emplace_back(entry.key, value);
    }
  }
  target.policy = TRY(policy_of_resource(q.resource, target));
  if (q.resource_policy) {
    auto given = aws::check_resource_policy(*q.resource_policy);
    if (!given) return invalid("resourcePolicy: " + given.error().message);
    target.policy = std::move(given).value();
  }
  const auto policies = TRY(n_.policies.policies_of(p));
  aws::Explanation explanation;
  const auto decision = aws::decide(asked, target, *policies, &explanation);
  op::ExplainAccess::Response out;
  out.allowed = decision.allowed;
  out.explicit_deny = decision.explicit_deny;
  out.policy_kind = decision.policy_kind;
  if (!decision.statement.empty()) out.statement = decision.statement;
  if (!decision.message.empty()) out.message = decision.message;
  out.identity_allows = explanation.identity;
  out.boundary_allows = explanation.boundary;
  out.control_allows = explanation.control;
  out.resource_allows = explanation.resource;
  for (const auto& s : aws::explain_statements(asked, target, *policies)) {
    model::bastide::ExplainedStatement one;
    one.policy_kind = s.policy_kind;
    one.policy = s.policy;
    one.statement = s.statement;
    one.effect = s.deny ? "Deny" : "Allow";
    one.applies = s.applies;
    if (!s.reason.empty()) one.reason = s.reason;
    one.text = json::print(s.source);
    out.statements.push_back(std::move(one));
  }
  return out;
}

}  // namespace bastide::access
