#include "yaml/yaml.h"

#include <gtest/gtest.h>

namespace bastide::yaml {
namespace {

std::string why(std::string_view text) {
  auto n = parse(text);
  return n ? "no error" : n.error().message;
}

json::Value value_of(std::string_view text) {
  auto n = parse(text);
  EXPECT_TRUE(n.ok()) << (n ? "" : n.error().message);
  auto v = to_json(*n);
  EXPECT_TRUE(v.ok());
  return std::move(*v);
}

TEST(Yaml, NodesKnowWhereTheyStand) {
  auto n = parse("a: 1\nb:\n  - x\n  - cc: \"y\"\n");
  ASSERT_TRUE(n.ok());
  EXPECT_EQ(n->find("b")->items[1].find("cc")->mark.text(), "line 4, column 9");
  EXPECT_EQ(n->member("b")->mark.text(), "line 2, column 1");
}

TEST(Yaml, ScalarsBecomeWhatTheyLookLike) {
  EXPECT_EQ(
      value_of("[1, -2, 1.5, true, null, yes, '1', 0123, 2010-09-09, 123456789012]"),
      json::array({1, -2, 1.5, true, nullptr, "yes", "1", "0123", "2010-09-09", int64_t{123456789012}}));
}

TEST(Yaml, RefusesWhatCouldMultiplyOrConfuse) {
  EXPECT_EQ(why("a: &x [1]\nb: *x\n"), "line 1, column 4: YAML anchors and aliases are not allowed");
  EXPECT_EQ(why("a: 1\na: 2\n"), "line 2, column 1: repeated key \"a\"");
  EXPECT_NE(why(std::string(200, '[')).find("nested deeper than 60 levels"), std::string::npos);
  EXPECT_NE(why("a: [1\nb: 2\n").find("line 2"), std::string::npos) << why("a: [1\nb: 2\n");
  EXPECT_NE(why("a\xff"), "no error");
  EXPECT_NE(why("a: 1\n---\nb: 1\n").find("only one document"), std::string::npos);
  EXPECT_EQ(parse(std::string(2u << 20, 'a')).error().code, "TooLarge");
}

TEST(Yaml, TagsGetAMeaning) {
  auto n = parse("x: !Ref Vpc\n");
  ASSERT_TRUE(n.ok());
  EXPECT_FALSE(to_json(*n).ok());
  auto v = to_json(*n, [](const Node& node, json::Value value) -> Result<json::Value> {
    return json::object({{node.tag.substr(1), std::move(value)}});
  });
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(json::print(*v), R"({"x":{"Ref":"Vpc"}})");
}

TEST(Yaml, PrintReadsBackTheSame) {
  const json::Value v = json::object(
      {{"Version", "2012-10-17"},
       {"On", "on"},
       {"Empty", ""},
       {"Map", json::object()},
       {"List", json::array()},
       {"Text", "line one\n  line two\n"},
       {"Colon", "a: b"},
       {"Num", 5},
       {"NumText", "5"},
       {"F", 1.5},
       {"Null", nullptr},
       {"Nest",
        json::array({json::object({{"A", 1}, {"B", json::array({"x", json::array({"y"})})}}), "z"})}});
  EXPECT_EQ(value_of(yaml::print(v)), v) << yaml::print(v);
}

}  // namespace
}  // namespace bastide::yaml
