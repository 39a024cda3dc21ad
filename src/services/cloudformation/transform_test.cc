#include "services/cloudformation/transform.h"

#include <gtest/gtest.h>

#include "services/cloudformation/rules.h"
#include "services/cloudformation/template.h"
#include "services/cloudformation/template_text.h"

namespace bastide::services::cfn {
namespace {

Result<json::Value> expanded(const std::string& text, const TransformInput& in = {}) {
  auto body = read_template_text(text);
  if (!body) return std::move(body).error();
  return expand(std::move(*body), in);
}

std::string why(const std::string& text, const TransformInput& in = {}) {
  auto out = expanded(text, in);
  return out ? "no error: " + json::print(*out) : out.error().message;
}

TEST(ForEach, MakesAResourceOfEachAndSubstitutesItsName) {
  auto t = expanded(R"(
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList, Default: "a, b"}
Resources:
  Fn::ForEach::Groups:
    - Name
    - !Ref Names
    - Group${Name}:
        Type: AWS::Logs::LogGroup
        Properties:
          LogGroupName: !Sub "/app/${Name}/${AWS::Region}"
          Tags: [{Key: name, Value: !Ref Name}]
  Other: {Type: AWS::IAM::Role, DeletionPolicy: Retain}
)");
  ASSERT_TRUE(t.ok()) << t.error().message;
  EXPECT_FALSE(t->has("Transform"));
  EXPECT_EQ(
      json::print(*t->find("Resources")),
      R"({"Groupa":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":{"Fn::Sub":"/app/a/${AWS::Region}"},)"
      R"("Tags":[{"Key":"name","Value":"a"}]}},"Groupb":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":)"
      R"({"Fn::Sub":"/app/b/${AWS::Region}"},"Tags":[{"Key":"name","Value":"b"}]}},"Other":{"Type":"AWS::IAM::Role","DeletionPolicy":"Retain"}})");
  TransformInput given;
  given.parameters["Names"] = "x";
  auto other =
      expanded(R"({"Transform":"AWS::LanguageExtensions","Parameters":{"Names":{"Type":"CommaDelimitedList"}},
    "Resources":{"Fn::ForEach::L":["N",{"Ref":"Names"},{"R${N}":{"Type":"T"}}]}})",
               given);
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_TRUE(other->find("Resources")->has("Rx"));
}

TEST(ForEach, LoopsInLoopsAndIdsWithoutMarks) {
  auto t = expanded(R"({"Transform":["AWS::LanguageExtensions"],"Resources":{"Fn::ForEach::A":["X",["1","2"],
    {"Fn::ForEach::B":["Y",["10.0.0.1","b"],{"R${X}&{Y}":{"Type":"T${Y}"}}]}]}})");
  ASSERT_TRUE(t.ok()) << t.error().message;
  const json::Value& r = *t->find("Resources");
  EXPECT_EQ(r.object().size(), 4u);
  EXPECT_EQ(r.find("R110001")->get("Type"), "T10.0.0.1");
}

TEST(ForEach, RefusesWhatCannotBeMeant) {
  EXPECT_NE(
      why(R"({"Transform":"AWS::LanguageExtensions","Resources":{"Fn::ForEach::A":["X",["1","1"],{"R${X}":{}}]}})")
          .find("twice"),
      std::string::npos);
  EXPECT_NE(why(R"({"Transform":"AWS::LanguageExtensions","Resources":{"Fn::ForEach::A":["X",["1"]]}})")
                .find("layout is incorrect"),
            std::string::npos);
  EXPECT_NE(
      why(R"({"Transform":"AWS::LanguageExtensions","Resources":{"Fn::ForEach::A":["X",{"Ref":"No"},{}]}})")
          .find("no parameter"),
      std::string::npos);
  EXPECT_NE(why(R"({"Transform":"AWS::Serverless-2016-10-31","Resources":{}})").find("not supported"),
            std::string::npos);
  EXPECT_EQ(why(R"({"Transform":"Mine","Resources":{}})"), "No transform named Mine found.");
  // Ten to the fifth resources from a small text end in an error, not in memory.
  std::string list = "[";
  for (int i = 0; i < 60; ++i) list += (i ? ",\"" : "\"") + std::to_string(i) + "\"";
  list += "]";
  std::string inner = R"({"R${A}x${B}x${C}x${D}":{"Type":"T"}})";
  for (const char* name : {"D", "C", "B", "A"})
    inner = std::string("{\"Fn::ForEach::") + name + "\":[\"" + name + "\"," + list + "," + inner + "]}";
  EXPECT_NE(why("{\"Transform\":\"AWS::LanguageExtensions\",\"Resources\":" + inner + "}").find("too much"),
            std::string::npos);
}

TEST(Include, TakesASnippetFromWhereItLies) {
  TransformInput in;
  std::string asked;
  in.fetch = [&](const std::string& location) -> Result<std::string> {
    asked = location;
    return std::string("Type: AWS::Logs::LogGroup\nProperties: {RetentionInDays: 7}\n");
  };
  auto t = expanded(
      R"({"Resources":{"A":{"Fn::Transform":{"Name":"AWS::Include","Parameters":{"Location":"s3://b/k.yaml"}}}}})",
      in);
  ASSERT_TRUE(t.ok()) << t.error().message;
  EXPECT_EQ(asked, "s3://b/k.yaml");
  EXPECT_EQ(json::print(*t->find("Resources")),
            R"({"A":{"Type":"AWS::Logs::LogGroup","Properties":{"RetentionInDays":7}}})");
  EXPECT_NE(why(R"({"Transform":{"Name":"AWS::Include","Parameters":{}},"Resources":{}})", in)
                .find("location parameter"),
            std::string::npos);
}

TEST(Rules, HoldOrSayWhich) {
  Scope scope;
  scope.region = "us-east-1";
  scope.parameters = {{"Env", "prod"}, {"Size", "small"}};
  auto check = [&](const char* rules) {
    auto ok = check_rules(scope, json::parse(rules).value());
    return ok ? std::string("holds") : ok.error().message;
  };
  EXPECT_EQ(check(R"({"R":{"Assertions":[{"Assert":{"Fn::Contains":[["small","big"],{"Ref":"Size"}]}}]}})"),
            "holds");
  EXPECT_EQ(check(R"({"Big":{"RuleCondition":{"Fn::Equals":[{"Ref":"Env"},"prod"]},
                    "Assertions":[{"Assert":{"Fn::Contains":[["big"],{"Ref":"Size"}]},"AssertDescription":"prod is big"}]}})"),
            "Template constraints of the rule Big are not met: prod is big");
  EXPECT_EQ(check(R"({"Big":{"RuleCondition":{"Fn::Equals":[{"Ref":"Env"},"stage"]},
                    "Assertions":[{"Assert":{"Fn::Contains":[["big"],{"Ref":"Size"}]}}]}})"),
            "holds");
  EXPECT_NE(check(R"({"R":{"Assertions":[{"Assert":{"Fn::RefAll":["x"]}}]}})").find("Fn::RefAll"),
            std::string::npos);
}

}  // namespace
}  // namespace bastide::services::cfn
