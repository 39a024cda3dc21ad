#include <gtest/gtest.h>

#include "services/s3/bucket.h"
#include "services/s3/lifecycle.h"

namespace bastide::services::s3 {
namespace {

TEST(BucketNames, FollowTheRules) {
  for (const char* good : {"abc", "my.bucket-1", "123", "a1b"}) EXPECT_TRUE(valid_bucket_name(good)) << good;
  for (const char* bad :
       {"ab", "Abc", "a_b", "-ab", "ab-", "a..b", "192.168.5.4", "xn--abc", "abc-s3alias", ".ab"})
    EXPECT_FALSE(valid_bucket_name(bad)) << bad;
  EXPECT_FALSE(valid_bucket_name(std::string(64, 'a')));
}

TEST(Policies, ArePublicUnlessSomethingFixedNarrowsThem) {
  const auto is_public = [](const char* rest) {
    return is_public_policy(
        json::parse(
            std::string(R"({"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*",)") + rest +
            "}]}")
            .value());
  };
  EXPECT_TRUE(is_public(R"("Principal":"*")"));
  EXPECT_TRUE(is_public(R"("Principal":{"AWS":["*"]})"));
  EXPECT_FALSE(is_public(R"("Principal":{"AWS":"123456789012"})"));
  EXPECT_FALSE(is_public(R"("Principal":{"Service":"cloudfront.amazonaws.com"})"));
  EXPECT_FALSE(
      is_public(R"("Principal":"*","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}})"));
  EXPECT_TRUE(is_public(R"("Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}})"));
  EXPECT_TRUE(
      is_public(R"("Principal":"*","Condition":{"StringNotEquals":{"aws:SourceAccount":"123456789012"}})"));
  EXPECT_TRUE(is_public(R"("Principal":"*","Condition":{"StringEquals":{"aws:Referer":"x"}})"));
}

TEST(Policies, MustBeAboutTheirBucket) {
  const auto code = [](const char* text) {
    const auto checked = check_bucket_policy(text, "box");
    return checked ? std::string("accepted") : checked.error().code;
  };
  EXPECT_EQ(
      code(
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}]})"),
      "accepted");
  EXPECT_EQ(
      code(
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}]})"),
      "MalformedPolicy");
  EXPECT_EQ(
      code(
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}]})"),
      "MalformedPolicy");
  EXPECT_EQ(code("not json"), "MalformedPolicy");
}

TEST(ETags, AreNamedByLists) {
  EXPECT_TRUE(names_etag("\"a\", \"b\"", "b"));
  EXPECT_TRUE(names_etag("*", "x"));
  EXPECT_TRUE(names_etag("b", "b"));
  EXPECT_FALSE(names_etag("\"a\"", "b"));
}

store::objects::Object version(const char* key, const char* id, Millis modified, bool latest,
                               bool marker = false) {
  store::objects::Object out;
  out.key = key;
  out.version = id;
  out.modified = modified;
  out.latest = latest;
  out.marker = marker;
  out.meta = json::object();
  return out;
}

std::string expired_ids(const char* configuration, const std::vector<store::objects::Object>& rows,
                        Millis now) {
  std::string out;
  for (const auto& one : expired(rules_of(json::parse(configuration).value()), rows, now))
    out += one.key + "@" + one.version + (one.permanently ? "! " : " ");
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html: days round up to midnight
// UTC.
TEST(Lifecycle, ExpiresWhatIsDue) {
  const Millis day0 = 20'000 * kDay;
  const std::vector<store::objects::Object> rows = {
      version("logs/a", "3", day0 + kHour, true), version("logs/a", "2", day0 - 9 * kDay, false),
      version("logs/a", "1", day0 - 10 * kDay, false), version("x", "1", day0 - 100 * kDay, true),
      version("y", "m", day0 - 100 * kDay, true, true)};
  const char* by_days =
      R"({"Rules":[{"Status":"Enabled","Filter":{"Prefix":"logs/"},"Expiration":{"Days":1}}]})";
  EXPECT_EQ(expired_ids(by_days, rows, day0 + kDay + kHour), "");
  EXPECT_EQ(expired_ids(by_days, rows, day0 + 2 * kDay), "logs/a@3 ");
  const char* old_versions =
      R"({"Rules":[{"Status":"Enabled","Prefix":"","NoncurrentVersionExpiration":{"NoncurrentDays":5}}]})";
  EXPECT_EQ(expired_ids(old_versions, rows, day0), "logs/a@1! ");
  const char* kept =
      R"({"Rules":[{"Status":"Enabled","Prefix":"","NoncurrentVersionExpiration":{"NoncurrentDays":5,"NewerNoncurrentVersions":2}}]})";
  EXPECT_EQ(expired_ids(kept, rows, day0 + 50 * kDay), "");
  const char* markers =
      R"({"Rules":[{"Status":"Enabled","Prefix":"","Expiration":{"ExpiredObjectDeleteMarker":true}}]})";
  EXPECT_EQ(expired_ids(markers, rows, day0), "y@m! ");
  const char* off = R"({"Rules":[{"Status":"Disabled","Prefix":"","Expiration":{"Days":1}}]})";
  EXPECT_EQ(expired_ids(off, rows, day0 + 50 * kDay), "");
  const char* tagged =
      R"({"Rules":[{"Status":"Enabled","Filter":{"And":{"Prefix":"x","Tags":[{"Key":"k","Value":"v"}]}},"Expiration":{"Days":1}}]})";
  EXPECT_EQ(expired_ids(tagged, rows, day0), "");
  auto with_tag = rows;
  with_tag[3].meta["tags"] = json::array({json::object({{"Key", "k"}, {"Value", "v"}})});
  EXPECT_EQ(expired_ids(tagged, with_tag, day0), "x@1 ");
}

}  // namespace
}  // namespace bastide::services::s3
