#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/time.h"

namespace bastide {
namespace {

TEST(Bytes, Base64RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(*unbase64(base64(bytes)), bytes);
    EXPECT_EQ(*unbase64url(base64url(bytes)), bytes);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_FALSE(unbase64("abc"));
  EXPECT_FALSE(unbase64("ab!="));
  EXPECT_FALSE(unbase64("/x=="));  // stray bits
}

TEST(Bytes, PercentEncoding) {
  EXPECT_EQ(percent_encode("a b/c~é"), "a%20b%2Fc~%C3%A9");
  EXPECT_EQ(*percent_decode("a%20b+c", true), "a b c");
  EXPECT_FALSE(percent_decode("%2"));
  EXPECT_FALSE(percent_decode("%zz"));
}

TEST(Bytes, ClosestFindsSlips) {
  EXPECT_EQ(closest("heatlh", {"health", "image", "port"}), "health");
  EXPECT_EQ(closest("prot", {"health", "image", "port"}), "port");
  EXPECT_EQ(closest("zzzzzz", {"health", "image", "port"}), "");
}

TEST(Bytes, Utf8) {
  EXPECT_TRUE(valid_utf8("né €😀"));
  EXPECT_FALSE(valid_utf8("\xc0\x80"));
  EXPECT_FALSE(valid_utf8("\xed\xa0\x80"));
}

TEST(Crypto, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(md5("abc")), "900150983cd24fb0d6963f7d28e17f72");
  Sha256 incremental;
  incremental.update("ab");
  incremental.update("c");
  EXPECT_EQ(hex(incremental.finish()), sha256_hex("abc"));
}

TEST(Crypto, SealedTextOpensOnlyUnderItsKeyAndContext) {
  const std::string key = random_bytes(32);
  const std::string sealed = seal(key, "secret", "context");
  EXPECT_EQ(*unseal(key, sealed, "context"), "secret");
  EXPECT_FALSE(unseal(key, sealed, "other"));
  EXPECT_FALSE(unseal(random_bytes(32), sealed, "context"));
  std::string flipped = sealed;
  flipped[14] ^= 1;
  EXPECT_FALSE(unseal(key, flipped, "context"));
}

TEST(Time, Formats) {
  const Millis t = *parse_iso8601("2026-11-22T15:44:54.250Z");
  EXPECT_EQ(iso8601(t), "2026-11-22T15:44:54.250Z");
  EXPECT_EQ(iso8601_basic(t), "20261122T154454Z");
  EXPECT_EQ(http_date(t), "Sun, 22 Nov 2026 15:44:54 GMT");
  EXPECT_EQ(*parse_http_date(http_date(t)), t - 250);
  EXPECT_EQ(*parse_iso8601("20261122T154454Z"), t - 250);
  EXPECT_EQ(*parse_iso8601("2026-11-22T17:44:54+02:00"), t - 250);
  EXPECT_FALSE(parse_iso8601("2026-02-30T00:00:00Z"));
  EXPECT_FALSE(parse_iso8601("yesterday"));
}

TEST(Json, RoundTripsAndKeepsOrder) {
  const std::string text = R"({"b":1,"a":[true,null,"x\n\u00e9",-2.5],"o":{}})";
  EXPECT_EQ(json::print(*json::parse(text)), R"({"b":1,"a":[true,null,"x\né",-2.5],"o":{}})");
}

TEST(Json, RefusesWithLineAndColumn) {
  EXPECT_EQ(json::parse("{\n  \"a\": tru\n}").error().message.substr(0, 7), "line 2,");
  EXPECT_FALSE(json::parse(R"({"a":1,"a":2})"));
  EXPECT_FALSE(json::parse(std::string(65, '[') + std::string(65, ']')));
  EXPECT_TRUE(json::parse(std::string(64, '[') + std::string(64, ']')));
  EXPECT_FALSE(json::parse("\"\xff\""));
  EXPECT_FALSE(json::parse("1 2"));
}

}  // namespace
}  // namespace bastide
