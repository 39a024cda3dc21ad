#include <fmt/format.h>

#include "aws/sigv4.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Error incomplete(std::string message) { return fault("IncompleteSignature", std::move(message), 400); }
Error mismatch(std::string message) { return fault("SignatureDoesNotMatch", std::move(message), 403); }

Result<void> read_credential(std::string_view text, Signature& out) {
  const auto parts = split(text, '/');
  if (parts.size() != 5) {
    return incomplete(
        fmt::format("Credential must have exactly 5 slash-delimited elements, e.g. "
                    "keyid/date/region/service/term, got '{}'",
                    text));
  }
  if (parts[4] != "aws4_request") {
    return mismatch(fmt::format(
        "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'.", parts[4]));
  }
  out.access_key_id = parts[0];
  out.scope = {std::string(parts[1]), std::string(parts[2]), std::string(parts[3])};
  return {};
}

Result<void> read_timestamp(std::string_view text, Signature& out) {
  const auto time = text.size() == 16 ? parse_iso8601(text) : Result<Millis>(error("Invalid", "length"));
  if (!time) {
    return incomplete(
        fmt::format("Date must be in ISO-8601 'basic format'. Got '{}'. See "
                    "http://en.wikipedia.org/wiki/ISO_8601",
                    text));
  }
  out.timestamp = text;
  out.signed_at = time.value();
  return {};
}

Result<Signature> from_header(const net::Request& request, std::string_view header) {
  Signature out;
  std::string_view rest = trim(header.substr(kAlgorithm.size()));
  std::string_view credential;
  for (const std::string_view raw : split(rest, ',')) {
    const std::string_view part = trim(raw);
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      return incomplete(
          fmt::format("'{}' not a valid key=value pair (missing equal-sign) in Authorization header.", part));
    }
    const std::string_view name = part.substr(0, equals), value = part.substr(equals + 1);
    if (name == "Credential")
      credential = value;
    else if (name == "SignedHeaders")
      out.signed_headers = value;
    else if (name == "Signature")
      out.signature = value;
  }
  std::string lacking;
  if (credential.empty()) lacking += "Authorization header requires 'Credential' parameter. ";
  if (out.signature.empty()) lacking += "Authorization header requires 'Signature' parameter. ";
  if (out.signed_headers.empty()) lacking += "Authorization header requires 'SignedHeaders' parameter. ";
  std::string date = request.headers.get("X-Amz-Date");
  if (date.empty()) {
    const auto http = parse_http_date(request.headers.get("Date"));
    if (http) date = iso8601_basic(http.value());
  }
  if (date.empty())
    lacking += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
  if (!lacking.empty()) return incomplete(std::string(trim(lacking)));
  TRY(read_credential(credential, out));
  TRY(read_timestamp(date, out));
  out.session_token = request.headers.get("X-Amz-Security-Token");
  return out;
}

Result<std::optional<Signature>> from_query(const net::Request& request) {
  const std::string_view query = request.raw_query();
  if (query.find("X-Amz-Algorithm=") == std::string_view::npos) return std::optional<Signature>();
  const auto pairs = TRY(net::parse_form(query));
  Signature out;
  out.presigned = true;
  std::string algorithm, credential, date, expires;
  for (const auto& [name, value] : pairs) {
    if (name == "X-Amz-Algorithm")
      algorithm = value;
    else if (name == "X-Amz-Credential")
      credential = value;
    else if (name == "X-Amz-Date")
      date = value;
    else if (name == "X-Amz-Expires")
      expires = value;
    else if (name == "X-Amz-SignedHeaders")
      out.signed_headers = value;
    else if (name == "X-Amz-Signature")
      out.signature = value;
    else if (name == "X-Amz-Security-Token")
      out.session_token = value;
  }
  if (algorithm != kAlgorithm)
    return incomplete(fmt::format("Unsupported AWS 'algorithm': '{}'.", algorithm));
  if (credential.empty() || date.empty() || out.signed_headers.empty() || out.signature.empty()) {
    return incomplete(
        "AWS query-string parameters must include 'X-Amz-Algorithm', 'X-Amz-Credential', "
        "'X-Amz-Signature', 'X-Amz-SignedHeaders' and 'X-Amz-Date'. Re-examine the query-string parameters.");
  }
  TRY(read_credential(credential, out));
  TRY(read_timestamp(date, out));
  const auto seconds = parse_int(expires.empty() ? "900" : expires);
  if (!seconds || seconds.value() < 0 || seconds.value() > kMaxPresignSeconds) {
    return fault("AuthorizationQueryParametersError",
                 "X-Amz-Expires must be a number of at most 604800 seconds", 400);
  }
  out.expires_seconds = seconds.value();
  return std::optional<Signature>(std::move(out));
}

bool listed(std::string_view signed_headers, std::string_view name) {
  for (const std::string_view one : split(signed_headers, ';')) {
    if (iequals(one, name)) return true;
  }
  return false;
}

