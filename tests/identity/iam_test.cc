#include "home.h"

#include <chrono>
#include <set>

#include "services/iam/managed.h"
#include "services/iam/secrets.h"

namespace bastide {
namespace {

namespace op = model::iam::op;
using Iam = Home;

TEST_F(Iam, AUserLivesAndGoesInOrder) {
  const auto made = MUST(run<op::CreateUser>(root(), {"/team/", "Alice"}));
  EXPECT_EQ(made.user->arn, "arn:aws:iam::" + account_ + ":user/team/Alice");
  EXPECT_EQ(made.user->user_id.size(), 21u);
  EXPECT_TRUE(made.user->user_id.starts_with("AIDA"));
  EXPECT_FAULT(run<op::CreateUser>(root(), {{}, "alice"}), "EntityAlreadyExists");
  EXPECT_FAULT(run<op::GetUser>(root(), {"bob"}), "NoSuchEntity");
  MUST(run<op::PutUserPolicy>(root(), {"alice", "p", kAllowAll}));
  EXPECT_FAULT(run<op::DeleteUser>(root(), {"alice"}), "DeleteConflict");
  MUST(run<op::DeleteUserPolicy>(root(), {"alice", "p"}));
  MUST(run<op::CreateGroup>(root(), {{}, "staff"}));
  MUST(run<op::AddUserToGroup>(root(), {"staff", "alice"}));
  EXPECT_FAULT(run<op::DeleteUser>(root(), {"alice"}), "DeleteConflict");
  EXPECT_FAULT(run<op::DeleteGroup>(root(), {"staff"}), "DeleteConflict");
  MUST(run<op::RemoveUserFromGroup>(root(), {"staff", "alice"}));
  MUST(run<op::DeleteUser>(root(), {"alice"}));
  EXPECT_FAULT(run<op::GetUser>(root(), {"alice"}), "NoSuchEntity");
}

TEST_F(Iam, ListsComeInPagesThatCannotBeForged) {
  for (int i = 0; i < 5; ++i)
    MUST(run<op::CreateUser>(root(), {i % 2 ? "/odd/" : "/even/", "u" + std::to_string(i)}));
  std::set<std::string> seen;
  op::ListUsers::Request q;
  q.max_items = 2;
  for (int pages = 0; pages < 3; ++pages) {
    const auto page = MUST(run<op::ListUsers>(root(), q));
    for (const auto& u : page.users) seen.insert(u.user_name);
    EXPECT_EQ(*page.is_truncated, pages < 2);
    q.marker = page.marker;
  }
  EXPECT_EQ(seen.size(), 5u);
  q.marker = "dTE";
  EXPECT_FAULT(run<op::ListUsers>(root(), q), "ValidationError");
  op::ListUsers::Request odd;
  odd.path_prefix = "/odd/";
  EXPECT_EQ(MUST(run<op::ListUsers>(root(), odd)).users.size(), 2u);
}

TEST_F(Iam, AnAccessKeyIdentifiesUntilItIsDisabledOrDeleted) {
  MUST(run<op::CreateUser>(root(), {{}, "alice"}));
  const auto key = MUST(run<op::CreateAccessKey>(root(), {"alice"})).access_key;
  EXPECT_EQ(key.access_key_id.size(), 20u);
  const auto identity = MUST(sts_->identify(key.access_key_id, ""));
  EXPECT_EQ(identity.secret_access_key, key.secret_access_key);
  EXPECT_EQ(identity.principal.arn, "arn:aws:iam::" + account_ + ":user/alice");
  MUST(run<op::CreateAccessKey>(root(), {"alice"}));
  EXPECT_FAULT(run<op::CreateAccessKey>(root(), {"alice"}), "LimitExceeded");
  MUST(run<op::UpdateAccessKey>(root(), {"alice", key.access_key_id, "Inactive"}));
  EXPECT_FAULT(sts_->identify(key.access_key_id, ""), "InvalidClientTokenId");
  MUST(run<op::UpdateAccessKey>(root(), {"alice", key.access_key_id, "Active"}));
  MUST(sts_->identify(key.access_key_id, ""));
  MUST(run<op::DeleteAccessKey>(root(), {"alice", key.access_key_id}));
  EXPECT_FAULT(sts_->identify(key.access_key_id, ""), "InvalidClientTokenId");
  EXPECT_FAULT(sts_->identify("AKIA", ""), "InvalidClientTokenId");
}

TEST_F(Iam, SecretsAreNowhereInTheDatabase) {
  MUST(run<op::CreateUser>(root(), {{}, "alice"}));
  const auto key = MUST(run<op::CreateAccessKey>(root(), {"alice"})).access_key;
  MUST(run<op::CreateLoginProfile>(root(), {"alice", "Planted-Passw0rd-42"}));
  for (const char* name : {"/metadata.sqlite", "/metadata.sqlite-wal"}) {
    const auto bytes = sys::read_file(path_ + name, 1 << 28);
    if (!bytes) continue;
    EXPECT_EQ(bytes->find(key.secret_access_key), std::string::npos);
    EXPECT_EQ(bytes->find("Planted-Passw0rd-42"), std::string::npos);
    EXPECT_EQ(bytes->find(first_.secret_access_key), std::string::npos);
  }
}

TEST_F(Iam, PermissionsComeThroughGroupsVersionsAndEndAtTheBoundary) {
  MUST(run<op::CreateUser>(root(), {{}, "alice"}));
  const auto key = MUST(run<op::CreateAccessKey>(root(), {"alice"})).access_key;
  const auto alice = call_as(principal(key.access_key_id));
  EXPECT_FAULT(run<op::ListUsers>(alice, {}), "AccessDenied");
  const auto policy = *MUST(run<op::CreatePolicy>(root(), {"lists", {}, allow("iam:GetUser")})).policy->arn;
  MUST(run<op::CreateGroup>(root(), {{}, "staff"}));
  MUST(run<op::AttachGroupPolicy>(root(), {"staff", policy}));
  MUST(run<op::AddUserToGroup>(root(), {"staff", "alice"}));
  EXPECT_FAULT(run<op::ListUsers>(alice, {}), "AccessDenied");
  MUST(run<op::CreatePolicyVersion>(root(), {policy, allow("iam:List*"), true}));
  MUST(run<op::ListUsers>(alice, {}));
  MUST(run<op::PutUserPermissionsBoundary>(root(), {"alice", "arn:aws:iam::aws:policy/AmazonS3FullAccess"}));
  const auto denied = run<op::ListUsers>(alice, {});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().message,
            "User: arn:aws:iam::" + account_ + ":user/alice is not authorized to perform: " +
                "iam:ListUsers on resource: arn:aws:iam::" + account_ +
                ":user/ because no permissions boundary allows the iam:ListUsers action");
  MUST(run<op::DeleteUserPermissionsBoundary>(root(), {"alice"}));
  MUST(run<op::ListUsers>(alice, {}));
  EXPECT_FAULT(run<op::DeletePolicy>(root(), {policy}), "DeleteConflict");
}

TEST_F(Iam, AUserWhoMayManageThemselvesCannotRaiseTheirRights) {
  MUST(run<op::CreateUser>(root(), {{}, "alice"}));
  const auto key = MUST(run<op::CreateAccessKey>(root(), {"alice"})).access_key;
  MUST(run<op::PutUserPolicy>(
      root(), {"alice", "self", allow("iam:*AccessKey*", "arn:aws:iam::*:user/${aws:username}")}));
  const auto alice = call_as(principal(key.access_key_id));
  MUST(run<op::ListAccessKeys>(alice, {}));
  MUST(run<op::CreateUser>(root(), {{}, "bob"}));
  EXPECT_FAULT(run<op::CreateAccessKey>(alice, {"bob"}), "AccessDenied");
  EXPECT_FAULT(run<op::PutUserPolicy>(alice, {"alice", "more", kAllowAll}), "AccessDenied");
  EXPECT_FAULT(run<op::AttachUserPolicy>(alice, {"alice", "arn:aws:iam::aws:policy/AdministratorAccess"}),
               "AccessDenied");
}

TEST_F(Iam, PasswordsFollowTheRulesAndAreChangedByTheirOwner) {
  MUST(run<op::CreateUser>(root(), {{}, "alice"}));
  EXPECT_FAULT(run<op::CreateLoginProfile>(root(), {"alice", "short"}), "PasswordPolicyViolation");
  MUST(run<op::CreateLoginProfile>(root(), {"alice", "Correct-Horse-1"}));
  EXPECT_TRUE(MUST(iam_->verify_password(account_, "alice", "Correct-Horse-1")));
  EXPECT_FALSE(MUST(iam_->verify_password(account_, "alice", "Correct-Horse-2")));
  EXPECT_FALSE(MUST(iam_->verify_password(account_, "nobody", "Correct-Horse-1")));
  MUST(run<op::AttachUserPolicy>(root(), {"alice", "arn:aws:iam::aws:policy/IAMUserChangePassword"}));
  const auto key = MUST(run<op::CreateAccessKey>(root(), {"alice"})).access_key;
  const auto alice = call_as(principal(key.access_key_id));
  EXPECT_FAULT(run<op::ChangePassword>(alice, {"wrong", "Battery-Staple-9"}), "AccessDenied");
  MUST(run<op::ChangePassword>(alice, {"Correct-Horse-1", "Battery-Staple-9"}));
  EXPECT_TRUE(MUST(iam_->verify_password(account_, "alice", "Battery-Staple-9")));
}

TEST_F(Iam, PolicyDocumentsAreCheckedOnWrite) {
  MUST(run<op::CreateUser>(root(), {{}, "alice"}));
  EXPECT_FAULT(run<op::PutUserPolicy>(root(), {"alice", "p", "{}"}), "MalformedPolicyDocument");
  EXPECT_FAULT(run<op::CreateRole>(root(), {{}, "r", kAllowAll}), "MalformedPolicyDocument");
  std::string big = allow("s3:GetObject", "arn:aws:s3:::" + std::string(2100, 'x'));
  EXPECT_FAULT(run<op::PutUserPolicy>(root(), {"alice", "p", big}), "LimitExceeded");
  EXPECT_FAULT(run<op::AttachUserPolicy>(root(), {"alice", "arn:aws:iam::aws:policy/Nothing"}),
               "NoSuchEntity");
}

TEST_F(Iam, EveryManagedPolicyCompiles) {
  EXPECT_GE(services::managed_policies().size(), 40u);
  for (const auto& p : services::managed_policies())
    EXPECT_TRUE(aws::check_identity_policy(p.text)) << p.body.get("name");
}

TEST_F(Iam, AHomeHasOneManagementAccountForEver) {
  EXPECT_EQ(principal(first_.access_key_id).arn, "arn:aws:iam::" + account_ + ":root");
  start();
  EXPECT_EQ(MUST(services::bootstrap(*db_, clock_)), account_);
  EXPECT_EQ(principal(first_.access_key_id).account, account_);
}

TEST_F(Iam, FindingACallerTakesMicroseconds) {
  MUST(run<op::CreateUser>(root(), {{}, "alice"}));
  MUST(run<op::PutUserPolicy>(root(), {"alice", "p", kAllowAll}));
  const auto key = MUST(run<op::CreateAccessKey>(root(), {"alice"})).access_key;
  constexpr int kRounds = 20'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    const auto identity = sts_->identify(key.access_key_id, "");
    ASSERT_TRUE(identity && iam_->policies_of(identity->principal));
  }
  const double micros =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kRounds;
  printf("%.2f us a caller\n", micros);
  EXPECT_LT(micros, 100);
}

}  // namespace
}  // namespace bastide
