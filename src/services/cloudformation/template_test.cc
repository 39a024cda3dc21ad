#include "services/cloudformation/template.h"

#include <gtest/gtest.h>

#include "services/cloudformation/evaluate.h"
#include "services/cloudformation/handler.h"
#include "services/cloudformation/parameters.h"
#include "services/cloudformation/template_text.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

std::string why(const std::string& text) {
  auto t = parse_template(text);
  return t ? "no error" : t.error().message;
}

// A value of a YAML text, evaluated.
std::string value_of(const std::string& yaml) {
  auto body = read_template_text("V: " + yaml + "\n");
  if (!body) return body.error().message;
  static const json::Value mappings =
      json::parse(R"({"Map":{"eu":{"size":"big","list":["a","b"]}}})").value();
  Scope s;
  s.account = "111122223333";
  s.region = "eu-west-1";
  s.stack_name = "stack";
  s.stack_id = "arn:id";
  s.mappings = &mappings;
  s.parameters = {{"P", "text"}, {"L", json::array({"x", "y"})}};
  s.conditions = {{"Yes", true}, {"No", false}};
  s.ref = [](const std::string& name) -> Result<std::optional<json::Value>> {
    return name == "Made" ? std::optional<json::Value>("made-1") : std::nullopt;
  };
  s.attribute = [](const std::string& name,
                   const std::string& attribute) -> Result<std::optional<json::Value>> {
    return name == "Made" ? std::optional<json::Value>("made-1/" + attribute) : std::nullopt;
  };
  s.import_value = [](const std::string& name) -> Result<json::Value> {
    return json::Value("imported " + name);
  };
  s.zones = [](const std::string& region) -> Result<json::Value> {
    return json::array({region + "a", region + "b"});
  };
  auto v = evaluate(s, *body->find("V"));
  if (!v) return v.error().message;
  return *v ? json::print(**v) : "nothing";
}

TEST(Intrinsics, EveryOneInItsShortForm) {
  EXPECT_EQ(value_of("!Ref P"), "\"text\"");
  EXPECT_EQ(value_of("!Ref AWS::Region"), "\"eu-west-1\"");
  EXPECT_EQ(value_of("!Ref AWS::NoValue"), "nothing");
  EXPECT_EQ(value_of("[1, !Ref AWS::NoValue, 2]"), "[1,2]");
  EXPECT_EQ(value_of("!GetAtt Made.Some.Thing"), "\"made-1/Some.Thing\"");
  EXPECT_EQ(value_of("!Sub 'a ${P} ${AWS::AccountId} ${Made.Arn} ${!Literal}'"),
            "\"a text 111122223333 made-1/Arn ${Literal}\"");
  EXPECT_EQ(value_of("!Sub ['${X}-${P}', {X: !Ref Made}]"), "\"made-1-text\"");
  EXPECT_EQ(value_of("!Join [',', [a, 1, !Ref P]]"), "\"a,1,text\"");
  EXPECT_EQ(value_of("!Join ['', !Ref L]"), "\"xy\"");
  EXPECT_EQ(value_of("!Select [1, !Ref L]"), "\"y\"");
  EXPECT_EQ(value_of("!Select [9, !Ref L]"),
            "Template error: Fn::Select cannot select nonexistent value at index 9");
  EXPECT_EQ(value_of("!Split ['|', 'a||b']"), R"(["a","","b"])");
  EXPECT_EQ(value_of("!If [Yes, a, b]"), "\"a\"");
  EXPECT_EQ(value_of("!If [No, a, !Ref AWS::NoValue]"), "nothing");
  EXPECT_EQ(value_of("!FindInMap [Map, eu, list]"), R"(["a","b"])");
  EXPECT_EQ(value_of("!FindInMap [Map, us, size]"),
            "Template error: Unable to get mapping for Map::us::size");
  EXPECT_EQ(value_of("!ImportValue {'Fn::Sub': '${P}-x'}"), "\"imported text-x\"");
  EXPECT_EQ(value_of("!Base64 hello"), "\"aGVsbG8=\"");
  EXPECT_EQ(value_of("!GetAZs ''"), R"(["eu-west-1a","eu-west-1b"])");
  EXPECT_EQ(value_of("!Cidr [10.0.0.0/16, 3, 8]"), R"(["10.0.0.0/24","10.0.1.0/24","10.0.2.0/24"])");
  EXPECT_EQ(value_of("!Sub '${L}'"),
            "Template error: variable L in Fn::Sub expression does not resolve to a string");
}

TEST(Intrinsics, WhatIsNotMadeYetStaysWithTheRestResolved) {
  EXPECT_EQ(value_of("!Join ['-', [!Ref P, !Ref Later]]"), R"({"Fn::Join":["-",["text",{"Ref":"Later"}]]})");
  EXPECT_EQ(value_of("!Sub '${P}-${Later.Arn}'"),
            R"({"Fn::Sub":["text-${Later.Arn}",{"Later.Arn":{"Fn::GetAtt":["Later","Arn"]}}]})");
}

TEST(Conditions, MayNeedOneAnother) {
  auto c = read_template_text(
      "B: !And [!Condition A, !Not [!Equals [x, y]]]\nA: !Equals [!Ref P, '5']\nC: !Or [!Condition B, "
      "!Condition A]\n");
  Scope s;
  s.parameters = {{"P", "5"}};
  auto all = evaluate_conditions(s, *c);
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_TRUE(all->at("A") && all->at("B") && all->at("C"));
  EXPECT_FALSE(evaluate_conditions(s, *read_template_text("A: !Not [!Condition A]\n")).ok());
}

