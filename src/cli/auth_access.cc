// auth request, requests, approve, deny, revoke, audit, why.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "cli/auth.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/table.h"

namespace bastide::cli {
namespace {

std::string time_of(const json::Value& v, const char* member) {
  const json::Value* t = v.find(member);
  return t && t->is_number() ? iso8601(static_cast<Millis>(t->number() * 1000) / 1000 * 1000) : "";
}

// "90m", "2h", "1d", or seconds.
Result<int64_t> duration_of(const std::string& text) {
  int64_t unit = 1;
  std::string_view digits = text;
  if (!text.empty()) {
    const char last = text.back();
    unit = last == 'm' ? 60 : last == 'h' ? 3600 : last == 'd' ? 86'400 : 1;
    if (unit > 1 || last == 's') digits.remove_suffix(1);
  }
  const auto count = parse_int(digits);
  if (!count || *count <= 0 || *count > 1'000'000)
    return error("Invalid", "'" + text + "' is not a time like 30m, 2h or 1d");
  return *count * unit;
}

// Whose credentials decide: the profile that was named; else the session's user, and where that may not, the
// first of its administrator's roles that may, the management account's before the others; else the home's
// own.
Result<json::Value> call(Context& context, const std::string& profile, const char* operation,
                         const json::Value& input) {
  if (!profile.empty()) return context.call(profile, "bastide", operation, input);
  Login login(context);
  const auto session = TRY(login.current());
  if (!session || session->credentials.expires_at <= Clock::system().wall())
    return context.call("operator", "bastide", operation, input);
  auto answer = context.call("me", "bastide", operation, input);
  if (answer || answer.error().code != "AccessDeniedException") return answer;
  auto roles = login.roles();
  if (!roles) return answer;
  std::stable_partition(roles->begin(), roles->end(),
                        [](const RoleProfile& r) { return r.account_name == "management"; });
  for (const auto& r : *roles) {
    if (!r.name.ends_with("-admin")) continue;
    auto other = context.call(r.name, "bastide", operation, input);
    if (other || other.error().code != "AccessDeniedException") return other;
  }
  return answer;
}

void print_request(const json::Value& answer) {
  const json::Value* r = answer.find("request");
  if (!r) return;
  const std::string ends = time_of(*r, "endsAt");
  std::printf("%s  %s  %s for %s%s\n", r->get("requestId").c_str(), r->get("state").c_str(),
              r->get("roleArn").c_str(), r->get("userArn").c_str(),
              ends.empty() ? "" : (" until " + ends).c_str());
}

// ROLE is an ARN, or a name like stage-admin.
Result<std::string> role_arn(Context& context, const std::string& role) {
  if (role.starts_with("arn:")) return role;
  Login login(context);
  const auto session = TRY(login.current());
  if (session) {
    const auto known = login.role(role);
    if (known) return known->role_arn;
  }
  const auto profile = context.profile(role);
  if (profile && !profile->role_arn.empty()) return profile->role_arn;
  return error(
      "NotFound",
      "'" + role + "' is no role that is known here; give its ARN, as arn:aws:iam::ACCOUNT:role/NAME");
}

// A profile that leads into the account of an ARN; empty: none is known.
Result<std::string> profile_into(Context& context, const std::string& arn) {
  const auto parts = split(arn, ':');
  const std::string account(parts.size() > 4 ? parts[4] : std::string_view());
  Login login(context);
  const auto roles = login.roles();
  for (const char* wanted : {"admin", "developer", "readonly"}) {
    for (const auto& r : roles ? roles.value() : std::vector<RoleProfile>()) {
      if (r.account == account && r.name.ends_with(wanted)) return r.name;
    }
  }
  const auto profiles = TRY(context.profiles());
  for (const auto& p : profiles) {
    if (p.account == account && !p.role_arn.empty()) return p.name;
  }
  return std::string();
}

Result<int> run_request(Context& context, const Arguments& a) {
  std::string role = a.get("ROLE");
  if (!role.starts_with("arn:")) {
    const auto known = role_arn(context, role);
    if (!known)
      return error("Invalid", "name the role by its ARN, as arn:aws:iam::ACCOUNT:role/bastide-admin");
    role = *known;
  }
  const int64_t seconds = TRY(duration_of(a.get("--for")));
  const auto answer = TRY(context.call(
      "me", "bastide", "CreateAccessRequest",
      json::object({{"roleArn", role}, {"reason", a.get("--reason")}, {"durationSeconds", seconds}})));
  print_request(answer);
  return 0;
}

Result<int> run_requests(Context& context, const Arguments& a) {
  json::Value input = json::object();
  if (!a.get("--state").empty()) input["state"] = a.get("--state");
  const auto answer = TRY(call(context, a.get("--profile"), "ListAccessRequests", input));
  if (a.flag("--json")) {
    std::printf("%s", json::pretty(answer).c_str());
    return 0;
  }
  Table table({"REQUEST", "STATE", "WHO", "ROLE", "ENDS", "REASON"});
  for (const auto& r : answer.get_array("requests")) {
    const std::string user = r.get("userArn");
    table.add({r.get("requestId"), r.get("state"), user.substr(user.rfind('/') + 1), r.get("roleArn"),
               time_of(r, "endsAt"), r.get("reason")});
  }
  std::printf("%s", table.text().c_str());
  return 0;
}

Result<int> decide(Context& context, const Arguments& a, const char* operation) {
  json::Value input = json::object({{"requestId", a.get("REQUEST")}});
  if (!a.get("--reason").empty()) input["reason"] = a.get("--reason");
  if (!a.get("--for").empty()) input["durationSeconds"] = TRY(duration_of(a.get("--for")));
  const auto answer = TRY(call(context, a.get("--profile"), operation, input));
  print_request(answer);
  return 0;
}

Result<int> run_audit(Context& context, const Arguments& a) {
  json::Value input = json::object();
  const std::pair<const char*, const char*> texts[] = {
      {"--who", "principal"}, {"--operation", "operation"}, {"--account", "account"}};
  for (const auto& [option, member] : texts) {
    if (!a.get(option).empty()) input[member] = a.get(option);
  }
  if (a.flag("--denied")) input["denied"] = true;
  if (!a.get("--since").empty()) {
    const auto ago = duration_of(a.get("--since"));
    const auto at =
        ago ? Result<Millis>(Clock::system().wall() - *ago * 1000) : parse_iso8601(a.get("--since"));
    if (!at) return error("Invalid", "--since is a time like 2h or 2026-11-22T10:00:00Z");
    input["since"] = static_cast<double>(*at) / 1000;
  }
  int64_t left = TRY(parse_int(a.get("--limit")));
  while (left > 0) {
    input["maxResults"] = std::min<int64_t>(left, 100);
    const auto page = TRY(call(context, a.get("--profile"), "ListAuditEvents", input));
    for (const auto& e : page.get_array("events")) {
      if (a.flag("--json")) {
        std::printf("%s\n", json::print(e).c_str());
      } else {
        const std::string by = e.get("assumedBy");
        std::printf("%s  %s  %s.%s  %s%s  %s%s%s\n", time_of(e, "time").c_str(),
                    e.get("account", "-").c_str(), e.get("service").c_str(), e.get("operation").c_str(),
                    e.get("principal", "nobody").c_str(), by.empty() ? "" : (" (" + by + ")").c_str(),
                    e.get_bool("allowed") ? "allowed" : "DENIED",
                    e.get("errorCode").empty() ? "" : (" " + e.get("errorCode")).c_str(),
                    e.get("sourceIp").empty() ? "" : ("  from " + e.get("sourceIp")).c_str());
      }
      --left;
    }
    if (!page.has("nextToken")) break;
    input["nextToken"] = page.get("nextToken");
  }
  return 0;
}

// Everything that has a say, in the order of evaluation. Status 2 where the answer is no.
Result<int> run_why(Context& context, const Arguments& a) {
  const std::string role = TRY(role_arn(context, a.get("ROLE")));
  json::Value input =
      json::object({{"principal", role}, {"action", a.get("ACTION")}, {"resource", a.get("RESOURCE")}});
  std::map<std::string, json::Array> entries;
  for (const auto& pair : a.all("--context")) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) return error("Invalid", "--context is KEY=VALUE");
    entries[pair.substr(0, equals)].emplace_back(pair.substr(equals + 1));
  }
  json::Array all;
  for (auto& [key, values] : entries)
    all.push_back(json::object({{"key", key}, {"values", std::move(values)}}));
  if (!all.empty()) input["context"] = std::move(all);
  // Who may see the policies of an account is who may look into it.
  std::string profile = a.get("--profile");
  if (profile.empty()) profile = TRY(profile_into(context, role));
  const auto answer = TRY(call(context, profile, "ExplainAccess", input));
  if (a.flag("--json")) {
    std::printf("%s", json::pretty(answer).c_str());
    return answer.get_bool("allowed") ? 0 : 2;
  }
  const bool allowed = answer.get_bool("allowed");
  std::printf("%s: %s\n",
              bold(allowed                           ? "Allowed"
                   : answer.get_bool("explicitDeny") ? "Denied by a statement"
                                                     : "Denied: nothing allows it")
                  .c_str(),
              allowed ? ("by " + answer.get("policyKind") + " " + answer.get("statement")).c_str()
                      : answer.get("message").c_str());
  const std::pair<const char*, const char*> says[] = {{"service control policies", "controlAllows"},
                                                      {"the resource's policy", "resourceAllows"},
                                                      {"the permissions boundary", "boundaryAllows"},
                                                      {"identity policies", "identityAllows"}};
  for (const auto& [what, member] : says)
    std::printf("  %-26s %s\n", what, answer.get_bool(member) ? "allow" : "do not allow");
  std::string policy;
  for (const auto& s : answer.get_array("statements")) {
    const std::string name = s.get("policyKind") + " " + s.get("policy");
    if (name != policy) std::printf("\n%s\n", name.c_str());
    policy = name;
    std::printf("  %s %s #%s%s\n", s.get_bool("applies") ? "*" : "-", s.get("effect").c_str(),
                s.get("statement").c_str(),
                s.get_bool("applies") ? " applies" : (": " + s.get("reason")).c_str());
    if (a.flag("--text")) std::printf("      %s\n", s.get("text").c_str());
  }
  if (answer.get_array("statements").empty()) std::printf("\nNo policy has a say.\n");
  return allowed ? 0 : 2;
}

