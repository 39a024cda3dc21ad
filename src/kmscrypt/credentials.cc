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

// Plain HTTP only to the addresses that AWS's SDKs accept: loopback and the two link-local container
// endpoints.
bool safe_without_tls(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" || host == "169.254.170.2" ||
         host == "169.254.170.23";
}

// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
Result<aws::Credentials> of_json(const std::string& text) {
  const auto v = json::parse(text);
  if (!v || v->get("AccessKeyId").empty() || v->get("SecretAccessKey").empty()) {
    return error("the credential endpoint answered no credentials");
  }
  return aws::Credentials{v->get("AccessKeyId"), v->get("SecretAccessKey"), v->get("Token"), 0};
}

Result<aws::Credentials> of_container(const std::string& address) {
  const Url url = TRY(parse_url(address));
  if (!url.tls && !safe_without_tls(url.host))
    return error("credentials are not fetched from " + url.host + " without TLS");
  std::string head =
      "GET " + url.path + " HTTP/1.1\r\nHost: " + url.host + "\r\nAccept: application/json\r\n";
  std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const auto file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    token = std::string(trim(TRY(sys::read_file(file, 64 << 10))));
  }
  if (token.find_first_of("\r\n") != std::string::npos)
    return error("the container's authorization token has a line break");
  if (!token.empty()) head += "Authorization: " + token + "\r\n";
  const auto reply = TRY(exchange(url, head, "", kPatience));
  if (reply.status != 200) return error("the credential endpoint answered " + std::to_string(reply.status));
  return of_json(reply.body);
}

std::string between(const std::string& text, const std::string& name) {
  const std::string open = "<" + name + ">", close = "</" + name + ">";
  const size_t at = text.find(open), end = text.find(close, at);
  if (at == std::string::npos || end == std::string::npos) return "";
  return text.substr(at + open.size(), end - at - open.size());
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
Result<aws::Credentials> of_web_identity(const std::string& file, const std::string& role,
                                         const std::string& region) {
  const std::string token(trim(TRY(sys::read_file(file, 64 << 10))));
  std::string session = variable("AWS_ROLE_SESSION_NAME"), endpoint = variable("AWS_ENDPOINT_URL_STS");
  if (session.empty()) session = "kmscrypt";
  if (endpoint.empty()) endpoint = variable("AWS_ENDPOINT_URL");
  if (endpoint.empty()) endpoint = "https://sts." + region + ".amazonaws.com";
  const Url url = TRY(parse_url(endpoint));
  const std::string body =
      "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" + percent_encode(role) +
      "&RoleSessionName=" + percent_encode(session) + "&WebIdentityToken=" + percent_encode(token);
  const bool usual = url.port == (url.tls ? 443 : 80);
  const std::string head =
      "POST / HTTP/1.1\r\nHost: " + (usual ? url.host : url.host + ":" + std::to_string(url.port)) +
      "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n";
  const auto reply = TRY(exchange(url, head, body, kPatience));
  if (reply.status != 200) {
    return error("STS answered " + std::to_string(reply.status) + " " + between(reply.body, "Code") + ": " +
                 between(reply.body, "Message"));
  }
  aws::Credentials c{between(reply.body, "AccessKeyId"), between(reply.body, "SecretAccessKey"),
                     between(reply.body, "SessionToken"), 0};
  if (c.access_key_id.empty() || c.secret_access_key.empty()) return error("STS answered no credentials");
  return c;
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
Result<aws::Credentials> of_instance() {
  std::string endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint.empty()) endpoint = "http://169.254.169.254";
  const Url url = TRY(parse_url(endpoint));
  constexpr Millis kNear = 2 * kSecond;
  const std::string host = "Host: " + url.host + "\r\n";
  const auto token = TRY(exchange(url,
                                  "PUT /latest/api/token HTTP/1.1\r\n" + host +
                                      "X-aws-ec2-metadata-token-ttl-seconds: 300\r\nContent-Length: 0\r\n",
                                  "", kNear));
  if (token.status != 200 || token.body.find_first_of("\r\n") != std::string::npos) {
    return error("the instance's metadata service gave no token (" + std::to_string(token.status) + ")");
  }
  const auto get = [&](const std::string& path) -> Result<std::string> {
    const auto reply = TRY(exchange(
        url, "GET " + path + " HTTP/1.1\r\n" + host + "X-aws-ec2-metadata-token: " + token.body + "\r\n", "",
        kNear));
    if (reply.status == 404) return error("the instance has no role");
    if (reply.status != 200)
      return error("the instance's metadata service answered " + std::to_string(reply.status));
    return reply.body;
  };
  const std::string path = "/latest/meta-data/iam/security-credentials/";
  const std::string role(trim(TRY(get(path))));
  if (role.empty() || role.find_first_of("\r\n /") != std::string::npos)
    return error("the instance's metadata service named no role");
  const std::string answer = TRY(get(path + role));
  return of_json(answer);
}

}  // namespace

Result<aws::Credentials> find_credentials(const std::string& region) {
  if (const auto key = variable("AWS_ACCESS_KEY_ID"); !key.empty()) {
    return aws::Credentials{key, variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN"), 0};
  }
  const auto file = variable("AWS_WEB_IDENTITY_TOKEN_FILE"), role = variable("AWS_ROLE_ARN");
  if (!file.empty() && !role.empty()) return of_web_identity(file, role, region);
  if (const auto relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty()) {
    return of_container("http://169.254.170.2" + relative);
  }
  if (const auto full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"); !full.empty())
    return of_container(full);
  if (lower(variable("AWS_EC2_METADATA_DISABLED")) == "true") {
    return error(
        "no credentials: neither AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE nor "
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set");
  }
  auto instance = of_instance();
  if (instance) return instance;
  return error(
      "no credentials: no AWS_ACCESS_KEY_ID, no web identity, no container endpoint, and no instance role (" +
      instance.error().message + ")");
}

}  // namespace bastide::kmscrypt
