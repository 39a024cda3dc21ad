#include "helper/aws.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/time.h"
#include "helper/connection.h"

namespace bastide::kmscrypt {
namespace {

constexpr const char* kCredentialHost = "http://169.254.170.2";

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool single_line(const std::string& text) { return text.find_first_of("\r\n") == std::string::npos; }

Result<std::string> region() {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    std::string value = env(name);
    if (value.empty()) continue;
    if (value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
      return error(std::string(name) + " is not a region");
    }
    return value;
  }
  return error("no region: set AWS_REGION");
}

Result<Url> endpoint(const std::string& region) {
  for (const char* name : {"AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"}) {
    const std::string value = env(name);
    if (value.empty()) continue;
    auto url = parse_url(value);
    if (!url) return std::move(url).error().context(name);
    url->path = "/";
    return url;
  }
  return parse_url("https://kms." + region +
                   (region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com"));
}

}  // namespace

// The order of the SDKs: the environment's keys, then the container's endpoint.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
Result<void> Kms::load_credentials() {
  if (loaded_) return {};
  credentials_ = {env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN")};
  if (credentials_.id.empty() || credentials_.secret.empty()) {
    std::string address = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (const auto relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty()) {
      address = kCredentialHost + relative;
    }
    if (address.empty())
      return error(
          "no credentials: neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI "
          "is set");
    auto url = parse_url(address);
    if (!url) return std::move(url).error().context("container credentials");
    Exchange request;
    request.headers = {{"Accept", "application/json"}};
    std::string token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const auto path = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !path.empty()) {
      std::ifstream file(path);
      token.assign(std::istreambuf_iterator<char>(file), {});
      token = trim(token);
    }
    if (!single_line(token)) return error("the container's authorization token is damaged");
    if (!token.empty()) request.headers.emplace_back("Authorization", token);
    auto answer = exchange(*url, request, ca_file_);
    if (!answer) return std::move(answer).error().context("container credentials");
    if (answer->status != 200)
      return error("container credentials: status " + std::to_string(answer->status));
    const auto body = json::parse(answer->body);
    wipe(answer->body);
    if (!body) return error("container credentials: not JSON");
    credentials_ = {body->get("AccessKeyId"), body->get("SecretAccessKey"), body->get("Token")};
    if (credentials_.id.empty() || credentials_.secret.empty())
      return error("container credentials: no keys in the answer");
  }
  if (!single_line(credentials_.id + credentials_.token)) return error("the credentials are damaged");
  loaded_ = true;
  return {};
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html, signed after
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
Result<std::string> Kms::decrypt(std::string_view ciphertext) {
  TRY(load_credentials());
  const auto where = TRY(region());
  const auto url = TRY(endpoint(where));
  auto input = json::object({{"CiphertextBlob", base64(ciphertext)}});
  if (!context_.empty()) {
    auto context = json::object();
    for (const auto& [k, v] : context_) context[k] = v;
    input["EncryptionContext"] = std::move(context);
  }
  Exchange request;
  request.method = "POST";
  request.body = json::print(input);
  const std::string now = iso8601_basic(Clock::system().wall());
  const std::string date = now.substr(0, 8), scope = date + "/" + where + "/kms/aws4_request";
  std::vector<std::pair<std::string, std::string>> headers = {
      {"content-type", "application/x-amz-json-1.1"}, {"host", url.host_header()}, {"x-amz-date", now}};
  if (!credentials_.token.empty()) headers.emplace_back("x-amz-security-token", credentials_.token);
  headers.emplace_back("x-amz-target", "TrentService.Decrypt");
  std::string canonical = "POST\n/\n\n", names;
  for (const auto& [name, value] : headers) {
    canonical += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
    if (name != "host") request.headers.emplace_back(name, value);
  }
  canonical += "\n" + names + "\n" + sha256_hex(request.body);
  std::string key = hmac_sha256("AWS4" + credentials_.secret, date);
  for (const auto& part : {where, std::string("kms"), std::string("aws4_request")})
    key = hmac_sha256(key, part);
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + now + "\n" + scope + "\n" + sha256_hex(canonical);
  request.headers.emplace_back("Authorization", "AWS4-HMAC-SHA256 Credential=" + credentials_.id + "/" +
                                                    scope + ", SignedHeaders=" + names +
                                                    ", Signature=" + hex(hmac_sha256(key, to_sign)));
  wipe(key);
  auto answer = exchange(url, request, ca_file_);
  if (!answer) return std::move(answer).error().context("KMS");
  auto body = json::parse(answer->body);
  wipe(answer->body);
  if (answer->status != 200) {
    if (!body) return error("KMS: status " + std::to_string(answer->status));
    std::string code = body->get("__type");
    code = code.substr(code.find('#') + 1);
    const std::string message = body->get("message", body->get("Message"));
    return error("KMS: " + code + (message.empty() ? "" : ": " + message));
  }
  if (!body) return error("KMS: the answer is not JSON");
  auto* text = body->find("Plaintext");
  if (!text || !text->is_string()) return error("KMS: no plaintext in the answer");
  return unbase64(text->string());
}

}  // namespace bastide::kmscrypt