Result<void> check_time(const Signature& s, Millis now) {
  if (s.scope.date != s.timestamp.substr(0, 8)) {
    return mismatch(fmt::format(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'{}' != '{}', from '{}'.",
        s.scope.date, s.timestamp.substr(0, 8), s.timestamp));
  }
  const bool s3 = s.scope.service == "s3";
  const Millis early = now + kAllowedSkew;
  if (s.presigned) {
    const Millis end = s.signed_at + s.expires_seconds * kSecond;
    if (now > end) {
      return s3 ? fault("AccessDenied", "Request has expired", 403)
                : mismatch(fmt::format("Signature expired: {} is now earlier than {} ({} - {} min.)",
                                       s.timestamp, iso8601_basic(now - s.expires_seconds * kSecond),
                                       iso8601_basic(now), s.expires_seconds / 60));
    }
    if (s.signed_at <= early) return {};
  } else if (s.signed_at < now - kAllowedSkew) {
    if (s3)
      return fault("RequestTimeTooSkewed",
                   "The difference between the request time and the current time is too large.", 403);
    return mismatch(fmt::format("Signature expired: {} is now earlier than {} ({} - 15 min.)", s.timestamp,
                                iso8601_basic(now - kAllowedSkew), iso8601_basic(now)));
  }
  if (s.signed_at > early) {
    if (s3)
      return fault("RequestTimeTooSkewed",
                   "The difference between the request time and the current time is too large.", 403);
    return mismatch(fmt::format("Signature not yet current: {} is still later than {} ({} + 15 min.)",
                                s.timestamp, iso8601_basic(early), iso8601_basic(now)));
  }
  return {};
}

// What a signature must cover, so that nobody on the way can change what a request means.
Result<void> check_coverage(const Signature& s, const net::Request& request) {
  if (!listed(s.signed_headers, "host")) {
    return mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  std::vector<std::string_view> uncovered;
  for (const auto& [name, value] : request.headers) {
    if (name.size() < 6 || !iequals(std::string_view(name).substr(0, 6), "x-amz-")) continue;
    if (iequals(name, "x-amz-user-agent") || (iequals(name, "x-amz-content-sha256") && s.presigned)) continue;
    if (!listed(s.signed_headers, name)) uncovered.push_back(name);
  }
  if (uncovered.empty()) return {};
  return fault("AccessDenied",
               "There were headers present in the request which were not signed: " + join(uncovered, ", "),
               403);
}

}  // namespace

Result<std::optional<Signature>> find_signature(const net::Request& request) {
  const std::string* header = request.headers.find("Authorization");
  if (header == nullptr) {
    auto found = TRY(from_query(request));
    if (found) return std::optional<Signature>(std::move(found));
    return find_signature_v2(request);
  }
  if (header->starts_with("AWS ")) return find_signature_v2(request);
  if (!header->starts_with(kAlgorithm)) {
    if (header->starts_with("AWS4-")) {
      return incomplete(
          fmt::format("Unsupported AWS 'algorithm': '{}'.", header->substr(0, header->find(' '))));
    }
    return std::optional<Signature>();
  }
  auto signature = TRY(from_header(request, *header));
  return std::optional<Signature>(std::move(signature));
}

Result<void> check_signature(const Signature& s, const net::Request& request, const SigningKey& key,
                             std::string_view payload_hash, Millis now) {
  TRY(check_time(s, now));
  TRY(check_coverage(s, request));
  const std::string text = string_to_sign(
      s.timestamp, s.scope,
      canonical_request(request, s.signed_headers, s.presigned, s.scope.service == "s3", payload_hash));
  if (equal_constant_time(key.sign_hex(text), s.signature)) return {};
  return mismatch(
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
      "Access Key and signing method. Consult the service documentation for details.");
}

ChunkSignatures::ChunkSignatures(const Signature& seed, SigningKey key)
    : timestamp_(seed.timestamp), scope_(seed.scope.text()), previous_(seed.signature), key_(key) {}

bool ChunkSignatures::next(std::string_view algorithm, std::string_view hashes, std::string_view signature) {
  const std::string expected =
      key_.sign_hex(fmt::format("{}\n{}\n{}\n{}\n{}", algorithm, timestamp_, scope_, previous_, hashes));
  if (!equal_constant_time(expected, signature)) return false;
  previous_ = expected;
  return true;
}

bool ChunkSignatures::check(std::string_view chunk_hash, std::string_view signature) {
  static const std::string empty = sha256_hex("");
  return next("AWS4-HMAC-SHA256-PAYLOAD", empty + "\n" + std::string(chunk_hash), signature);
}

bool ChunkSignatures::check_trailer(std::string_view trailer_hash, std::string_view signature) {
  return next("AWS4-HMAC-SHA256-TRAILER", trailer_hash, signature);
}

}  // namespace bastide::aws
