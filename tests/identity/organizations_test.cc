#include "home.h"

namespace bastide {
namespace {

namespace org = model::organizations::op;
namespace iam = model::iam::op;
namespace sts = model::sts::op;

class Organization : public Home {
 protected:
  void SetUp() override {
    Home::SetUp();
    ASSERT_TRUE(run<org::CreateOrganization>(root(), {}));
    ASSERT_TRUE(run<iam::CreateUser>(root(), {{}, "operator"}));
    ASSERT_TRUE(run<iam::PutUserPolicy>(root(), {"operator", "p", kAllowAll}));
    const auto key = run<iam::CreateAccessKey>(root(), {"operator"});
    ASSERT_TRUE(key);
    operator_ = call_as(principal(key->access_key.access_key_id));
    auto roots = run<org::ListRoots>(root(), {});
    ASSERT_TRUE(roots);
    root_id_ = *roots->roots->at(0).id;
  }
  std::string make_account(const std::string& name) {
    org::CreateAccount::Request q;
    q.account_name = name;
    q.email = name + "@example.com";
    auto made = run<org::CreateAccount>(root(), q);
    EXPECT_TRUE(made) << made.error().message;
    EXPECT_EQ(*made->create_account_status->state, "SUCCEEDED");
    return *made->create_account_status->account_id;
  }
  Result<aws::Call> enter(const std::string& account) {
    auto out = run<sts::AssumeRole>(
        operator_, {"arn:aws:iam::" + account + ":role/OrganizationAccountAccessRole", "op"});
    if (!out) return std::move(out).error();
    return call_as(principal(out->credentials->access_key_id, out->credentials->session_token));
  }
  aws::Call operator_;
  std::string root_id_;
};

TEST_F(Organization, ANewAccountIsEnteredThroughItsRole) {
  const auto stage = make_account("stage");
  const auto inside = MUST(enter(stage));
  EXPECT_EQ(inside.account, stage);
  MUST(run<iam::CreateUser>(inside, {{}, "worker"}));
  EXPECT_FAULT(run<iam::GetUser>(operator_, {"worker"}),
               "NoSuchEntity");  // another account, another namespace
}

TEST_F(Organization, AnAdministratorOfOneAccountCannotReachAnother) {
  const auto stage = MUST(enter(make_account("stage")));
  const auto prod = make_account("prod");
  EXPECT_FAULT(
      run<sts::AssumeRole>(stage, {"arn:aws:iam::" + prod + ":role/OrganizationAccountAccessRole", "x"}),
      "AccessDenied");
  EXPECT_FAULT(run<org::ListAccounts>(stage, {}), "AccessDeniedException");
  EXPECT_FAULT(run<org::CloseAccount>(stage, {prod}), "AccessDeniedException");
}

TEST_F(Organization, EmailsAreUniqueAndStatusesAreKept) {
  make_account("stage");
  org::CreateAccount::Request q;
  q.account_name = "again";
  q.email = "STAGE@example.com";
  const auto failed = *MUST(run<org::CreateAccount>(root(), q)).create_account_status;
  EXPECT_EQ(*failed.state, "FAILED");
  EXPECT_EQ(*failed.failure_reason, "EMAIL_ALREADY_EXISTS");
  EXPECT_EQ(*MUST(run<org::DescribeCreateAccountStatus>(root(), {*failed.id})).create_account_status->state,
            "FAILED");
  EXPECT_EQ(MUST(run<org::ListAccounts>(root(), {})).accounts->size(), 2u);
}

TEST_F(Organization, AnScpOnAnOuBindsTheAccountsInIt) {
  const auto stage = make_account("stage");
  const auto inside = MUST(enter(stage));
  org::CreateOrganizationalUnit::Request ou;
  ou.parent_id = root_id_;
  ou.name = "workloads";
  const auto unit = *MUST(run<org::CreateOrganizationalUnit>(root(), ou)).organizational_unit->id;
  MUST(run<org::MoveAccount>(root(), {stage, root_id_, unit}));
  org::CreatePolicy::Request p;
  p.name = "no-users";
  p.type = "SERVICE_CONTROL_POLICY";
  p.content =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:CreateUser","Resource":"*"}]})";
  const auto policy = *MUST(run<org::CreatePolicy>(root(), p)).policy->policy_summary->id;
  EXPECT_FAULT(run<org::AttachPolicy>(root(), {policy, unit}), "PolicyTypeNotEnabledException");
  MUST(run<org::EnablePolicyType>(root(), {root_id_, "SERVICE_CONTROL_POLICY"}));
  MUST(run<iam::CreateUser>(inside, {{}, "before"}));
  MUST(run<org::AttachPolicy>(root(), {policy, unit}));
  const auto denied = run<iam::CreateUser>(inside, {{}, "after"});
  ASSERT_FALSE(denied);
  EXPECT_TRUE(denied.error().message.ends_with("with an explicit deny in a service control policy"));
  MUST(run<iam::ListUsers>(inside, {}));
  MUST(run<iam::CreateUser>(operator_, {{}, "free"}));  // the management account is not bound
  EXPECT_FAULT(run<org::DeletePolicy>(root(), {policy}), "PolicyInUseException");
  EXPECT_FAULT(run<org::DeleteOrganizationalUnit>(root(), {unit}), "OrganizationalUnitNotEmptyException");
  MUST(run<org::DetachPolicy>(root(), {policy, unit}));
  MUST(run<iam::CreateUser>(inside, {{}, "after"}));
  EXPECT_FAULT(run<org::DetachPolicy>(root(), {"p-FullAWSAccess", unit}), "ConstraintViolationException");
}

TEST_F(Organization, EveryLevelMustAllow) {
  const auto stage = make_account("stage");
  const auto inside = MUST(enter(stage));
  MUST(run<org::EnablePolicyType>(root(), {root_id_, "SERVICE_CONTROL_POLICY"}));
  org::CreatePolicy::Request p;
  p.name = "only-s3";
  p.type = "SERVICE_CONTROL_POLICY";
  p.content = allow("s3:*");
  const auto policy = *MUST(run<org::CreatePolicy>(root(), p)).policy->policy_summary->id;
  MUST(run<org::AttachPolicy>(root(), {policy, stage}));
  MUST(run<iam::ListUsers>(inside, {}));
  MUST(run<org::DetachPolicy>(root(), {"p-FullAWSAccess", stage}));
  EXPECT_FAULT(run<iam::ListUsers>(inside, {}), "AccessDenied");
}

TEST_F(Organization, AClosedAccountsCredentialsEndAtOnce) {
  const auto stage = make_account("stage");
  const auto out =
      *MUST(run<sts::AssumeRole>(operator_,
                                 {"arn:aws:iam::" + stage + ":role/OrganizationAccountAccessRole", "op"}))
           .credentials;
  MUST(sts_->identify(out.access_key_id, out.session_token));
  MUST(run<org::CloseAccount>(root(), {stage}));
  EXPECT_FAULT(sts_->identify(out.access_key_id, out.session_token), "InvalidClientTokenId");
  EXPECT_FALSE(enter(stage));
  EXPECT_FAULT(run<org::CloseAccount>(root(), {stage}), "AccountAlreadyClosedException");
}

TEST_F(Organization, TheTreeIsThereAfterARestart) {
  const auto stage = make_account("stage");
  start();
  EXPECT_EQ(*MUST(run<org::ListParents>(root(), {stage})).parents->at(0).id, root_id_);
  EXPECT_EQ(*MUST(run<org::DescribeAccount>(root(), {stage})).account->name, "stage");
}

}  // namespace
}  // namespace bastide
