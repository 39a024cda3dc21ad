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
  const auto endpoint = [&](const char* own, const char* host) {
    std::string url = variable(own);
    if (url.empty()) url = variable("AWS_ENDPOINT_URL");
    return url.empty() ? "https://" + std::string(host) + "." + kms.region + ".amazonaws.com" : url;
  };
  kms.endpoint = endpoint("AWS_ENDPOINT_URL_KMS", "kms");
  kms.secrets_endpoint = endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER", "secretsmanager");
  kms.credentials = TRY(find_credentials(kms.region));
  return kms;
}

Result<std::string> Kms::decrypt(std::string_view ciphertext) const {
  json::Value asked = json::object({{"CiphertextBlob", base64(ciphertext)}});
  for (const auto& [key, value] : context) asked["EncryptionContext"][key] = value;
  const auto answer = TRY(ask(endpoint, "kms", "TrentService.Decrypt", asked));
  if (answer.get("Plaintext").empty()) return error("KMS answered no plaintext");
  return unbase64(answer.get("Plaintext"));
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
Result<std::string> Kms::secret(const std::string& id) const {
  const auto answer = TRY(ask(secrets_endpoint, "secretsmanager", "secretsmanager.GetSecretValue",
                              json::object({{"SecretId", id}})));
  if (answer.has("SecretBinary")) return unbase64(answer.get("SecretBinary"));
  return answer.get("SecretString");
}

Result<json::Value> Kms::ask(const std::string& where, const std::string& service, const std::string& target,
                             const json::Value& asked) const {
  constexpr int kAttempts = 4;
  for (int attempt = 1;; ++attempt) {
    bool again = false;
    auto answer = ask_once(where, service, target, asked, again);
    if (answer || !again || attempt == kAttempts) return answer;
    ::usleep(static_cast<useconds_t>(100'000 << attempt));
  }
}

// `again`: worth another try.
Result<json::Value> Kms::ask_once(const std::string& where, const std::string& service,
                                  const std::string& target, const json::Value& asked, bool& again) const {
  const Url url = TRY(parse_url(where));
  net::Request request;
  request.method = "POST";
  request.target = "/";
  request.body = json::print(asked);
  const bool usual = url.port == (url.tls ? 443 : 80);
  request.headers.add("Host", usual ? url.host : url.host + ":" + std::to_string(url.port));
  request.headers.add("Content-Type", "application/x-amz-json-1.1");
  request.headers.add("X-Amz-Target", target);
  aws::sign_request(request, credentials, region, service, Clock::system().wall(), sha256_hex(request.body));
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
    return error((service == "kms" ? "KMS answered " : "Secrets Manager answered ") +
                 std::to_string(reply.status) + (code.empty() ? "" : " " + code) +
                 (message.empty() ? "" : ": " + message));
  }
  wipe(reply.body);
  if (!answer) return error("no JSON answer from " + url.host);
  return *answer;
}

}  // namespace bastide::kmscrypt
