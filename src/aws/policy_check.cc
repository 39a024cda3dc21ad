// What each kind of policy may contain, beyond the grammar.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_policies.html
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "aws/arn.h"
#include "aws/policy.h"
#include "aws/policy_compiled.h"
#include "base/bytes.h"

namespace bastide::aws {
namespace {

enum class Kind { identity, trust, resource, control };

constexpr size_t kMaxBytes = 131'072;  // AWS's longest policy parameter

Error malformed(std::string message) { return fault("MalformedPolicyDocument", std::move(message), 400); }

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
Result<void> check_resource(const std::string& text) {
  if (text == "*") return {};
  std::vector<std::string_view> parts;
  std::string_view rest = text;
  while (parts.size() < 5) {
    const size_t colon = rest.find(':');
    if (colon == std::string_view::npos) break;
    parts.push_back(rest.substr(0, colon));
    rest.remove_prefix(colon + 1);
  }
  if (parts.empty() || parts[0] != "arn") {
    return malformed(fmt::format("Resource {} must be in ARN format or \"*\".", text));
  }
  if (parts.size() > 1 && parts[1] != "aws" && parts[1] != "*" && parts[1] != "aws-cn" &&
      parts[1] != "aws-us-gov" && parts[1].find('*') == std::string_view::npos) {
    return malformed(fmt::format("Partition \"{}\" is not valid for resource \"{}\".", parts[1], text));
  }
  if (parts.size() > 2 && parts[2].find_first_of("*?") != std::string_view::npos) {
    return malformed(fmt::format("Resource vendor must be fully qualified and cannot contain regexes."));
  }
  // Shorter ARNs are accepted where a wildcard may stand for the segments that are missing.
  if (parts.size() < 5 && rest.find('*') == std::string_view::npos) {
    return malformed("The policy failed legacy parsing");
  }
  if (parts.size() == 5 && parts[2] == "iam" && !parts[3].empty() && parts[3] != "*") {
    return malformed(fmt::format("IAM resource {} cannot contain region information.", text));
  }
  return {};
}

Result<void> check_sid(const std::string& sid, Kind kind) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  // Resource policies may name statements in plain words ("Enable IAM policies").
  if (kind != Kind::resource && !std::all_of(sid.begin(), sid.end(), alphanumeric)) {
    return malformed(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
        "[0-9A-Za-z]*");
  }
  return {};
}

Result<void> for_texts(const json::Value* v, const std::function<Result<void>(const std::string&)>& f) {
  if (!v) return {};
  if (v->is_string()) return f(v->string());
  for (const auto& e : v->array()) TRY(f(e.string()));
  return {};
}

Result<void> check_statement(const json::Value& raw, const Statement& s, Kind kind) {
  TRY(check_sid(s.sid, kind));
  const bool has_principal = s.who != Statement::Who::anyone;
  switch (kind) {
    case Kind::identity:
    case Kind::control:
      if (has_principal) return malformed("Policy document should not specify a principal.");
      if (!s.has_resource) return malformed("Policy statement must contain resources.");
      break;
    case Kind::trust:
      if (s.has_resource) return malformed("Has prohibited field Resource");
      if (!has_principal) return malformed("Missing required field Principal");
      if (s.who == Statement::Who::not_principal && !s.deny) {
        return malformed("Allow with NotPrincipal is not allowed.");
      }
      TRY(for_texts(raw.find("Action"), [](const std::string& action) -> Result<void> {
        if (action == "*" || !lower(action).starts_with("sts:")) {
          return malformed("AssumeRole policy may only specify STS AssumeRole actions.");
        }
        return {};
      }));
      break;
    case Kind::resource:
      if (!has_principal) return malformed("Missing required field Principal");
      break;
  }
  TRY(for_texts(raw.find("Resource"), check_resource));
  TRY(for_texts(raw.find("NotResource"), check_resource));
  return {};
}

Result<PolicyDocument> check(std::string_view text, Kind kind) {
  if (text.empty() || text.size() > kMaxBytes || !valid_utf8(text))
    return malformed("Syntax errors in policy.");
  auto parsed = json::parse(text);
  if (!parsed) return malformed("Syntax errors in policy.");
  if (parsed->is_object() && kind == Kind::identity && parsed->get("Version") != "2012-10-17") {
    const auto* version = parsed->find("Version");
    if (!version || version->is_string()) {
      return malformed("Policy document must be version 2012-10-17 or greater.");
    }
  }
  auto compiled = compile_policy(*parsed);
  if (!compiled) return malformed(compiled.error().message);
  const json::Value& statements = *parsed->find("Statement");
  for (const auto& s : compiled->statements) {
    TRY(check_statement(statements.is_array() ? statements.array()[s.index] : statements, s, kind));
  }
  return PolicyDocument(*parsed);
}

}  // namespace

Result<PolicyDocument> check_identity_policy(std::string_view text) { return check(text, Kind::identity); }
Result<PolicyDocument> check_trust_policy(std::string_view text) { return check(text, Kind::trust); }
Result<PolicyDocument> check_resource_policy(std::string_view text) { return check(text, Kind::resource); }
Result<PolicyDocument> check_scp(std::string_view text) { return check(text, Kind::control); }

size_t policy_size(std::string_view text) {
  return text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
           return c == ' ' || c == '\t' || c == '\n' || c == '\r';
         }));
}

}  // namespace bastide::aws
