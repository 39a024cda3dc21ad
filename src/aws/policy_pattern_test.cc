#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "aws/policy_pattern.h"
#include "base/bytes.h"

namespace bastide::aws {
namespace {

class Keys final : public KeySource {
 public:
  std::vector<std::pair<std::string, std::string>> values;
  void find(const ConditionKey& key, std::vector<std::string>& out) const override {
    for (const auto& [name, value] : values) {
      if (lower(name) == key.name) out.push_back(value);
    }
  }
};

bool match(std::string_view pattern, std::string_view text, const Keys& keys = {}) {
  return Pattern(pattern, {}).matches(text, keys);
}

// The definition of a match, tried in every way: exponential, and obviously right.
bool slow(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (size_t i = 0; i <= text.size(); ++i) {
      if (slow(pattern.substr(1), text.substr(i))) return true;
    }
    return false;
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         slow(pattern.substr(1), text.substr(1));
}

TEST(PolicyPattern, AgreesWithTheSlowMatcher) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const std::string_view pattern_alphabet = "ab*?:/";
  const std::string_view text_alphabet = "ab:/";
  int matched = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string pattern, text;
    for (size_t n = random() % 9; n > 0; --n) pattern += pattern_alphabet[random() % pattern_alphabet.size()];
    for (size_t n = random() % 11; n > 0; --n) text += text_alphabet[random() % text_alphabet.size()];
    const bool expected = slow(pattern, text);
    ASSERT_EQ(match(pattern, text), expected) << pattern << " against " << text;
    matched += expected;
  }
  EXPECT_GT(matched, 1000);
}

TEST(PolicyPattern, AStarInAResourceSpansSlashesAndColons) {
  EXPECT_TRUE(match("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z"));
  EXPECT_FALSE(match("arn:aws:s3:::b/*", "arn:aws:s3:::bx"));
}

TEST(PolicyPattern, AQuestionMarkIsOneCharacterNotOneByte) {
  EXPECT_TRUE(match("x?y", "x\xC3\xA9y"));
  EXPECT_FALSE(match("x??y", "x\xC3\xA9y"));
}

TEST(PolicyPattern, AVariablesValueIsTakenLiterally) {
  Keys keys;
  keys.values = {{"aws:username", "a*"}};
  EXPECT_TRUE(match("home/${aws:username}/*", "home/a*/f", keys));
  EXPECT_FALSE(match("home/${aws:username}/*", "home/abc/f", keys));
}

TEST(PolicyPattern, AMissingVariableMatchesOnlyThroughItsDefault) {
  EXPECT_FALSE(match("team/${aws:PrincipalTag/team}", "team/"));
  EXPECT_TRUE(match("team/${aws:PrincipalTag/team, 'everyone'}", "team/everyone"));
}

TEST(PolicyPattern, EscapedWildcardsArePlainCharacters) {
  EXPECT_TRUE(match("a${*}b${?}c${$}", "a*b?c$"));
  EXPECT_FALSE(match("a${*}b", "axxb"));
}

TEST(PolicyPattern, AHostilePatternStaysCheap) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  pattern += "b";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(match(pattern, std::string(2000, 'a')));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

}  // namespace
}  // namespace bastide::aws
