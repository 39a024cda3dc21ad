#include "edge/sign.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::edge {

std::string encode_path(std::string_view path) {
  auto plain = percent_decode(path);
  return percent_encode(plain ? *plain : std::string(path), "/");
}

std::string encode_query(std::string_view query) {
  std::string out;
  for (auto part : split(query, '&')) {
    if (part.empty()) continue;
    auto equals = part.find('=');
    auto text = [](std::string_view t) {
      auto plain = percent_decode(t, true);
      return percent_encode(plain ? *plain : std::string(t));
    };
    if (!out.empty()) out += '&';
    out += text(part.substr(0, equals)) + "=";
    if (equals != std::string_view::npos) out += text(part.substr(equals + 1));
  }
  return out;
}

std::string sign_for_s3(const S3Key& key, std::string_view method, std::string_view host,
                        std::string_view path, std::string_view query, Millis now) {
  const auto at = iso8601_basic(now / kSecond * kSecond);
  const auto scope = fmt::format("{}/{}/s3/aws4_request", at.substr(0, 8), key.region);
  std::vector<std::string_view> parts = split(query, '&');
  std::sort(parts.begin(), parts.end());
  const auto canonical = fmt::format(
      "{}\n{}\n{}\nhost:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{}\n\n"
      "host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD",
      method, path, join(parts, "&"), host, at);
  auto derived = hmac_sha256(fmt::format("AWS4{}", key.secret_key), at.substr(0, 8));
  for (auto part : {key.region, std::string_view("s3"), std::string_view("aws4_request")})
    derived = hmac_sha256(derived, part);
  const auto signature = hex(
      hmac_sha256(derived, fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", at, scope, sha256_hex(canonical))));
  wipe(derived);
  return fmt::format(
      "x-amz-date: {}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
      "Authorization: AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
      "Signature={}\r\n",
      at, key.access_key, scope, signature);
}

}  // namespace bastide::edge
