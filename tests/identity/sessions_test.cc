#include "home.h"
#include "services/iam/secrets.h"

namespace bastide {
namespace {

namespace iam = model::iam::op;
namespace sts = model::sts::op;

class Sessions : public Home {
 protected:
  void SetUp() override {
    Home::SetUp();
    const auto made = run<iam::CreateUser>(root(), {{}, "alice"});
    const auto key = run<iam::CreateAccessKey>(root(), {"alice"});
    ASSERT_TRUE(made && key);
    alice_ = call_as(principal(key->access_key.access_key_id));
  }
  std::string make_role(const std::string& name, const std::string& trust_policy,
                        const std::string& policy = kAllowAll) {
    auto role = run<iam::CreateRole>(root(), {{}, name, trust_policy});
    EXPECT_TRUE(role) << role.error().message;
    EXPECT_TRUE(run<iam::PutRolePolicy>(root(), {name, "p", policy}));
    return role ? role->role.arn : "";
  }
  std::string alice_arn() { return "\"AWS\":\"" + alice_.principal.arn + "\""; }
  aws::Call alice_;
};

TEST_F(Sessions, ARoleIsAssumedAndItsSessionIsWhoItSays) {
  const auto arn = make_role("deploy", trust(alice_arn()));
  const auto out = MUST(run<sts::AssumeRole>(alice_, {arn, "s1"}));
  const auto p = principal(out.credentials->access_key_id, out.credentials->session_token);
  EXPECT_EQ(p.arn, "arn:aws:sts::" + account_ + ":assumed-role/deploy/s1");
  const auto who = MUST(run<sts::GetCallerIdentity>(call_as(p), {}));
  EXPECT_EQ(who.arn, p.arn);
  EXPECT_EQ(*who.user_id, out.assumed_role_user->assumed_role_id);
  MUST(run<iam::ListUsers>(call_as(p), {}));
  EXPECT_EQ(*MUST(run<sts::GetAccessKeyInfo>(alice_, {out.credentials->access_key_id})).account, account_);
}

TEST_F(Sessions, ASessionEndsWithItsTimeItsRoleAndItsTokenAlone) {
  const auto arn = make_role("deploy", trust(alice_arn()));
  const auto c = *MUST(run<sts::AssumeRole>(alice_, {arn, "s1"})).credentials;
  EXPECT_FAULT(sts_->identify(c.access_key_id, ""), "InvalidClientTokenId");
  EXPECT_FAULT(sts_->identify(c.access_key_id, c.session_token + "AAAA"), "InvalidClientTokenId");
  const auto other = *MUST(run<sts::AssumeRole>(alice_, {arn, "s2"})).credentials;
  EXPECT_FAULT(sts_->identify(other.access_key_id, c.session_token), "InvalidClientTokenId");
  MUST(sts_->identify(c.access_key_id, c.session_token));
  MUST(run<iam::DeleteRolePolicy>(root(), {"deploy", "p"}));
  MUST(run<iam::DeleteRole>(root(), {"deploy"}));
  EXPECT_FAULT(sts_->identify(c.access_key_id, c.session_token), "InvalidClientTokenId");
  make_role("deploy", trust(alice_arn()));  // the same name is not the same role
  EXPECT_FAULT(sts_->identify(c.access_key_id, c.session_token), "InvalidClientTokenId");
  const auto fresh = *MUST(run<sts::AssumeRole>(alice_, {arn, "s3"})).credentials;
  MUST(sts_->identify(fresh.access_key_id, fresh.session_token));
  clock_.advance(kHour + 1);
  EXPECT_FAULT(sts_->identify(fresh.access_key_id, fresh.session_token), "ExpiredToken");
}

TEST_F(Sessions, ATokenOutlivesARestart) {
  const auto arn = make_role("deploy", trust(alice_arn()));
  const auto c = *MUST(run<sts::AssumeRole>(alice_, {arn, "s1"})).credentials;
  start();
  EXPECT_EQ(principal(c.access_key_id, c.session_token).name, "deploy");
}

TEST_F(Sessions, TrustIsEnforced) {
  const auto arn = make_role("deploy", trust("\"AWS\":\"arn:aws:iam::" + account_ + ":user/bob\""));
  const auto denied = run<sts::AssumeRole>(alice_, {arn, "s1"});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().message,
            "User: " + alice_.principal.arn + " is not authorized to perform: sts:AssumeRole on " +
                "resource: " + arn + " because no role trust policy allows the sts:AssumeRole action");
  EXPECT_FAULT(run<sts::AssumeRole>(alice_, {"arn:aws:iam::" + account_ + ":role/none", "s1"}),
               "AccessDenied");
  EXPECT_FAULT(run<sts::AssumeRole>(root(), {make_role("open", trust("\"AWS\":\"" + account_ + "\"")), "s1"}),
               "AccessDenied");
}

TEST_F(Sessions, ExternalIdAndDurationsAreEnforced) {
  const auto arn =
      make_role("vendor", trust(alice_arn(), R"(,"Condition":{"StringEquals":{"sts:ExternalId":"42"}})"));
  sts::AssumeRole::Request q{arn, "s1"};
  EXPECT_FAULT(run<sts::AssumeRole>(alice_, q), "AccessDenied");
  q.external_id = "42";
  MUST(run<sts::AssumeRole>(alice_, q));
  q.duration_seconds = 7200;
  EXPECT_FAULT(run<sts::AssumeRole>(alice_, q), "ValidationError");
  MUST(run<iam::UpdateRole>(root(), {"vendor", {}, 43200}));
  MUST(run<sts::AssumeRole>(alice_, q));
}

TEST_F(Sessions, RoleChainingIsLimitedToAnHour) {
  const auto first = make_role("first", trust(alice_arn()));
  const auto second = make_role("second", trust("\"AWS\":\"" + first + "\""));
  MUST(run<iam::UpdateRole>(root(), {"second", {}, 43200}));
  const auto c = *MUST(run<sts::AssumeRole>(alice_, {first, "s1"})).credentials;
  const auto chained = call_as(principal(c.access_key_id, c.session_token));
  sts::AssumeRole::Request q{second, "s2"};
  q.duration_seconds = 7200;
  EXPECT_FAULT(run<sts::AssumeRole>(chained, q), "ValidationError");
  q.duration_seconds = 3600;
  MUST(run<sts::AssumeRole>(chained, q));
}

TEST_F(Sessions, ASessionPolicyLimitsTheSession) {
  const auto arn = make_role("deploy", trust(alice_arn()));
  sts::AssumeRole::Request q{arn, "s1"};
  q.policy = allow("iam:ListUsers");
  const auto c = *MUST(run<sts::AssumeRole>(alice_, q)).credentials;
  const auto limited = call_as(principal(c.access_key_id, c.session_token));
  MUST(run<iam::ListUsers>(limited, {}));
  EXPECT_FAULT(run<iam::ListRoles>(limited, {}), "AccessDenied");
}

TEST_F(Sessions, MfaIsAskedForAndACodeCountsOnce) {
  const auto device = MUST(run<iam::CreateVirtualMFADevice>(root(), {{}, "phone"})).virtual_mfa_device;
  // The seed as an authenticator reads it.
  std::string seed;
  uint32_t bits = 0;
  int count = 0;
  for (const char ch : *device.base32_string_seed) {
    bits = (bits << 5) | static_cast<uint32_t>(ch >= 'A' ? ch - 'A' : ch - '2' + 26);
    count += 5;
    if (count >= 8) {
      count -= 8;
      seed += static_cast<char>((bits >> count) & 0xFF);
    }
  }
  const auto code = [&](int64_t ahead) {
    return services::totp(seed, services::totp_step(clock_.wall()) + ahead);
  };
  EXPECT_FAULT(run<iam::EnableMFADevice>(root(), {"alice", device.serial_number, "000000", "000000"}),
               "InvalidAuthenticationCode");
  MUST(run<iam::EnableMFADevice>(root(), {"alice", device.serial_number, code(-1), code(0)}));
  const auto arn = make_role(
      "admin", trust(alice_arn(), R"(,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}})"));
  sts::AssumeRole::Request q{arn, "s1"};
  EXPECT_FAULT(run<sts::AssumeRole>(alice_, q), "AccessDenied");
  q.serial_number = device.serial_number;
  q.token_code = code(0);  // spent by enabling
  EXPECT_FAULT(run<sts::AssumeRole>(alice_, q), "AccessDenied");
  clock_.advance(60 * kSecond);
  q.token_code = code(0);
  MUST(run<sts::AssumeRole>(alice_, q));
  EXPECT_FAULT(run<sts::AssumeRole>(alice_, q), "AccessDenied");
  clock_.advance(60 * kSecond);
  sts::GetSessionToken::Request session;
  session.serial_number = device.serial_number;
  session.token_code = code(0);
  const auto c = *MUST(run<sts::GetSessionToken>(alice_, session)).credentials;
  const auto with_mfa = call_as(principal(c.access_key_id, c.session_token));
  EXPECT_TRUE(with_mfa.principal.mfa);
  MUST(run<sts::AssumeRole>(with_mfa, {arn, "s2"}));
}

TEST_F(Sessions, TagsTravelWhenTransitive) {
  const std::string tagging =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Principal":{"AWS":")" +
      account_ + "\"}}]}";
  const auto first = make_role("first", tagging);
  const auto second = make_role("second", tagging);
  MUST(run<iam::PutUserPolicy>(root(), {"alice", "p", allow("sts:*")}));
  sts::AssumeRole::Request q{first, "s1"};
  q.tags = {{"team", "red"}, {"job", "7"}};
  q.transitive_tag_keys = {"team"};
  const auto c = *MUST(run<sts::AssumeRole>(alice_, q)).credentials;
  const auto one = call_as(principal(c.access_key_id, c.session_token));
  // Beside those that this house keeps for itself, which nobody may pass.
  const auto own = [](const aws::Principal& p) {
    auto tags = p.session_tags;
    std::erase_if(tags, [](const auto& t) { return t.first.starts_with("aws:"); });
    return tags;
  };
  EXPECT_EQ(own(one.principal).size(), 2u);
  const auto d = *MUST(run<sts::AssumeRole>(one, {second, "s2"})).credentials;
  const auto two = principal(d.access_key_id, d.session_token);
  ASSERT_EQ(own(two).size(), 1u);
  EXPECT_EQ(own(two)[0].first, "team");
  EXPECT_EQ(aws::origin_of(two), alice_.principal.arn);
  for (const char* reserved : {"aws:AssumedBy", "AWS:anything"}) {
    q.tags = std::vector<model::sts::Tag>{{reserved, "arn:aws:iam::111122223333:user/somebody-else"}};
    q.transitive_tag_keys.reset();
    EXPECT_FAULT(run<sts::AssumeRole>(alice_, q), "ValidationError");
  }
}

