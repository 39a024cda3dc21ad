#include <gtest/gtest.h>

#include "aws/policy.h"

namespace bastide::aws {
namespace {

std::string message(const Result<PolicyDocument>& r) {
  if (r) return "accepted";
  EXPECT_EQ(r.error().code, "MalformedPolicyDocument");
  EXPECT_TRUE(r.error().fault);
  return r.error().message;
}
std::string identity(const std::string& statement) {
  return message(check_identity_policy(R"({"Version":"2012-10-17","Statement":)" + statement + "}"));
}

TEST(PolicyCheck, IdentityPolicies) {
  EXPECT_EQ(identity(R"({"Effect":"Allow","Action":"s3:*","Resource":"*"})"), "accepted");
  EXPECT_EQ(message(check_identity_policy("{")), "Syntax errors in policy.");
  EXPECT_EQ(
      message(check_identity_policy(R"({"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}})")),
      "Policy document must be version 2012-10-17 or greater.");
  EXPECT_EQ(identity(R"({"Effect":"Allow","Action":"s3:*"})"), "Policy statement must contain resources.");
  EXPECT_EQ(identity(R"({"Effect":"Allow","Resource":"*"})"), "Policy statement must contain actions.");
  EXPECT_EQ(identity(R"({"Effect":"Permit","Action":"s3:*","Resource":"*"})"), "Syntax errors in policy.");
  EXPECT_EQ(identity(R"({"Effect":"Allow","Action":"GetObject","Resource":"*"})"),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  EXPECT_EQ(identity(R"({"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"})"),
            "Policy document should not specify a principal.");
  EXPECT_EQ(identity(R"({"Effect":"Allow","Action":"s3:*","Resource":"bucket"})"),
            "Resource bucket must be in ARN format or \"*\".");
  EXPECT_EQ(identity(R"([{"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"},
                         {"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"}])"),
            "Statement IDs (SID) in a single policy must be unique.");
}

TEST(PolicyCheck, TrustPolicies) {
  const auto trust = [](const std::string& statement) {
    return message(check_trust_policy(R"({"Version":"2012-10-17","Statement":)" + statement + "}"));
  };
  EXPECT_EQ(
      trust(
          R"({"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ecs-tasks.amazonaws.com"}})"),
      "accepted");
  EXPECT_EQ(trust(R"({"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"},"Resource":"*"})"),
            "Has prohibited field Resource");
  EXPECT_EQ(trust(R"({"Effect":"Allow","Action":"s3:GetObject","Principal":{"AWS":"*"}})"),
            "AssumeRole policy may only specify STS AssumeRole actions.");
  EXPECT_EQ(trust(R"({"Effect":"Allow","Action":"sts:AssumeRole"})"), "Missing required field Principal");
  EXPECT_EQ(trust(R"({"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"bob"}})"),
            "Invalid principal in policy: \"AWS\":\"bob\"");
}

TEST(PolicyCheck, HostileDocumentsAreRefusedNotFollowed) {
  EXPECT_EQ(message(check_identity_policy(std::string(200'000, '['))), "Syntax errors in policy.");
  EXPECT_EQ(message(check_identity_policy("null")), "Syntax errors in policy.");
  EXPECT_EQ(identity("[]"), "Syntax errors in policy.");
  EXPECT_EQ(identity("[[]]"), "Syntax errors in policy.");
  EXPECT_EQ(identity(R"({"Effect":"Allow","Action":[1],"Resource":"*"})"), "Syntax errors in policy.");
}

TEST(PolicyCheck, SizesLeaveOutWhiteSpace) { EXPECT_EQ(policy_size("{ \"a\" :\n 1 }"), 7u); }

}  // namespace
}  // namespace bastide::aws
