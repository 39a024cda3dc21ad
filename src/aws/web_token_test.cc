#include "aws/web_token.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace bastide::aws {
namespace {

// https://www.rfc-editor.org/rfc/rfc7515#appendix-A.2
const std::string kRsaKey =
    R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})";
const std::string kClaims =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const std::string kRsaToken =
    "eyJhbGciOiJSUzI1NiJ9." + kClaims +
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
    "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
    "IoypGlUPQGe77Rw";
// https://www.rfc-editor.org/rfc/rfc7515#appendix-A.3
const std::string kEcKey =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
const std::string kEcToken =
    "eyJhbGciOiJFUzI1NiJ9." + kClaims +
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

json::Value keys(const std::string& list) { return json::parse("{\"keys\":[" + list + "]}").value(); }
std::string outcome(const std::string& token, const json::Value& jwks) {
  const auto parsed = parse_web_token(token);
  if (!parsed) return parsed.error().code;
  const auto checked = verify_web_token(*parsed, jwks);
  return checked ? "good" : checked.error().code;
}

TEST(WebToken, TheStandardsOwnExamplesAreGood) {
  EXPECT_EQ(outcome(kRsaToken, keys(kRsaKey)), "good");
  EXPECT_EQ(outcome(kEcToken, keys(kEcKey)), "good");
  EXPECT_EQ(outcome(kEcToken, keys(kRsaKey + "," + kEcKey)), "good");
  EXPECT_EQ(outcome(kEcToken, keys(kRsaKey)), "NotFound");
  EXPECT_EQ(outcome(kEcToken, json::object()), "NotFound");
  const auto token = parse_web_token(kRsaToken).value();
  EXPECT_EQ(token.issuer, "joe");
  EXPECT_EQ(token.expires_at, 1'300'819'380'000);
}

TEST(WebToken, AnyOtherByteIsRefused) {
  for (const auto& [token, key] : {std::pair(kRsaToken, kRsaKey), std::pair(kEcToken, kEcKey)}) {
    for (size_t i = 0; i + 1 < token.size(); i += 7) {  // the last character has bits to spare
      std::string changed = token;
      if (changed[i] == '.') continue;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_NE(outcome(changed, keys(key)), "good") << "byte " << i;
    }
  }
}

TEST(WebToken, WithoutASignatureOrWithAnotherAlgorithmNothingIsGood) {
  const std::string claims = "." + kClaims + ".";
  const std::string signature = kRsaToken.substr(kRsaToken.rfind('.') + 1);
  for (const char* algorithm : {"none", "None", "HS256", "PS256", "RS1", ""}) {
    const std::string header = base64url(std::string(R"({"alg":")") + algorithm + "\"}");
    EXPECT_EQ(outcome(header + claims, keys(kRsaKey)), "Denied") << algorithm;
    EXPECT_EQ(outcome(header + claims + signature, keys(kRsaKey)), "Denied") << algorithm;
  }
  EXPECT_EQ(outcome(base64url(R"({"alg":"RS256","crit":["exp"]})") + claims + signature, keys(kRsaKey)),
            "Invalid");
}

TEST(WebToken, AKeyThatIsMeantForSomethingElseIsNotUsed) {
  EXPECT_EQ(outcome(kEcToken, keys(kEcKey.substr(0, kEcKey.size() - 1) + R"(,"use":"enc"})")), "NotFound");
  EXPECT_EQ(outcome(kEcToken, keys(kEcKey.substr(0, kEcKey.size() - 1) + R"(,"alg":"ES384"})")), "NotFound");
  EXPECT_EQ(outcome(kEcToken, keys(R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"})")), "Denied");
  // A point that is not on the curve.
  EXPECT_EQ(
      outcome(
          kEcToken,
          keys(
              R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})")),
      "Denied");
}

TEST(WebToken, WhatIsNoTokenIsSaidToBeNone) {
  for (const std::string& text :
       {std::string(), std::string("a.b.c"), std::string(".."), std::string("e30.e30"),
        std::string("e30.W10.AA"), std::string(30'000, 'a'), std::string("eyJhbGciOiJSUzI1NiJ9.e30.AA.AA")}) {
    EXPECT_FALSE(parse_web_token(text)) << text.substr(0, 40);
  }
  const auto odd =
      parse_web_token("e30." + base64url(R"({"exp":1e300,"iat":-5,"nbf":"x","aud":["a","b"]})") + ".AA");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->expires_at, 0);
  EXPECT_EQ(odd->issued_at, 0);
  EXPECT_EQ(odd->audience.size(), 2u);
}

}  // namespace
}  // namespace bastide::aws
