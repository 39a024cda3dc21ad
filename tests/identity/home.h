// A home with the three services of identity, for tests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include "services/iam/bootstrap.h"
#include "services/iam/iam.h"
#include "services/organizations/organizations.h"
#include "services/sts/sts.h"
#include "store/database.h"
#include "store/keyring.h"
#include "sys/file.h"

namespace bastide {

inline constexpr Millis kStart = 1'790'000'000'000;

class Home : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-identity-XXXXXX";
    path_ = ::mkdtemp(name);
    keyring_ = std::move(store::Keyring::open(path_ + "/master.key", path_ + "/master.check").value());
    start();
    auto account = services::bootstrap(*db_, clock_);
    ASSERT_TRUE(account) << account.error().message;
    account_ = *account;
    ASSERT_TRUE(db_->write([&](store::Writer& w) -> Result<void> {
      first_ = TRY(iam_->mint_access_key(w, account_, ""));
      return {};
    }));
    iam_->changed();
  }
  void start() {
    sts_.reset();
    organizations_.reset();
    iam_.reset();
    db_.reset();
    db_ = std::move(store::Database::open(path_ + "/metadata.sqlite", clock_).value());
    iam_ = std::make_unique<services::Iam>(*db_, *keyring_, clock_);
    organizations_ = std::make_unique<services::Organizations>(*db_, clock_, *iam_);
    iam_->use_accounts(*organizations_);
    sts_ = std::make_unique<services::Sts>(*keyring_, clock_, *iam_, *iam_, organizations_.get());
    registry_ = std::make_unique<aws::Registry>();
    iam_->offer(*registry_);
    sts_->offer(*registry_);
    organizations_->offer(*registry_);
  }
  void TearDown() override {
    sts_.reset();
    organizations_.reset();
    iam_.reset();
    db_.reset();
    EXPECT_TRUE(sys::remove_tree(path_));
  }

  aws::Call call_as(const aws::Principal& p) {
    aws::Call call;
    call.principal = p;
    call.account = p.account;
    call.region = "us-east-1";
    call.secure = true;
    call.now = clock_.wall();
    return call;
  }
  aws::Call root() { return call_as(aws::Principal::root(account_)); }
  aws::Principal principal(const std::string& key, const std::string& token = "") {
    auto identity = sts_->identify(key, token);
    EXPECT_TRUE(identity) << identity.error().message;
    return identity ? identity->principal : aws::Principal{};
  }

  // As the front does it: authorise by the operation's rule, then run.
  template <class Op>
  Result<typename Op::Response> run(aws::Call call, const typename Op::Request& request) {
    call.service = Op::service;
    call.operation = Op::operation.name;
    const auto* entry = registry_->find(Op::service, Op::operation.name);
    if (!entry) return error("no such operation");
    const auto targets = TRY(entry->targets(call, &request));
    const auto policies = TRY(iam_->policies_of(call.principal));
    for (const auto& target : targets) {
      const auto decision = aws::decide(call, target, *policies);
      if (!decision.allowed) return fault("AccessDenied", decision.message, 403);
    }
    typename Op::Response response;
    TRY(entry->run(call, &request, &response));
    return response;
  }

  std::string path_;
  ManualClock clock_{kStart};
  std::unique_ptr<store::Keyring> keyring_;
  std::unique_ptr<store::Database> db_;
  std::unique_ptr<services::Iam> iam_;
  std::unique_ptr<services::Organizations> organizations_;
  std::unique_ptr<services::Sts> sts_;
  std::unique_ptr<aws::Registry> registry_;
  model::iam::AccessKey first_;  // of the root user
  std::string account_;
};

inline const std::string kAllowAll =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})";

inline std::string allow(const std::string& action, const std::string& resource = "*") {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":")" + action +
         R"(","Resource":")" + resource + "\"}]}";
}
inline std::string trust(const std::string& principal, const std::string& condition = "") {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{)" +
         principal + "}" + condition + "}]}";
}

#define EXPECT_FAULT(expression, expected_code)                                          \
  do {                                                                                   \
    auto fault_result = (expression);                                                    \
    ASSERT_FALSE(fault_result.ok());                                                     \
    EXPECT_EQ(fault_result.error().code, expected_code) << fault_result.error().message; \
  } while (0)
#define MUST(expression)                            \
  __extension__({                                   \
    auto must_result = (expression);                \
    if (!must_result) {                             \
      ADD_FAILURE() << must_result.error().message; \
      return;                                       \
    }                                               \
    std::move(must_result).value();                 \
  })

}  // namespace bastide
