// Signature Version 4, both ways: signing what a client sends, and checking what a server received.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aws/client.h"
#include "base/result.h"
#include "base/time.h"
#include "net/http.h"

namespace bastide::aws {

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr Millis kAllowedSkew = 15 * kMinute;
inline constexpr int64_t kMaxPresignSeconds = 7 * 24 * 3600;

struct Scope {
  std::string date;  // "20261122"
  std::string region;
  std::string service;
  std::string text() const;  // 20261122/us-east-1/kms/aws4_request
};

// A derived key, ready to sign many strings.
class SigningKey {
 public:
  SigningKey(std::string_view secret, const Scope& scope);
  std::string sign_hex(std::string_view text) const;
  std::string sign(std::string_view text) const;  // 32 raw bytes

 private:
  alignas(8) unsigned char inner_[112];  // SHA-256 states after the padded key
  alignas(8) unsigned char outer_[112];
};

// Keys already derived, by access key and scope. On one thread. At most 4,096; forgotten all at once.
class SigningKeys {
 public:
  const SigningKey& get(const std::string& access_key_id, std::string_view secret, const Scope& scope);

 private:
  struct Known {
    std::string secret_hash;
    SigningKey key;
  };
  std::unordered_map<std::string, Known> known_;
};

// What a request says about its own signature.
struct Signature {
  bool presigned = false;
  bool v2 = false;  // of S3's older scheme
  std::string access_key_id;
  Scope scope;
  std::string signed_headers;  // "host;x-amz-date"
  std::string signature;
  std::string timestamp;  // "20261122T154454Z"
  Millis signed_at = 0;
  int64_t expires_seconds = 0;  // of a presigned request
  std::string session_token;
};

// Nothing where the request carries no signature at all. Faults: IncompleteSignature, in AWS's words.
Result<std::optional<Signature>> find_signature(const net::Request& request);

// Faults: SignatureDoesNotMatch, RequestTimeTooSkewed (S3), AccessDenied (an expired presigned request).
// `payload_hash`: hex SHA-256 of the body, or what x-amz-content-sha256 announces where the caller checks
// that.
Result<void> check_signature(const Signature& signature, const net::Request& request, const SigningKey& key,
                             std::string_view payload_hash, Millis now);

// Signature Version 2, as older clients of S3 send it. The same answers; `timestamp` is its Date or Expires.
Result<std::optional<Signature>> find_signature_v2(const net::Request& request);
Result<void> check_signature_v2(const Signature& signature, const net::Request& request,
                                std::string_view secret, Millis now);

// The text that is signed, and the canonical request inside it. `s3`: paths are encoded once.
std::string canonical_request(const net::Request& request, std::string_view signed_headers, bool presigned,
                              bool s3, std::string_view payload_hash);
std::string string_to_sign(std::string_view timestamp, const Scope& scope, std::string_view canonical);

// Adds X-Amz-Date, X-Amz-Security-Token and Authorization. Host must be set. Signs every header that is
// there.
void sign_request(net::Request& request, const Credentials& credentials, std::string_view region,
                  std::string_view service, Millis now, std::string_view payload_hash);
// The target (path and query) of a presigned request: `request` has method, target and Host.
std::string presign(const net::Request& request, const Credentials& credentials, std::string_view region,
                    std::string_view service, Millis now, int64_t expires_seconds);

// The signatures of the chunks of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD body, each upon the one before it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
class ChunkSignatures {
 public:
  ChunkSignatures(const Signature& seed, SigningKey key);
  // Whether this is the next chunk's signature. `chunk_hash`: hex SHA-256 of its data.
  bool check(std::string_view chunk_hash, std::string_view signature);
  bool check_trailer(std::string_view trailer_hash, std::string_view signature);

 private:
  bool next(std::string_view algorithm, std::string_view hashes, std::string_view signature);
  std::string timestamp_;
  std::string scope_;
  std::string previous_;
  SigningKey key_;
};

}  // namespace bastide::aws
