#include "aws/authorize.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/bytes.h"

namespace bastide::aws {
namespace {

constexpr const char* kAccount = "111122223333";
constexpr Millis kNow = 1'790'000'000'000;  // 2026-09-21T14:13:20Z

Principal principal_of(const json::Value& v) {
  Principal p;
  const std::string kind = v.get("kind", "user");
  p.account = v.get("account", kAccount);
  p.name = v.get("name", "alice");
  if (kind == "root") p = Principal::root(p.account);
  if (kind == "service") p = Principal::service(p.name);
  if (kind == "user") {
    p.kind = Principal::Kind::user;
    p.arn = "arn:aws:iam::" + p.account + ":user/" + p.name;
    p.id = "AIDAEXAMPLE0000000001";
  }
  if (kind == "role") {
    p.kind = Principal::Kind::assumed_role;
    p.role_arn = "arn:aws:iam::" + p.account + ":role/" + p.name;
    p.arn = "arn:aws:sts::" + p.account + ":assumed-role/" + p.name + "/session";
    p.id = "AROAEXAMPLE0000000001:session";
    p.issued_at = kNow - 600'000;
  }
  if (kind == "federated") {
    p.kind = Principal::Kind::federated_user;
    p.arn = v.get("arn");
    p.account = v.get("account");
  }
  if (v.get_bool("temporary")) p.issued_at = kNow - 600'000;
  if (v.has("mfa_seconds")) {
    p.mfa = true;
    p.mfa_at = kNow - v.get_int("mfa_seconds") * 1000;
  }
  p.source_identity = v.get("source_identity");
  for (const auto& [key, value] : v.get_object("tags")) p.tags.emplace_back(key, value.string());
  for (const auto& [key, value] : v.get_object("session_tags"))
    p.session_tags.emplace_back(key, value.string());
  return p;
}

json::Value whole(
    const json::Value& v) {  // a bare statement, or a list of them, is a document of today's version
  if (v.has("Statement")) return v;
  return json::object({{"Version", "2012-10-17"}, {"Statement", v}});
}

void run_case(const json::Value& c) {
  SCOPED_TRACE(c.get("name"));
  const json::Value none = json::object();
  const auto part = [&](const char* name) -> const json::Value& {
    return c.find(name) ? *c.find(name) : none;
  };
  Call call;
  call.principal = principal_of(part("principal"));
  for (const auto& s : c.get_array("session")) call.principal.session_policies.emplace_back(whole(s));
  call.account = call.principal.account.empty() ? kAccount : call.principal.account;
  call.region = part("call").get("region", "us-east-1");
  call.source_ip = part("call").get("source_ip");
  call.user_agent = part("call").get("user_agent");
  call.secure = part("call").get_bool("secure");
  call.now = kNow;
  Target target;
  target.action = c.get("action", "s3:GetObject");
  target.resource = c.get("resource", "arn:aws:s3:::bucket/key");
  target.owner = c.get("owner");
  target.granted = c.get_bool("granted");
  if (c.get("mode") == "resource_only") target.mode = PolicyMode::resource_only;
  if (const auto* p = c.find("resource_policy")) target.policy = whole(*p);
  for (const auto& [key, value] : part("context").is_object() ? part("context").object() : json::Object{}) {
    if (value.is_array()) {
      for (const auto& v : value.array()) target.context.emplace_back(key, v.string());
    } else {
      target.context.emplace_back(key, value.string());
    }
  }
  IdentityPolicies policies;
  for (const auto& p : c.get_array("identity")) policies.identity.push_back({"policy", whole(p)});
  if (const auto* p = c.find("boundary")) policies.boundary = NamedPolicy{"boundary", whole(*p)};
  for (const auto& level : c.get_array("control")) {
    policies.control.emplace_back();
    for (const auto& p : level.array()) policies.control.back().push_back({"scp", whole(p)});
  }
  const Decision d = decide(call, target, policies);
  const std::string expected = c.get("expect");
  const std::string got = d.allowed ? "allow" : d.explicit_deny ? "explicit" : "implicit";
  EXPECT_EQ(got, expected) << d.message;
  if (c.has("message")) {
    EXPECT_EQ(d.message, c.get("message"));
  }
  if (c.has("statement")) {
    EXPECT_EQ(d.statement, c.get("statement"));
  }
}

TEST(Authorize, PolicyCases) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(POLICY_CASES)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    auto cases = json::parse(text.str());
    ASSERT_TRUE(cases.ok()) << entry.path() << ": " << cases.error().message;
    SCOPED_TRACE(entry.path().filename().string());
    for (const auto& c : cases->array()) {
      run_case(c);
      ++count;
    }
  }
  printf("%zu cases\n", count);
  EXPECT_GE(count, 300u);
}

TEST(Authorize, ADocumentThatCannotBeCompiledDeniesEverything) {
  Call call;
  call.principal = Principal::root(kAccount);
  call.account = kAccount;
  Target target;
  target.action = "s3:GetObject";
  target.policy = json::Value("nonsense");
  EXPECT_TRUE(decide(call, target, {}).explicit_deny);
}

TEST(Authorize, OneDecisionWithTenPoliciesTakesMicroseconds) {
  IdentityPolicies policies;
  for (int i = 0; i < 10; ++i) {
    json::Value statements = json::array();
    for (int s = 0; s < 3; ++s) {
      statements.push(json::object(
          {{"Effect", "Allow"},
           {"Action", json::array({"kms:Encrypt", "kms:Decrypt", "s3:Get*", "logs:*", "ecs:Describe*"})},
           {"Resource",
            "arn:aws:logs:us-east-1:111122223333:log-group:app-" + std::to_string(i * 3 + s) + "*"}}));
    }
    policies.identity.push_back({"p", json::object({{"Version", "2012-10-17"}, {"Statement", statements}})});
  }
  Call call;
  call.principal = principal_of(json::object());
  call.account = kAccount;
  Target target;
  target.action = "logs:PutLogEvents";
  target.resource = "arn:aws:logs:us-east-1:111122223333:log-group:app-29";
  constexpr int kRounds = 20'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) ASSERT_TRUE(decide(call, target, policies).allowed);
  const auto took = std::chrono::steady_clock::now() - start;
  const double micros = std::chrono::duration<double, std::micro>(took).count() / kRounds;
  printf("%.2f us a decision\n", micros);
  EXPECT_LT(micros, 100);  // unoptimised and sanitised builds run this too; bench/ holds the figure
}

}  // namespace
}  // namespace bastide::aws
