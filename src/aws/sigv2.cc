// Signature Version 2 of S3, which older clients still send in presigned URLs.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <map>

#include "aws/sigv4.h"
#include "aws/virtual_host.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

constexpr std::string_view kSubresources[] = {"accelerate",
                                              "acl",
                                              "cors",
                                              "delete",
                                              "encryption",
                                              "inventory",
                                              "lifecycle",
                                              "location",
                                              "logging",
                                              "metrics",
                                              "notification",
                                              "object-lock",
                                              "partNumber",
                                              "policy",
                                              "policyStatus",
                                              "publicAccessBlock",
                                              "replication",
                                              "requestPayment",
                                              "response-cache-control",
                                              "response-content-disposition",
                                              "response-content-encoding",
                                              "response-content-language",
                                              "response-content-type",
                                              "response-expires",
                                              "restore",
                                              "retention",
                                              "select",
                                              "select-type",
                                              "tagging",
                                              "torrent",
                                              "uploadId",
                                              "uploads",
                                              "versionId",
                                              "versioning",
                                              "versions",
                                              "website"};

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string resource_of(const net::Request& request, const Pairs& query) {
  std::string out;
  if (const std::string bucket = virtual_bucket(request.host); !bucket.empty()) out = "/" + bucket;
  out += request.raw_path();
  Pairs kept;
  for (const auto& pair : query) {
    if (std::find(std::begin(kSubresources), std::end(kSubresources), pair.first) != std::end(kSubresources))
      kept.push_back(pair);
  }
  std::sort(kept.begin(), kept.end());
  char separator = '?';
  for (const auto& [name, value] : kept) {
    out += separator;
    out += name;
    if (!value.empty()) out += "=" + value;
    separator = '&';
  }
  return out;
}

std::string text_of(const Signature& s, const net::Request& request, const Pairs& query) {
  std::map<std::string, std::string> amz;
  std::string md5 = request.headers.get("Content-MD5"), type = request.headers.get("Content-Type");
  const auto add = [&](const std::string& name, std::string_view value) {
    auto& kept = amz[name];
    if (!kept.empty()) kept += ',';
    kept += trim(value);
  };
  for (const auto& [name, value] : request.headers) {
    if (const std::string low = lower(name); low.starts_with("x-amz-")) add(low, value);
  }
  for (const auto& [name, value] : query) {
    if (!s.presigned) break;
    const std::string low = lower(name);
    if (low.starts_with("x-amz-")) add(low, value);
    if (low == "content-md5") md5 = value;
    if (low == "content-type") type = value;
  }
  const std::string date = s.presigned ? s.timestamp : amz.count("x-amz-date") != 0 ? "" : s.timestamp;
  std::string out = fmt::format("{}\n{}\n{}\n{}\n", request.method, md5, type, date);
  for (const auto& [name, value] : amz) out += name + ":" + value + "\n";
  return out + resource_of(request, query);
}

}  // namespace

Result<std::optional<Signature>> find_signature_v2(const net::Request& request) {
  Signature out;
  out.v2 = true;
  out.scope.service = "s3";
  out.scope.region = "us-east-1";
  const std::string* header = request.headers.find("Authorization");
  if (header != nullptr) {
    if (!header->starts_with("AWS ")) return std::optional<Signature>();
    const size_t colon = header->rfind(':');
    if (colon == std::string::npos || colon <= 4)
      return fault("InvalidArgument",
                   "Authorization header is invalid -- one and only one ' ' (space) required", 400);
    out.access_key_id = header->substr(4, colon - 4);
    out.signature = header->substr(colon + 1);
    out.session_token = request.headers.get("x-amz-security-token");
    out.timestamp = request.headers.get("Date");
    const auto time = parse_http_date(request.headers.get("x-amz-date", out.timestamp));
    if (!time)
      return fault("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header", 403);
    out.signed_at = *time;
    return std::optional<Signature>(std::move(out));
  }
  if (request.raw_query().find("AWSAccessKeyId=") == std::string_view::npos)
    return std::optional<Signature>();
  const auto pairs = TRY(net::parse_form(request.raw_query()));
  out.presigned = true;
  for (const auto& [name, value] : pairs) {
    if (name == "AWSAccessKeyId") out.access_key_id = value;
    if (name == "Signature") out.signature = value;
    if (name == "Expires") out.timestamp = value;
    if (iequals(name, "x-amz-security-token")) out.session_token = value;
  }
  const auto expires = parse_int(out.timestamp);
  if (out.signature.empty() || !expires || *expires < 0 || *expires > int64_t{1} << 40) {
    return fault("AccessDenied",
                 "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
                 403);
  }
  out.expires_seconds = *expires;
  return std::optional<Signature>(std::move(out));
}

Result<void> check_signature_v2(const Signature& s, const net::Request& request, std::string_view secret,
                                Millis now) {
  if (s.presigned && now > s.expires_seconds * kSecond)
    return fault("AccessDenied", "Request has expired", 403);
  if (!s.presigned && (s.signed_at < now - kAllowedSkew || s.signed_at > now + kAllowedSkew)) {
    return fault("RequestTimeTooSkewed",
                 "The difference between the request time and the current time is too large.", 403);
  }
  const auto query = TRY(net::parse_form(request.raw_query()));
  const std::string text = text_of(s, request, query);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  if (equal_constant_time(base64({reinterpret_cast<const char*>(mac), size}), s.signature)) return {};
  return fault(
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided. Check your key "
      "and signing method.",
      403);
}

}  // namespace bastide::aws
