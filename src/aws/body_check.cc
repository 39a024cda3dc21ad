#include "aws/body_check.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/checksum.h"

namespace bastide::aws {

Result<void> check_body(const net::Request& request, const net::Headers& trailers, std::string_view body,
                        bool required) {
  bool found = false;
  if (const std::string* sent = request.headers.find("Content-MD5")) {
    const auto digest = unbase64(*sent);
    if (!digest || digest->size() != 16) {
      return fault("InvalidDigest", "The Content-MD5 you specified is not valid.", 400);
    }
    if (checksum(ChecksumKind::md5, body) != *digest)
      return fault("BadDigest", "The Content-MD5 you specified did not match what we received.", 400);
    found = true;
  }
  for (const ChecksumKind kind : kChecksumKinds) {
    const std::string header = "x-amz-checksum-" + lower(checksum_name(kind));
    const std::string* sent = request.headers.find(header);
    if (sent == nullptr) sent = trailers.find(header);
    if (sent == nullptr) continue;
    if (base64(checksum(kind, body)) != *sent) {
      return fault(
          "BadDigest",
          fmt::format("The {} you specified did not match the calculated checksum.", checksum_name(kind)),
          400);
    }
    found = true;
  }
  if (required && !found) {
    return fault("InvalidRequest",
                 "Missing required header for this request: Content-MD5 OR x-amz-checksum-*", 400);
  }
  return {};
}

}  // namespace bastide::aws