const Option kProfile{"--profile", Option::Kind::value,
                      "Whose credentials; else the session's, else the home's"};
const Option kRequest{"REQUEST", Option::Kind::positional, "Its id, as 'auth requests' shows it", "", true};
const Option kReason{"--reason", Option::Kind::value, "Why"};

}  // namespace

Command auth_request_command() {
  return {"auth request",
          "Asks for a role for a time",
          "bastide auth request arn:aws:iam::111122223333:role/bastide-admin --reason 'incident 42' --for 2h",
          {{"ROLE", Option::Kind::positional, "Its ARN", "", true},
           {"--reason", Option::Kind::value, "Why", "", true},
           {"--for", Option::Kind::value, "How long: 30m, 2h, 1d", "1h"}},
          run_request};
}
Command auth_requests_command() {
  return {"auth requests",
          "Requests for access: yours, and those you may decide",
          "bastide auth requests --state PENDING",
          {{"--state", Option::Kind::value, "PENDING, APPROVED, DENIED, ENDED, REVOKED or EXPIRED"},
           {"--json", Option::Kind::flag, "As JSON"},
           kProfile},
          run_requests};
}
Command auth_approve_command() {
  return {"auth approve",
          "Grants a request; the access ends by itself",
          "bastide auth approve ar-0123456789abcdef --profile stage-admin",
          {kRequest, kReason, {"--for", Option::Kind::value, "A shorter time than asked for"}, kProfile},
          [](Context& c, const Arguments& a) { return decide(c, a, "ApproveAccessRequest"); }};
}
Command auth_deny_command() {
  return {"auth deny",
          "Refuses a request",
          "bastide auth deny ar-0123456789abcdef --reason 'not now'",
          {kRequest, kReason, kProfile},
          [](Context& c, const Arguments& a) { return decide(c, a, "DenyAccessRequest"); }};
}
Command auth_revoke_command() {
  return {"auth revoke",
          "Ends granted access before its time, with its sessions",
          "bastide auth revoke ar-0123456789abcdef",
          {kRequest, kReason, kProfile},
          [](Context& c, const Arguments& a) { return decide(c, a, "RevokeAccessRequest"); }};
}
Command auth_audit_command() {
  return {"auth audit",
          "Who did what, newest first",
          "bastide auth audit --who alice --denied --since 2h",
          {{"--who", Option::Kind::value, "Part of the principal's ARN"},
           {"--operation", Option::Kind::value, "As AssumeRole"},
           {"--account", Option::Kind::value, "An account's id"},
           {"--denied", Option::Kind::flag, "What was refused only"},
           {"--since", Option::Kind::value, "2h, or a time"},
           {"--limit", Option::Kind::value, "At most so many", "50"},
           {"--json", Option::Kind::flag, "One JSON object a line"},
           kProfile},
          run_audit};
}
Command auth_why_command() {
  return {"auth why",
          "Why a role may do something, or may not: statement by statement",
          "bastide auth why stage-developer s3:GetObject arn:aws:s3:::bucket/key",
          {{"ROLE", Option::Kind::positional, "A role's or user's ARN, or a profile", "", true},
           {"ACTION", Option::Kind::positional, "As kms:Decrypt", "", true},
           {"RESOURCE", Option::Kind::positional, "An ARN, or *", "", true},
           {"--context", Option::Kind::values, "A condition key of the request, KEY=VALUE"},
           {"--text", Option::Kind::flag, "With each statement's text"},
           {"--json", Option::Kind::flag, "As JSON"},
           kProfile},
          run_why};
}

}  // namespace bastide::cli
