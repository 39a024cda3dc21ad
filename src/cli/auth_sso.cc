#include "cli/auth_sso.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/http_client.h"
#include "net/socket.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::cli {
namespace {

constexpr Millis kPatience = 10 * kMinute;
constexpr size_t kMaxDocument = 256u << 10;
constexpr const char* kScope = "openid email profile";

struct Issuer {
  std::string url, client_id, ca_pem;
  json::Value configuration;
};

Result<net::Response> send(const Issuer& issuer, const std::string& url, const char* method,
                           const std::string& form) {
  const size_t scheme = url.find("://");
  const size_t slash = scheme == std::string::npos ? std::string::npos : url.find('/', scheme + 3);
  const auto endpoint = TRY(net::parse_endpoint(url.substr(0, slash)));
  // RFC 8252: a token never travels in clear.
  if (!endpoint.tls) return error("Denied", url + " is not https");
  net::ClientOptions options;
  options.max_response_bytes = kMaxDocument;
  options.tls = TRY(net::TlsContext::client(issuer.ca_pem));
  net::HttpClient client(endpoint, options);
  net::Request request;
  request.method = method;
  request.target = slash == std::string::npos ? "/" : url.substr(slash);
  request.headers.add("Accept", "application/json");
  if (!form.empty()) request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  request.body = form;
  return client.send(request);
}

std::string form_of(std::initializer_list<std::pair<const char*, std::string>> fields) {
  std::string out;
  for (const auto& [name, value] : fields)
    out += (out.empty() ? "" : "&") + std::string(name) + "=" + percent_encode(value);
  return out;
}

Result<Issuer> choose(aws::Client& client, const Arguments& a) {
  Issuer issuer{a.get("--issuer"), a.get("--client-id"), "", {}};
  while (issuer.url.ends_with('/')) issuer.url.pop_back();
  if (!a.get("--issuer-ca").empty()) issuer.ca_pem = TRY(sys::read_file(a.get("--issuer-ca"), kMaxDocument));
  json::Value input = json::object();
  if (!a.get("--account").empty()) input["account"] = a.get("--account");
  const auto known = TRY(client.call("bastide", "DescribeSignIn", input));
  size_t choices = 0;
  for (const auto& p : known.get_array("providers")) {
    for (const auto& id : p.get_array("clientIds")) {
      if (!a.get("--issuer").empty() && p.get("issuer") != issuer.url) continue;
      if (!a.get("--client-id").empty() && id.string() != a.get("--client-id")) continue;
      issuer.url = p.get("issuer");
      issuer.client_id = id.string();
      ++choices;
    }
  }
  if (choices == 0)
    return error(
        "NotFound",
        "account " + known.get("account") +
            " has no such OpenID Connect provider; 'iam create-open-id-connect-provider' there adds one");
  if (choices > 1) return error("Invalid", "there are several; choose with --issuer and --client-id");
  const auto answer = TRY(send(issuer, issuer.url + "/.well-known/openid-configuration", "GET", ""));
  if (answer.status != 200) return error(fmt::format("{} answered {}", issuer.url, answer.status));
  issuer.configuration = TRY(json::parse(answer.body));
  if (issuer.configuration.get("issuer") != issuer.url &&
      issuer.configuration.get("issuer") != issuer.url + "/") {
    return error("Denied", issuer.url + " says it is another issuer: " + issuer.configuration.get("issuer"));
  }
  return issuer;
}

Result<std::string> id_token(const net::Response& response) {
  const auto v = json::parse(response.body);
  if (response.status != 200 || !v || v->get("id_token").empty()) {
    return error("the provider refused: " +
                 (v ? v->get("error") + " " + v->get("error_description") : std::to_string(response.status)));
  }
  return v->get("id_token");
}

// One request on the loopback port; everything else that comes by is answered and ignored.
Result<std::string> wait_for_code(int listener, const std::string& state) {
  const Millis end = Clock::system().steady() + kPatience;
  for (;;) {
    const Millis left = end - Clock::system().steady();
    pollfd p{listener, POLLIN, 0};
    if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0)
      return error("Timeout", "nobody signed in within ten minutes");
    const sys::Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) continue;
    const timeval patience{5, 0};
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string head;
    char buffer[4096];
    while (head.size() < 32768 && head.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = ::recv(connection.get(), buffer, sizeof buffer, 0);
      if (n <= 0) break;
      head.append(buffer, static_cast<size_t>(n));
    }
    const std::string_view line = std::string_view(head).substr(0, head.find("\r\n"));
    const auto words = split(line, ' ');
    std::string code, got_state, refusal;
    if (words.size() == 3 && words[0] == "GET" && words[1].starts_with("/callback?")) {
      const auto fields = net::parse_form(words[1].substr(10));
      for (const auto& [name, value] :
           fields ? fields.value() : std::vector<std::pair<std::string, std::string>>()) {
        if (name == "code") code = value;
        if (name == "state") got_state = value;
        if (name == "error") refusal = value;
      }
    }
    const bool mine = equal_constant_time(got_state, state);
    const std::string text = mine && !code.empty() ? "You are signed in. This window can be closed.\n"
                                                   : "This is not the sign-in that is waited for.\n";
    const std::string answer = fmt::format(
        "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: "
        "close\r\n\r\n{}",
        mine ? "200 OK" : "400 Bad Request", text.size(), text);
    (void)::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    if (mine && !code.empty()) return code;
    if (mine && !refusal.empty()) return error("the provider refused: " + refusal);
  }
}

