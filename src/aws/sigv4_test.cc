#include "aws/sigv4.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

constexpr Millis kNow = 1440938160'000;  // 2015-08-30T12:36:00Z
const Credentials kExample{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", 0};

net::Request request_of(std::string method, std::string target,
                        std::vector<std::pair<std::string, std::string>> headers, std::string body = "") {
  net::Request out;
  out.method = std::move(method);
  out.target = std::move(target);
  out.headers.add("Host", "example.amazonaws.com");
  for (auto& [name, value] : headers) out.headers.add(name, value);
  out.body = std::move(body);
  return out;
}

struct Vector {
  const char* name;
  net::Request request;
  const char* signature;
};

// AWS's published test suite (aws-sig-v4-test-suite).
std::vector<Vector> suite() {
  return {
      {"get-vanilla", request_of("GET", "/", {}),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-query-order-key-case", request_of("GET", "/?Param2=value2&Param1=value1", {}),
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-utf8-query", request_of("GET", "/?\xe1\x88\xb4=bar", {}),
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-vanilla-empty-query-key", request_of("GET", "/?Param1=value1", {}),
       "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-vanilla-query-unreserved",
       request_of("GET",
                  "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
                  "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                  {}),
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-unreserved",
       request_of("GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {}),
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8", request_of("GET", "/\xe1\x88\xb4", {}),
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-space", request_of("GET", "/example space/", {}),
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-slash", request_of("GET", "//", {}),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slashes", request_of("GET", "//example//", {}),
       "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
      {"get-slash-dot-slash", request_of("GET", "/./", {}),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slash-pointless-dot", request_of("GET", "/./example", {}),
       "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
      {"get-relative", request_of("GET", "/example/..", {}),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-relative-relative", request_of("GET", "/example1/example2/../..", {}),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-header-key-duplicate",
       request_of("GET", "/", {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}),
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-order",
       request_of("GET", "/",
                  {{"My-Header1", "value4"},
                   {"My-Header1", "value1"},
                   {"My-Header1", "value3"},
                   {"My-Header1", "value2"}}),
       "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"get-header-value-trim",
       request_of("GET", "/", {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}),
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-vanilla", request_of("POST", "/", {}),
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-vanilla-query", request_of("POST", "/?Param1=value1", {}),
       "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
      {"post-header-key-sort", request_of("POST", "/", {{"My-Header1", "value1"}}),
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
      {"post-header-value-case", request_of("POST", "/", {{"My-Header1", "VALUE1"}}),
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
      {"post-x-www-form-urlencoded",
       request_of("POST", "/", {{"Content-Type", "application/x-www-form-urlencoded"}}, "Param1=value1"),
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
  };
}

TEST(SigV4, SignsAndChecksAwsTestSuite) {
  for (Vector& vector : suite()) {
    sign_request(vector.request, kExample, "us-east-1", "service", kNow, sha256_hex(vector.request.body));
    const auto signature = find_signature(vector.request);
    ASSERT_TRUE(signature.ok() && signature->has_value()) << vector.name;
    EXPECT_EQ((*signature)->signature, vector.signature) << vector.name;
    const SigningKey key(kExample.secret_access_key, (*signature)->scope);
    EXPECT_TRUE(check_signature(**signature, vector.request, key, sha256_hex(vector.request.body), kNow).ok())
        << vector.name;
  }
}

net::Request signed_request(const std::string& service = "kms", Millis at = kNow) {
  auto request = request_of(
      "POST", "/",
      {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", "TrentService.ListKeys"}}, "{}");
  sign_request(request, kExample, "us-east-1", service, at, sha256_hex(request.body));
  return request;
}

Result<void> check(const net::Request& request, std::string_view body = "{}", Millis now = kNow) {
  const auto signature = TRY(find_signature(request));
  if (!signature) return error("none");
  return check_signature(*signature, request, SigningKey(kExample.secret_access_key, signature->scope),
                         sha256_hex(body), now);
}

TEST(SigV4, AnyChangeOfWhatWasSignedIsNoticed) {
  EXPECT_TRUE(check(signed_request()).ok());
  EXPECT_EQ(check(signed_request(), "{} ").error().code, "SignatureDoesNotMatch");
  for (const char* header : {"Host", "Content-Type", "X-Amz-Target", "X-Amz-Date"}) {
    auto request = signed_request();
    request.headers.set(header, std::string(header) == "X-Amz-Date" ? "20150830T123601Z" : "other");
    EXPECT_EQ(check(request).error().code, "SignatureDoesNotMatch") << header;
  }
  auto request = signed_request();
  request.target = "/?x=1";
  EXPECT_EQ(check(request).error().code, "SignatureDoesNotMatch");
  request = signed_request();
  request.headers.add("X-Amz-Security-Token", "smuggled");
  EXPECT_EQ(check(request).error().code, "AccessDenied");
}

TEST(SigV4, SaysHowFarTheClockIsOff) {
  EXPECT_TRUE(check(signed_request(), "{}", kNow + 14 * kMinute).ok());
  EXPECT_EQ(check(signed_request(), "{}", kNow + 16 * kMinute).error().message,
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T125200Z - 15 "
            "min.)");
  EXPECT_EQ(check(signed_request(), "{}", kNow - 16 * kMinute).error().message,
            "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z "
            "(20150830T122000Z + 15 min.)");
  EXPECT_EQ(check(signed_request("s3"), "{}", kNow + 16 * kMinute).error().code, "RequestTimeTooSkewed");
}

TEST(SigV4, NamesWhatAnAuthorizationHeaderLacks) {
  auto request = signed_request();
  request.headers.set("Authorization",
                      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request");
  EXPECT_EQ(check(request).error().message,
            "Authorization header requires 'Signature' parameter. Authorization header requires "
            "'SignedHeaders' parameter.");
  request.headers.set("Authorization",
                      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/x, SignedHeaders=host, Signature=0");
  EXPECT_EQ(check(request).error().code, "IncompleteSignature");
  for (const char* text : {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ,,,",
                           "AWS4-HMAC-SHA256 =", "AWS4-ECDSA-P256-SHA256 x"}) {
    request.headers.set("Authorization", text);
    EXPECT_EQ(check(request).error().code, "IncompleteSignature") << text;
  }
  request.headers.set("Authorization", "AWS a:b");
  EXPECT_FALSE(check(request));
  request.headers.set("Authorization", "Basic abc");
  EXPECT_FALSE(find_signature(request)->has_value());
}

TEST(SigV4, PresignedRequestsWorkUntilTheyExpire) {
  net::Request request = request_of("GET", "/bucket/a%20key?versionId=3", {});
  Credentials credentials = kExample;
  credentials.session_token = "to/ken+=";
  request.target = presign(request, credentials, "us-east-1", "s3", kNow, 3600);
  const auto signature = find_signature(request);
  ASSERT_TRUE(signature.ok() && signature->has_value());
  EXPECT_EQ((*signature)->session_token, "to/ken+=");
  const SigningKey key(kExample.secret_access_key, (*signature)->scope);
  EXPECT_TRUE(check_signature(**signature, request, key, kUnsignedPayload, kNow + 59 * kMinute).ok());
  EXPECT_EQ(check_signature(**signature, request, key, kUnsignedPayload, kNow + 61 * kMinute).error().code,
            "AccessDenied");
  request.target += "&x=y";
  EXPECT_EQ(check_signature(**signature, request, key, kUnsignedPayload, kNow).error().code,
            "SignatureDoesNotMatch");
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html: the example there.
TEST(SigV4, ChunksAreSignedUponEachOther) {
  Signature seed;
  seed.timestamp = "20130524T000000Z";
  seed.scope = {"20130524", "us-east-1", "s3"};
  seed.signature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
  ChunkSignatures chunks(seed, SigningKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", seed.scope));
  EXPECT_TRUE(chunks.check(sha256_hex(std::string(65536, 'a')),
                           "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"));
  EXPECT_TRUE(chunks.check(sha256_hex(std::string(1024, 'a')),
                           "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"));
  EXPECT_FALSE(
      chunks.check(sha256_hex("x"), "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"));
  EXPECT_TRUE(
      chunks.check(sha256_hex(""), "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"));
}

TEST(SigV4, ACachedKeyIsNotUsedForAnotherSecret) {
  SigningKeys keys;
  const Scope scope{"20150830", "us-east-1", "kms"};
  const auto first = keys.get("AKID", "one", scope).sign_hex("x");
  EXPECT_EQ(keys.get("AKID", "one", scope).sign_hex("x"), first);
  EXPECT_NE(keys.get("AKID", "two", scope).sign_hex("x"), first);
}

}  // namespace
}  // namespace bastide::aws
