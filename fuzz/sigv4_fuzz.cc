// Whatever stands in a request's headers and query: a signature is found, refused or absent, nothing is
// accepted that was not signed, and the canonical request of any request can be written.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "aws/sigv4.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/crypto.h"

using namespace bastide;

namespace {

constexpr Millis kNow = 1'790'000'000'000;
constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

// RFC 9110 section 5.6.2: the parser lets no other names through.
bool token(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of(
             "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
             std::string_view::npos;
}

// "METHOD TARGET\nName: value\n...\n\nbody"
net::Request request_of(std::string_view text) {
  net::Request request;
  request.method = "GET";
  const size_t line_end = text.find('\n');
  const std::string_view line = text.substr(0, line_end);
  const size_t space = line.find(' ');
  request.method = std::string(line.substr(0, space));
  request.target = space == std::string_view::npos ? "/" : std::string(line.substr(space + 1));
  size_t at = line_end == std::string_view::npos ? text.size() : line_end + 1;
  while (at < text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view header = text.substr(at, end - at);
    at = end + 1;
    if (header.empty()) break;
    const size_t colon = header.find(':');
    if (colon == std::string_view::npos || !token(header.substr(0, colon))) continue;
    request.headers.add(std::string(header.substr(0, colon)), std::string(trim(header.substr(colon + 1))));
  }
  if (at < text.size()) request.body = text.substr(at);
  request.host = request.headers.get("Host");
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  net::Request request = request_of(text);
  const auto found = aws::find_signature(request);
  if (found && *found) {
    const auto& s = **found;
    const aws::SigningKey key(kSecret, s.scope);
    const auto checked = aws::check_signature(s, request, key, sha256_hex(request.body), kNow);
    // Nobody guesses a signature: what is accepted is what we would have signed.
    if (checked) {
      const bool s3 = s.scope.service == "s3";
      const auto canonical =
          aws::canonical_request(request, s.signed_headers, s.presigned, s3,
                                 s.presigned && s3 ? aws::kUnsignedPayload : sha256_hex(request.body));
      CHECK(key.sign_hex(aws::string_to_sign(s.timestamp, s.scope, canonical)) == s.signature || s.presigned);
    }
  }
  for (const bool s3 : {false, true}) {
    const auto canonical =
        aws::canonical_request(request, "host;x-amz-date", false, s3, sha256_hex(request.body));
    CHECK(canonical ==
          aws::canonical_request(request, "host;x-amz-date", false, s3, sha256_hex(request.body)));
  }
  // What is signed here is accepted, and not when a byte of its body differs.
  if (!request.target.starts_with('/') || request.headers.has("Authorization") ||
      request.headers.has("X-Amz-Date") || request.headers.has("X-Amz-Security-Token") ||
      request.target.find("X-Amz-") != std::string::npos) {
    return 0;
  }
  request.headers.set("Host", "example.amazonaws.com");
  request.host = "example.amazonaws.com";
  const aws::Credentials credentials{"AKIDEXAMPLE", kSecret, "", 0};
  aws::sign_request(request, credentials, "us-east-1", "iam", kNow, sha256_hex(request.body));
  const auto own = aws::find_signature(request);
  CHECK(own && *own);
  const aws::SigningKey key(kSecret, (*own)->scope);
  const auto checked = aws::check_signature(**own, request, key, sha256_hex(request.body), kNow);
  if (!checked) fprintf(stderr, "%s\n%s\n", checked.error().message.c_str(), hex(text).c_str());
  CHECK(checked.ok());
  CHECK(!aws::check_signature(**own, request, key, sha256_hex(request.body + "x"), kNow).ok());
  return 0;
}
