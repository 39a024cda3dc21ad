#include "secrets/place.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace bastide::secrets {
namespace {

std::string set(std::string_view text, Format f, const std::string& path) {
  auto out = set_value(text, f, path, "V");
  return out ? *out : "error: " + out.error().message;
}
std::string unset(std::string_view text, Format f, const std::string& path) {
  auto out = unset_value(text, f, path);
  return out ? *out : "error: " + out.error().code;
}

TEST(Place, JsonKeepsEveryOtherByte) {
  const std::string text = "{\n  \"a\" : 1.50,\n  \"b\": {\"c\": [true, \"x,]\\\"\"], \"d\":null}\n}\n";
  EXPECT_EQ(set(text, Format::json, "a"),
            "{\n  \"a\" : \"V\",\n  \"b\": {\"c\": [true, \"x,]\\\"\"], \"d\":null}\n}\n");
  EXPECT_EQ(set(text, Format::json, "b.c.1"),
            "{\n  \"a\" : 1.50,\n  \"b\": {\"c\": [true, \"V\"], \"d\":null}\n}\n");
  EXPECT_EQ(set(text, Format::json, "b.e"),
            "{\n  \"a\" : 1.50,\n  \"b\": {\"c\": [true, \"x,]\\\"\"], \"d\":null, \"e\": \"V\"}\n}\n");
  EXPECT_EQ(
      set(text, Format::json, "n.m"),
      "{\n  \"a\" : 1.50,\n  \"b\": {\"c\": [true, \"x,]\\\"\"], \"d\":null},\n  \"n\": {\"m\": \"V\"}\n}\n");
  EXPECT_EQ(set("", Format::json, "a"), "{\"a\": \"V\"}\n");
  EXPECT_EQ(set("{\n}\n", Format::json, "a"), "{\n  \"a\": \"V\"\n}\n");
  EXPECT_EQ(unset(text, Format::json, "b.d"),
            "{\n  \"a\" : 1.50,\n  \"b\": {\"c\": [true, \"x,]\\\"\"]}\n}\n");
  EXPECT_EQ(unset("{\"a\": 1, \"b\": 2}", Format::json, "a"), "{\"b\": 2}");
  EXPECT_EQ(unset("{\"a\": 1}", Format::json, "a"), "{}");
  EXPECT_EQ(unset(text, Format::json, "b.x"), "error: NotFound");
  EXPECT_TRUE(set("{not json", Format::json, "a").starts_with("error"));
  EXPECT_TRUE(set("{\"a\": 1}", Format::json, "a.b").starts_with("error"));
}

TEST(Place, YamlBlockMappings) {
  const std::string text = "# top\nweb:\n  port: 80  # plain\n  db:\n    password: old\n\nother: x\n";
  EXPECT_EQ(set(text, Format::yaml, "web.db.password"),
            "# top\nweb:\n  port: 80  # plain\n  db:\n    password: \"V\"\n\nother: x\n");
  EXPECT_EQ(set(text, Format::yaml, "web.port"),
            "# top\nweb:\n  port: \"V\" # plain\n  db:\n    password: old\n\nother: x\n");
  EXPECT_EQ(set(text, Format::yaml, "web.db.user"),
            "# top\nweb:\n  port: 80  # plain\n  db:\n    password: old\n    user: \"V\"\n\nother: x\n");
  EXPECT_EQ(set(text, Format::yaml, "new.key"), text + "new:\n  key: \"V\"\n");
  EXPECT_EQ(unset(text, Format::yaml, "web.db"), "# top\nweb:\n  port: 80  # plain\n\nother: x\n");
  EXPECT_TRUE(set(text, Format::yaml, "other.key").starts_with("error"));
}

TEST(Place, EnvFiles) {
  EXPECT_EQ(set("A=1\nexport B=2\r\n", Format::env, "B"), "A=1\nexport B=V\r\n");
  EXPECT_EQ(set("A=1", Format::env, "B"), "A=1\nB=V\n");
  EXPECT_EQ(unset("A=1\nB=2\nC=3\n", Format::env, "B"), "A=1\nC=3\n");
  EXPECT_EQ(unset("A=1\n", Format::env, "B"), "error: NotFound");
}

}  // namespace
}  // namespace bastide::secrets