std::string one(const std::string& properties, const std::string& rest = "") {
  return "Resources:\n  P: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: v" + properties +
         "}}\n" + rest;
}

TEST(Template, MistakesAreToldInAwssWords) {
  EXPECT_EQ(why(one("")), "no error");
  EXPECT_EQ(why("{}"), "Template format error: At least one Resources member must be defined.");
  EXPECT_EQ(why("{\"Resources\": "), "Template format error: JSON not well-formed. (" +
                                         json::parse("{\"Resources\": ").error().message + ")");
  EXPECT_EQ(why("a: [").find("Template format error: YAML not well-formed. (line 1"), 0u);
  EXPECT_EQ(why("Resources: {X: {Type: AWS::Fancy::Thing}}"),
            "Template format error: Unrecognized resource types: [AWS::Fancy::Thing]");
  EXPECT_EQ(why(one(", Sise: 3")),
            "Properties validation failed for resource P with message:\n[#: extraneous key [Sise] is not "
            "permitted]");
  EXPECT_EQ(why("Resources: {P: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: [1]}}}"),
            "Properties validation failed for resource P with message:\n[#/Value: expected type: String, "
            "found: JSONArray]");
  EXPECT_EQ(why("Resources: {P: {Type: 'AWS::SSM::Parameter', Properties: {Value: x}}}"),
            "Properties validation failed for resource P with message:\n[#: required key [Type] not found]");
  EXPECT_EQ(why(one(", Description: !Ref Nothing")),
            "Template format error: Unresolved resource dependencies [Nothing] in the Resources block of the "
            "template");
  EXPECT_EQ(
      why(one(
          "",
          "  K: {Type: 'AWS::KMS::Alias', Properties: {AliasName: alias/x, TargetKeyId: !GetAtt P.Nope}}\n")),
      "Template error: resource P does not support attribute type Nope in Fn::GetAtt");
  EXPECT_EQ(why("Resources:\n  A: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref B}}\n"
                "  B: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref C}}\n"
                "  C: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref A}}\n"
                "  D: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref A}}\n"),
            "Circular dependency between resources: [A, B, C]");
  EXPECT_EQ(why(one("", "Surprise: 1\n")), "Invalid template property or properties [Surprise]");
  EXPECT_EQ(why(one("", "Metadata: &x {}\n")).find("Template error: YAML aliases are not allowed"), 0u);
  EXPECT_EQ(why(std::string(60'000, '[')).find("Template format error: YAML not well-formed."), 0u);
}

TEST(Parameters, AreCheckedAgainstTheirConstraints) {
  auto t = parse_template(one("",
                              "Parameters:\n  Size: {Type: Number, MinValue: 1, MaxValue: 9}\n  Zone: {Type: "
                              "String, Default: a, AllowedValues: [a, b]}\n"
                              "  Names: {Type: CommaDelimitedList, Default: 'x, y'}\n"));
  ASSERT_TRUE(t.ok()) << t.error().message;
  auto texts = [&](std::vector<GivenParameter> given, std::map<std::string, std::string> previous = {}) {
    auto r = parameter_texts(*t, given, previous);
    return r ? r->at("Size") : r.error().message;
  };
  EXPECT_EQ(texts({}), "Parameters: [Size] must have values");
  EXPECT_EQ(texts({{"Size", "5"}}), "5");
  EXPECT_EQ(texts({{"Size", "50"}}), "Parameter 'Size' must be a number not greater than 9");
  EXPECT_EQ(texts({{"Size", "5"}, {"Other", "5"}}), "Parameters: [Other] do not exist in the template");
  EXPECT_EQ(texts({{"Size", "5"}, {"Zone", "c"}}), "Parameter 'Zone' must be one of AllowedValues");
  EXPECT_EQ(texts({{"Size", "", true}}, {{"Size", "7"}}), "7");
  auto values = parameter_values(*t, parameter_texts(*t, {{"Size", "5"}}, {}).value(), {});
  EXPECT_EQ(values->at("Names"), json::array({"x", "y"}));
}

TEST(Types, EveryOneHasAHandlerAndEveryHandlerAType) {
  for (const auto& type : all_types()) EXPECT_TRUE(all_handlers().count(type)) << type;
  for (const auto& [type, handler] : all_handlers()) {
    EXPECT_TRUE(known_type(type)) << type;
    EXPECT_TRUE(handler.make != nullptr && handler.remove != nullptr) << type;
  }
}

TEST(Types, EcsKeysAreWrittenAsItsApiWantsThem) {
  const auto v =
      json::parse(
          R"([{"Name":"web","LogConfiguration":{"LogDriver":"awslogs","Options":{"awslogs-group":"G"}},
                                  "PortMappings":[{"ContainerPort":80}]}])")
          .value();
  EXPECT_EQ(
      json::print(camel_keys("AWS::ECS::TaskDefinition", "ContainerDefinitions", v)),
      R"([{"name":"web","logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"G"}},"portMappings":[{"containerPort":80}]}])");
}

TEST(Names, FitAndStayReadable) {
  Context c;
  c.stack_name = "a-very-long-stack-name-indeed";
  c.logical = "LoadBalancer";
  c.suffix = "ABCDEFGHIJKL";
  EXPECT_LE(c.generated_name(32).size(), 32u);
  EXPECT_EQ(c.generated_name(64), "a-very-long-stack-name-indeed-LoadBalancer-ABCDEFGHIJKL");
}

}  // namespace
}  // namespace bastide::services::cfn
