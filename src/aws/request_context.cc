#include "aws/request_context.h"

#include "base/bytes.h"

namespace bastide::aws {
namespace {

const char* type_of(Principal::Kind kind) {
  switch (kind) {
    case Principal::Kind::root:
      return "Account";
    case Principal::Kind::user:
      return "User";
    case Principal::Kind::assumed_role:
      return "AssumedRole";
    case Principal::Kind::federated_user:
      return "FederatedUser";
    case Principal::Kind::service:
      return "Service";
    case Principal::Kind::anonymous:
      return "Anonymous";
  }
  return "Anonymous";
}

const std::string* tag(const Principal& p, const std::string& key) {
  for (const auto* tags : {&p.session_tags, &p.tags}) {
    for (const auto& [name, value] : *tags) {
      if (iequals(name, key)) return &value;
    }
  }
  return nullptr;
}

const char* text(bool b) { return b ? "true" : "false"; }

}  // namespace

void RequestContext::find(const ConditionKey& key, std::vector<std::string>& values) const {
  const Principal& p = call_.principal;
  const auto add = [&](const std::string& v) {
    if (!v.empty()) values.push_back(v);
  };
  // An AssumeRole call may show its MFA itself.
  const auto shown = [&](const std::string& name, std::vector<std::string>& out) {
    for (const auto& [key_name, value] : target_.context) {
      if (iequals(key_name, name)) out.push_back(value);
    }
    return !out.empty();
  };
  const bool temporary = p.issued_at > 0;
  switch (key.global) {
    case GlobalKey::principal_arn:
      return add(p.kind == Principal::Kind::assumed_role ? p.role_arn : p.arn);
    case GlobalKey::principal_account:
      return add(p.account);
    case GlobalKey::principal_type:
      return add(type_of(p.kind));
    case GlobalKey::principal_tag:
      if (const auto* v = tag(p, key.tag)) values.push_back(*v);
      return;
    case GlobalKey::user_id:
      if (p.kind != Principal::Kind::service) add(p.id);
      return;
    case GlobalKey::user_name:
      if (p.kind == Principal::Kind::user) add(p.name);
      return;
    case GlobalKey::source_ip:
      return add(call_.source_ip);
    case GlobalKey::current_time:
      return add(iso8601(call_.now));
    case GlobalKey::epoch_time:
      return add(std::to_string(call_.now / 1000));
    case GlobalKey::secure_transport:
      return add(text(call_.secure));
    case GlobalKey::mfa_present:
      if (shown(key.name, values)) return;
      if (temporary || p.mfa) add(text(p.mfa));
      return;
    case GlobalKey::mfa_age:
      if (shown(key.name, values)) return;
      if (p.mfa) add(std::to_string((call_.now - p.mfa_at) / 1000));
      return;
    case GlobalKey::requested_region:
      return add(call_.region);
    case GlobalKey::token_issue_time:
      if (temporary) add(iso8601(p.issued_at));
      return;
    case GlobalKey::source_identity:
      return add(p.source_identity);
    case GlobalKey::user_agent:
      return add(call_.user_agent);
    case GlobalKey::resource_account:
      return add(target_.owner.empty() ? call_.account : target_.owner);
    case GlobalKey::is_aws_service:
      return add(text(p.kind == Principal::Kind::service));
    case GlobalKey::service_name:
      if (p.kind == Principal::Kind::service) add(p.arn);
      return;
    case GlobalKey::via_aws_service:
    case GlobalKey::other:
      break;
  }
  if (key.name == "aws:sourcearn" && !p.source_arn.empty()) return add(p.source_arn);
  if (key.name == "aws:sourceaccount" && !p.source_account.empty()) return add(p.source_account);
  if (key.name == "aws:referer") return add(call_.referer);
  for (const auto* context : {&target_.context, &policies_.context}) {
    for (const auto& [name, value] : *context) {
      if (iequals(name, key.name)) values.push_back(value);
    }
    if (!values.empty()) return;
  }
  if (key.global == GlobalKey::via_aws_service) values.emplace_back("false");
}

}  // namespace bastide::aws
