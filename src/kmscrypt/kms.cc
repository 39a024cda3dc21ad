#include "kmscrypt/kms.h"

#include <unistd.h>

#include <cstdlib>

#include "aws/sigv4.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json.h"
#include "kmscrypt/connection.h"
#include "kmscrypt/credentials.h"

namespace bastide::kmscrypt {
namespace {

constexpr Millis kPatience = 10 * kSecond;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

Result<Kms> Kms::from_environment() {
  Kms kms;
  kms.region = variable("AWS_REGION");
  if (kms.region.empty()) kms.region = variable("AWS_DEFAULT_REGION");
  if (kms.region.empty()) return error("AWS_REGION is not set");
  kms.endpoint = variable("AWS_ENDPOINT_URL_KMS");
  if (kms.endpoint.empty()) kms.endpoint = variable("AWS_ENDPOINT_URL");
  if (kms.endpoint.empty()) kms.endpoint = "https://kms." + kms.region + ".amazonaws.com";
  kms.credentials = TRY(find_credentials(kms.region));
  return kms;
}

Result<std::string> Kms::decrypt(std::string_view ciphertext) const {
  constexpr int kAttempts = 4;
  for (int attempt = 1;; ++attempt) {
    bool again = false;
    auto plain = decrypt_once(ciphertext, again);
    if (plain || !again || attempt == kAttempts) return plain;
    ::usleep(static_cast<useconds_t>(100'000 << attempt));
  }
}

// `again`: worth another try.
Result<std::string> Kms::decrypt_once(std::string_view ciphertext, bool& again) const {
  const Url url = TRY(parse_url(endpoint));
  net::Request request;
  request.method = "POST";
  request.target = "/";
  json::Value asked = json::object({{"CiphertextBlob", base64(ciphertext)}});
  for (const auto& [key, value] : context) asked["EncryptionContext"][key] = value;
  request.body = json::print(asked);
  const bool usual = url.port == (url.tls ? 443 : 80);
  request.headers.add("Host", usual ? url.host : url.host + ":" + std::to_string(url.port));
  request.headers.add("Content-Type", "application/x-amz-json-1.1");
  request.headers.add("X-Amz-Target", "TrentService.Decrypt");
  aws::sign_request(request, credentials, region, "kms", Clock::system().wall(), sha256_hex(request.body));
  std::string head = "POST / HTTP/1.1\r\n";
  for (const auto& [name, value] : request.headers) head += name + ": " + value + "\r\n";
  head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  auto got = exchange(url, head, request.body, kPatience);
  again = !got;
  if (!got) return std::move(got).error();
  Reply& reply = *got;
  const auto answer = json::parse(reply.body);
  if (reply.status != 200) {
    std::string code = answer ? answer->get("__type") : "";
    code = code.substr(code.find('#') + 1);
    again = reply.status >= 500 || reply.status == 429 || code.find("Throttl") != std::string::npos;
    const std::string message = answer ? answer->get("message", answer->get("Message")) : "";
    return error("KMS answered " + std::to_string(reply.status) + (code.empty() ? "" : " " + code) +
                 (message.empty() ? "" : ": " + message));
  }
  wipe(reply.body);
  if (!answer || answer->get("Plaintext").empty()) return error("KMS answered no plaintext");
  return unbase64(answer->get("Plaintext"));
}

}  // namespace bastide::kmscrypt