Result<std::string> by_browser(const Issuer& issuer) {
  const auto listener = TRY(net::listen_tcp("127.0.0.1", 0, 4));
  const auto port = TRY(net::local_port(listener.get()));
  const std::string redirect = fmt::format("http://127.0.0.1:{}/callback", port);
  const std::string verifier = base64url(random_bytes(32)), state = base64url(random_bytes(16)),
                    nonce = base64url(random_bytes(16));
  const std::string where = issuer.configuration.get("authorization_endpoint");
  const std::string url = where + (where.find('?') == std::string::npos ? "?" : "&") +
                          form_of({{"response_type", "code"},
                                   {"client_id", issuer.client_id},
                                   {"redirect_uri", redirect},
                                   {"scope", kScope},
                                   {"state", state},
                                   {"nonce", nonce},
                                   {"code_challenge", base64url(sha256(verifier))},
                                   {"code_challenge_method", "S256"}});
  std::fprintf(stderr, "Sign in at\n\n  %s\n\nWaiting ...\n", url.c_str());
  const char* browser = std::getenv("BROWSER");
  const bool display = std::getenv("DISPLAY") || std::getenv("WAYLAND_DISPLAY");
  if (browser || display)
    (void)sys::run({.argv = {browser ? browser : "xdg-open", url}, .timeout = 20 * kSecond});
  const std::string code = TRY(wait_for_code(listener.get(), state));
  const auto answer = TRY(send(issuer, issuer.configuration.get("token_endpoint"), "POST",
                               form_of({{"grant_type", "authorization_code"},
                                        {"code", code},
                                        {"redirect_uri", redirect},
                                        {"client_id", issuer.client_id},
                                        {"code_verifier", verifier}})));
  const std::string token = TRY(id_token(answer));
  // The token must be the answer to this very request; its signature is the service's to check.
  const auto parts = split(token, '.');
  const auto claims = parts.size() == 3 ? unbase64url(parts[1]) : Result<std::string>(error("no token"));
  const auto body = claims ? json::parse(*claims) : Result<json::Value>(error("no token"));
  if (!body || !equal_constant_time(body->get("nonce"), nonce))
    return error("Denied", "the provider's token answers another request");
  return token;
}

Result<std::string> by_device(const Issuer& issuer) {
  const std::string where = issuer.configuration.get("device_authorization_endpoint");
  if (where.empty()) return error("NotFound", issuer.url + " has no device sign-in");
  const auto begun =
      TRY(send(issuer, where, "POST", form_of({{"client_id", issuer.client_id}, {"scope", kScope}})));
  const auto device = json::parse(begun.body);
  if (begun.status != 200 || !device) return error("the provider refused: " + begun.body.substr(0, 300));
  const std::string complete = device->get("verification_uri_complete");
  std::fprintf(stderr, "Open %s and enter the code %s\n%s%sWaiting ...\n",
               device->get("verification_uri").c_str(), device->get("user_code").c_str(),
               complete.empty() ? "" : ("or open " + complete).c_str(), complete.empty() ? "" : "\n");
  Millis pause = device->get_int("interval", 5) * kSecond;
  const Millis end =
      Clock::system().steady() + std::min<Millis>(kPatience, device->get_int("expires_in", 600) * kSecond);
  while (Clock::system().steady() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    const auto answer = TRY(send(issuer, issuer.configuration.get("token_endpoint"), "POST",
                                 form_of({{"grant_type", "urn:ietf:params:oauth:grant-type:device_code"},
                                          {"device_code", device->get("device_code")},
                                          {"client_id", issuer.client_id}})));
    const auto v = json::parse(answer.body);
    const std::string problem = v ? v->get("error") : "";
    if (problem == "slow_down") pause += 5 * kSecond;
    if (problem != "authorization_pending" && problem != "slow_down") return id_token(answer);
  }
  return error("Timeout", "nobody signed in in time");
}

}  // namespace

Result<std::string> single_sign_on(aws::Client& client, const Arguments& a) {
  const Issuer issuer = TRY(choose(client, a));
  return a.flag("--device") ? by_device(issuer) : by_browser(issuer);
}

}  // namespace bastide::cli
