#include <gtest/gtest.h>

#include "services/ecs/ecs.h"

namespace bastide::services::ecs {
namespace {

// Parameter Store and Secrets Manager, as far as a starting task asks them.
struct Stores : aws::LocalClient {
  std::string asked;
  Result<json::Value> call(const aws::Principal& who, const std::string&, const std::string& region,
                           const std::string& service, const std::string& operation,
                           const json::Value& input) override {
    asked = who.arn + " " + region + " " + service + "." + operation + " " + json::print(input);
    if (service == "ssm" && input.get("Name") == "/missing") return fault("ParameterNotFound", "");
    if (service == "ssm") return json::object({{"Parameter", json::object({{"Value", "from ssm"}})}});
    return json::object({{"SecretString", R"({"password":"p\"w","port":5432})"}});
  }
  Result<void> call_typed(const aws::Principal&, const std::string&, const std::string&, const std::string&,
                          const std::string&, const void*, void*) override {
    return fault("NotExpected", "");
  }
};

const std::string kSecret = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:web/db-aB3dE6";

struct TaskSecrets : testing::Test {
  Stores stores;
  aws::Principal role;
  void SetUp() override { role.arn = "role"; }
  std::string pull(const std::string& from) {
    auto value = pull_secret(stores, role, {"444455556666", "eu-central-1"}, from);
    return value ? *value : value.error().code + ": " + value.error().message;
  }
};

TEST_F(TaskSecrets, ComeFromParametersByNameAndArn) {
  EXPECT_EQ(pull("/web/key"), "from ssm");
  EXPECT_EQ(stores.asked, R"(role eu-central-1 ssm.GetParameter {"Name":"/web/key","WithDecryption":true})");
  pull("arn:aws:ssm:eu-west-1:444455556666:parameter/web/key");
  EXPECT_TRUE(stores.asked.starts_with("role eu-west-1 ssm.GetParameter"));
}

TEST_F(TaskSecrets, ComeFromSecretsWholeOrByTheirKeys) {
  EXPECT_EQ(pull(kSecret), R"({"password":"p\"w","port":5432})");
  EXPECT_EQ(pull(kSecret + ":password::"), "p\"w");
  EXPECT_EQ(stores.asked, "role eu-west-1 secretsmanager.GetSecretValue {\"SecretId\":\"" + kSecret + "\"}");
  EXPECT_EQ(pull(kSecret + ":port:AWSPREVIOUS:"), "5432");
  EXPECT_NE(stores.asked.find(R"("VersionStage":"AWSPREVIOUS")"), std::string::npos);
}

TEST_F(TaskSecrets, AFailureIsTheTasksOwnAndHoldsNoValue) {
  EXPECT_TRUE(
      pull("/missing").starts_with("TaskFailedToStart: ResourceInitializationError: unable to pull secrets"));
  const auto wrong = pull(kSecret + ":none::");
  EXPECT_NE(wrong.find("did not contain json key none"), std::string::npos);
  EXPECT_EQ(wrong.find("p\"w"), std::string::npos);
  EXPECT_TRUE(pull("arn:aws:secretsmanager:x").starts_with("TaskFailedToStart"));
}

TEST_F(TaskSecrets, NeedAnExecutionRoleAndNamesOfTheirOwn) {
  const auto container =
      json::object({{"secrets", json::array({json::object({{"name", "A"}, {"valueFrom", "/a"}})})},
                    {"environment", json::array({json::object({{"name", "B"}, {"value", "1"}})})}});
  EXPECT_TRUE(check_secrets(container, "arn:aws:iam::1:role/x"));
  EXPECT_EQ(check_secrets(container, "").error().code, "ClientException");
  auto twice = container;
  twice["environment"] = json::array({json::object({{"name", "A"}, {"value", "1"}})});
  EXPECT_FALSE(check_secrets(twice, "arn:aws:iam::1:role/x"));
  EXPECT_TRUE(check_secrets(json::object(), ""));
}

}  // namespace
}  // namespace bastide::services::ecs
