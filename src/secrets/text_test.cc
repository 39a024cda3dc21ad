#include "secrets/text.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace bastide::secrets {
namespace {

// A stand-in for KMS: the ciphertext is the plaintext reversed.
Result<std::string> reversed(std::string_view c) { return std::string(c.rbegin(), c.rend()); }
std::string token(std::string_view plaintext) {
  return make_token(std::string(plaintext.rbegin(), plaintext.rend()));
}

TEST(Tokens, AreReplacedInAnyTextAndNothingElseChanges) {
  const std::string text = "# a: kmscrypt::<base64>\r\npassword = " + token("s3cret") + "\n\tother=\"" +
                           token("two words") + "\";\xff\n";
  const auto out = replace_tokens(text, reversed);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(*out, "# a: kmscrypt::<base64>\r\npassword = s3cret\n\tother=\"two words\";\xff\n");
  EXPECT_EQ(*replace_tokens("nothing here: kmscrypt::", reversed), "nothing here: kmscrypt::");
  EXPECT_EQ(*replace_tokens(token("a\"b"), reversed), "a\"b");
}

TEST(Tokens, InJsonThePlaintextIsEscaped) {
  const std::string secret = "quote\" slash\\ line\n tab\t \xE2\x82\xAC";
  const std::string text = "{\n  \"a\": \"x " + token(secret) + " y\",\n  \"b\": [1, 2.50]\n}\n";
  const auto out = replace_tokens(text, reversed);
  ASSERT_TRUE(out) << out.error().message;
  const auto value = json::parse(*out);
  ASSERT_TRUE(value) << *out;
  EXPECT_EQ(value->get("a"), "x " + secret + " y");
  EXPECT_NE(out->find("2.50"), std::string::npos);
  EXPECT_FALSE(replace_tokens("[\"" + token("\xff\xfe") + "\"]", reversed));
}

TEST(Tokens, AJsonSlashMayBeEscaped) {
  const std::string escaped = "[\"kmscrypt::\\/\\/\\/\\/\"]";
  int calls = 0;
  const auto out = replace_tokens(escaped, [&](std::string_view c) -> Result<std::string> {
    ++calls;
    EXPECT_EQ(c, "\xff\xff\xff");
    return std::string("ok");
  });
  EXPECT_EQ(*out, "[\"ok\"]");
  EXPECT_EQ(calls, 1);
}

TEST(Tokens, EqualOnesAreDecryptedOnce) {
  int calls = 0;
  const auto out = replace_tokens(token("x") + " " + token("x"), [&](std::string_view c) {
    ++calls;
    return reversed(c);
  });
  EXPECT_EQ(*out, "x x");
  EXPECT_EQ(calls, 1);
}

TEST(Tokens, ErrorsTellWhereAndNoSecret) {
  const auto cut = replace_tokens("ok\n  kmscrypt::QUJ\n", reversed);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().message, "line 2, column 3: the encrypted value is cut off or not base64");
  const auto denied =
      replace_tokens(token("first") + "\n" + token("second"), [](std::string_view c) -> Result<std::string> {
        if (c == "tsrif") return std::string("first");
        return error("Denied", "AccessDeniedException");
      });
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().message, "line 2, column 1: AccessDeniedException");
}

TEST(Envelopes, HoldWhatKmsDoesNotTakeAtOnce) {
  const std::string key(32, 'k'), large(100'000, 'x');
  const std::string made = make_envelope(key, std::string(key.rbegin(), key.rend()), large);
  EXPECT_EQ(made.find(kPrefix), std::string::npos);
  const auto out = replace_tokens("a " + made + " b " + token("small"), reversed);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(*out, "a " + large + " b small");
  std::string changed = made;
  changed[changed.size() - 10] = changed[changed.size() - 10] == 'A' ? 'B' : 'A';
  const auto refused = replace_tokens(changed, reversed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "line 1, column 1: the encrypted value was changed");
  EXPECT_FALSE(replace_tokens("kmsenvelope::QUJD", reversed));
}

TEST(References, BecomeWhatTheyName) {
  const auto fetch = [](const std::string& id) -> Result<std::string> {
    if (id == "web/db") return std::string(R"({"password":"p\"w","port":5432})");
    if (id == "plain") return "awssecret::web/db " + token("x");
    return error("NotFound", "no such secret");
  };
  const auto out = replace_tokens(
      "a=awssecret::web/db#password; awssecret::web/db#port. " + token("s") + " awssecret:: is a prefix",
      reversed, fetch);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(*out, "a=p\"w; 5432. s awssecret:: is a prefix");
  EXPECT_EQ(*replace_tokens("{\"a\": \"awssecret::web\\/db#password\"}", reversed, fetch),
            "{\"a\": \"p\\\"w\"}");
  EXPECT_EQ(*replace_tokens("awssecret::plain", reversed, fetch), "awssecret::web/db " + token("x"))
      << "what was fetched is not read again";
  EXPECT_EQ(*replace_tokens("awssecret::web/db", reversed), "awssecret::web/db");
  const auto missing = replace_tokens("x\nawssecret::web/db#none", reversed, fetch);
  EXPECT_EQ(missing.error().message, "line 2, column 1: the secret is no JSON object with the member none");
  EXPECT_FALSE(has_token("awssecret::web/db"));
}

TEST(Tokens, AreRewrittenInPlace) {
  const std::string text = "{\"a\": \"" + token("one") + "\", \"b\": \"" + token("two") + "\"}\n";
  const auto out = rewrite_tokens(text, [](const Token& t) -> Result<std::string> {
    return t.ciphertext == "eno" ? make_token("new") : t.text;
  });
  EXPECT_EQ(*out, "{\"a\": \"" + make_token("new") + "\", \"b\": \"" + token("two") + "\"}\n");
}

}  // namespace
}  // namespace bastide::secrets
