#include "kmscrypt/credentials.h"

#include <cstdlib>

#include "base/bytes.h"
#include "base/json.h"
#include "kmscrypt/connection.h"
#include "sys/file.h"

namespace bastide::kmscrypt {
namespace {

constexpr Millis kPatience = 5 * kSecond;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Plain HTTP only to the addresses that AWS's SDKs accept: loopback and the two link-local container endpoints.
bool safe_without_tls(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" || host == "169.254.170.2" || host == "169.254.170.23";
}

}  // namespace

Result<aws::Credentials> find_credentials() {
  if (const auto key = variable("AWS_ACCESS_KEY_ID"); !key.empty()) {
    return aws::Credentials{key, variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN"), 0};
  }
  std::string address = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const auto relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty()) {
    address = "http://169.254.170.2" + relative;
  }
  if (address.empty()) {
    return error("no credentials: neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set");
  }
  const Url url = TRY(parse_url(address));
  if (!url.tls && !safe_without_tls(url.host)) return error("credentials are not fetched from " + url.host + " without TLS");
  std::string head = "GET " + url.path + " HTTP/1.1\r\nHost: " + url.host + "\r\nAccept: application/json\r\n";
  std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const auto file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    token = std::string(trim(TRY(sys::read_file(file, 64 << 10))));
  }
  if (token.find_first_of("\r\n") != std::string::npos) return error("the container's authorization token has a line break");
  if (!token.empty()) head += "Authorization: " + token + "\r\n";
  const auto reply = TRY(exchange(url, head, "", kPatience));
  if (reply.status != 200) return error("the credential endpoint answered " + std::to_string(reply.status));
  const auto v = json::parse(reply.body);
  if (!v || v->get("AccessKeyId").empty() || v->get("SecretAccessKey").empty()) {
    return error("the credential endpoint answered no credentials");
  }
  return aws::Credentials{v->get("AccessKeyId"), v->get("SecretAccessKey"), v->get("Token"), 0};
}

}  // namespace bastide::kmscrypt
