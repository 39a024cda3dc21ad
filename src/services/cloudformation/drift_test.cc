#include "services/cloudformation/drift.h"

#include <gtest/gtest.h>

#include "services/cloudformation/stack_policy.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

std::string drift(const char* expected, const char* actual) {
  std::string out;
  for (const auto& d : property_drift(json::parse(expected).value(), json::parse(actual).value()))
    out += d.kind + " " + d.path + " " + d.expected + " -> " + d.actual + "\n";
  return out;
}

TEST(Drift, OnlyWhatTheTemplateSaysIsCompared) {
  EXPECT_EQ(drift(R"({"A":1})", R"({"A":1,"B":2})"), "");
  EXPECT_EQ(drift(R"({"A":{"X":1}})", R"({"A":{"X":1,"Y":2}})"), "");
  EXPECT_EQ(drift(R"({"A":90})", R"({"A":7})"), "NOT_EQUAL /A 90 -> 7\n");
  EXPECT_EQ(drift(R"({"A":90})", R"({})"), "REMOVE /A 90 -> null\n");
}

TEST(Drift, WhatMeansTheSameIsNoDrift) {
  EXPECT_EQ(drift(R"({"Port":443,"On":true})", R"({"Port":"443","On":"true"})"), "");
  EXPECT_EQ(drift(R"({"Action":["a"]})", R"({"Action":"a"})"), "");
  EXPECT_EQ(drift(R"({"P":{"Version":"1","S":[]}})", R"({"P":"{\"S\":[],\"Version\":\"1\"}"})"), "");
  EXPECT_EQ(drift(R"({"T":["a","b"]})", R"({"T":["b","a"]})"), "");
  EXPECT_EQ(drift(R"({"Tags":[],"Off":false})", R"({})"), "") << "nothing was said, and nothing is there";
}

TEST(Drift, ListsTellWhatCameAndWhatWent) {
  EXPECT_EQ(drift(R"({"T":["a"]})", R"({"T":["a","b"]})"), "ADD /T/1 null -> b\n");
  EXPECT_EQ(drift(R"({"T":["a","b"]})", R"({"T":["b"]})"), "REMOVE /T/0 a -> null\n");
  EXPECT_EQ(drift(R"({"T":[{"K":"x","V":"1"}]})", R"({"T":[{"K":"x","V":"2"}]})"),
            "NOT_EQUAL /T/0/V 1 -> 2\n");
}

TEST(Drift, ARuleOfItsOwnIsNoAddition) {
  ResourceRow group, rule;
  group.logical = "Group";
  group.type = "AWS::EC2::SecurityGroup";
  group.physical = "sg-1";
  rule.logical = "Rule";
  rule.type = "AWS::EC2::SecurityGroupIngress";
  rule.physical = "sgr-1";
  rule.status = group.status = "CREATE_COMPLETE";
  rule.properties =
      json::parse(R"({"GroupId":"sg-1","IpProtocol":"tcp","FromPort":22,"ToPort":22,"CidrIp":"10.0.0.0/8"})")
          .value();
  ResourceDrift d;
  const json::Value actual = json::parse(R"({"SecurityGroupIngress":[
      {"IpProtocol":"tcp","FromPort":22,"ToPort":22,"CidrIp":"10.0.0.0/8"},
      {"IpProtocol":"tcp","FromPort":22,"ToPort":22,"CidrIp":"0.0.0.0/0"}]})")
                                 .value();
  d.differences = property_drift(json::parse(R"({"SecurityGroupIngress":[]})").value(), actual);
  ASSERT_EQ(d.differences.size(), 2u);
  spare_siblings(group, {{"Group", group}, {"Rule", rule}}, d);
  ASSERT_EQ(d.differences.size(), 1u);
  EXPECT_NE(d.differences[0].actual.find("0.0.0.0/0"), std::string::npos);
}

TEST(Drift, PasswordsAreNeverCompared) {
  EXPECT_EQ(unreadable_properties("AWS::IAM::User"), std::vector<std::string>{"LoginProfile"});
  const auto secret = unreadable_properties("AWS::SecretsManager::Secret");
  EXPECT_NE(std::find(secret.begin(), secret.end(), "SecretString"), secret.end());
}

TEST(StackPolicy, DeniesWhatNothingAllowsAndWhatIsDenied) {
  auto policy = parse_stack_policy(R"({"Statement":[
      {"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"},
      {"Effect":"Deny","Action":["Update:Replace","Update:Delete"],"Principal":"*","Resource":"LogicalResourceId/Data*"},
      {"Effect":"Deny","Action":"Update:Modify","Principal":"*","Resource":"*",
       "Condition":{"StringEquals":{"ResourceType":["AWS::KMS::Key"]}}}]})");
  ASSERT_TRUE(policy.ok()) << policy.error().message;
  EXPECT_EQ(denied_by(*policy, "Update:Modify", "Web", "AWS::IAM::Role"), "");
  EXPECT_EQ(denied_by(*policy, "Update:Modify", "Database", "AWS::IAM::Role"), "");
  EXPECT_EQ(denied_by(*policy, "Update:Replace", "Database", "AWS::IAM::Role"),
            "Action denied by stack policy: Statement [#2] does not allow [Update:Replace] for resource "
            "[Database];");
  EXPECT_NE(denied_by(*policy, "Update:Modify", "Key", "AWS::KMS::Key"), "");
  EXPECT_EQ(denied_by(nullptr, "Update:Delete", "Any", "AWS::KMS::Key"), "")
      << "without a policy all is allowed";
  auto nothing = parse_stack_policy(R"({"Statement":[]})");
  EXPECT_NE(denied_by(*nothing, "Update:Modify", "Web", "AWS::IAM::Role"), "");
}

TEST(StackPolicy, RefusesWhatItWouldNotUnderstand) {
  for (const char* text :
       {"", "[]", R"({"Statement":{}})", R"({"Statement":[{"Effect":"Perhaps"}]})",
        R"({"Statement":[{"Effect":"Allow","Action":"Update:*","Principal":"me","Resource":"*"}]})",
        R"({"Statement":[{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*",
                              "Condition":{"Bool":{"x":"y"}}}]})"}) {
    auto policy = parse_stack_policy(text);
    EXPECT_EQ(policy.ok() ? "" : policy.error().code, "ValidationError");
  }
}

}  // namespace
}  // namespace bastide::services::cfn
