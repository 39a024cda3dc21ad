#include <algorithm>

#include "aws/sigv4.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

std::string signed_header_names(const net::Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) {
    std::string low = lower(name);
    // Proxies on the way may change these.
    if (low == "authorization" || low == "user-agent" || low == "connection" || low == "expect" ||
        low == "transfer-encoding" || low == "content-length" || low == "x-amzn-trace-id") {
      continue;
    }
    names.push_back(std::move(low));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return join(names, ";");
}

}  // namespace

void sign_request(net::Request& request, const Credentials& credentials, std::string_view region,
                  std::string_view service, Millis now, std::string_view payload_hash) {
  const std::string timestamp = iso8601_basic(now);
  const Scope scope{timestamp.substr(0, 8), std::string(region), std::string(service)};
  request.headers.set("X-Amz-Date", timestamp);
  if (!credentials.session_token.empty())
    request.headers.set("X-Amz-Security-Token", credentials.session_token);
  if (service == "s3") request.headers.set("x-amz-content-sha256", std::string(payload_hash));
  const std::string names = signed_header_names(request.headers);
  const std::string text = string_to_sign(
      timestamp, scope, canonical_request(request, names, false, service == "s3", payload_hash));
  const std::string signature = SigningKey(credentials.secret_access_key, scope).sign_hex(text);
  request.headers.set("Authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key_id + "/" +
                                           scope.text() + ", SignedHeaders=" + names +
                                           ", Signature=" + signature);
}

std::string presign(const net::Request& request, const Credentials& credentials, std::string_view region,
                    std::string_view service, Millis now, int64_t expires_seconds) {
  const std::string timestamp = iso8601_basic(now);
  const Scope scope{timestamp.substr(0, 8), std::string(region), std::string(service)};
  net::Request to_sign;
  to_sign.method = request.method;
  to_sign.headers.set("Host", request.headers.get("Host", request.host));
  to_sign.target = request.target + (request.target.find('?') == std::string::npos ? "?" : "&") +
                   "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" +
                   percent_encode(credentials.access_key_id + "/" + scope.text()) +
                   "&X-Amz-Date=" + timestamp + "&X-Amz-Expires=" + std::to_string(expires_seconds) +
                   "&X-Amz-SignedHeaders=host";
  if (!credentials.session_token.empty()) {
    to_sign.target += "&X-Amz-Security-Token=" + percent_encode(credentials.session_token);
  }
  const std::string hash = service == "s3" ? std::string(kUnsignedPayload) : sha256_hex("");
  const std::string text =
      string_to_sign(timestamp, scope, canonical_request(to_sign, "host", true, service == "s3", hash));
  return to_sign.target +
         "&X-Amz-Signature=" + SigningKey(credentials.secret_access_key, scope).sign_hex(text);
}

}  // namespace bastide::aws