TEST_F(Sessions, RemovingAUserEndsTheRolesThatItAssumed) {
  const auto first = make_role("first", trust("\"AWS\":\"" + account_ + "\""));
  MUST(run<iam::PutUserPolicy>(root(), {"alice", "p", allow("sts:AssumeRole")}));
  const auto c = *MUST(run<sts::AssumeRole>(alice_, {first, "s1"})).credentials;
  const auto second = make_role("second", trust("\"AWS\":\"" + account_ + "\""));
  const auto d =
      *MUST(run<sts::AssumeRole>(call_as(principal(c.access_key_id, c.session_token)), {second, "s2"}))
           .credentials;
  MUST(sts_->identify(d.access_key_id, d.session_token));
  MUST(run<iam::DeleteUserPolicy>(root(), {"alice", "p"}));
  const auto keys = MUST(run<iam::ListAccessKeys>(root(), {"alice"}));
  MUST(run<iam::DeleteAccessKey>(root(), {"alice", *keys.access_key_metadata[0].access_key_id}));
  MUST(run<iam::DeleteUser>(root(), {"alice"}));
  EXPECT_FAULT(sts_->identify(c.access_key_id, c.session_token), "InvalidClientTokenId");
  EXPECT_FAULT(sts_->identify(d.access_key_id, d.session_token), "InvalidClientTokenId");
  // Another user of the same name is somebody else.
  MUST(run<iam::CreateUser>(root(), {{}, "alice"}));
  EXPECT_FAULT(sts_->identify(d.access_key_id, d.session_token), "InvalidClientTokenId");
}

TEST_F(Sessions, TheServiceThatIsTrustedGetsASessionAndNoOther) {
  const auto arn = make_role("task", trust(R"("Service":"ecs-tasks.amazonaws.com")"));
  const auto c = MUST(sts_->mint_role_session(arn, "task-1", kHour, "ecs-tasks.amazonaws.com"));
  EXPECT_EQ(principal(c.access_key_id, c.session_token).name, "task");
  EXPECT_FAULT(sts_->mint_role_session(arn, "task-1", kHour, "ec2.amazonaws.com"), "AccessDenied");
  EXPECT_FAULT(run<sts::AssumeRole>(alice_, {arn, "s1"}), "AccessDenied");
}

TEST_F(Sessions, ADenialIsDecodedInItsOwnAccountOnly) {
  const auto encoded = sts_->encode_authorization_message(account_, json::object({{"allowed", false}}));
  EXPECT_EQ(*MUST(run<sts::DecodeAuthorizationMessage>(root(), {encoded})).decoded_message,
            R"({"allowed":false})");
  EXPECT_FAULT(run<sts::DecodeAuthorizationMessage>(call_as(aws::Principal::root("999999999999")), {encoded}),
               "InvalidAuthorizationMessageException");
}

}  // namespace
}  // namespace bastide
