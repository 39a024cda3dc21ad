#include "services/sts/web_keys.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "net/egress.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "sys/file.h"

namespace bastide::services {
namespace {

constexpr size_t kMaxDocument = 256u << 10;
constexpr size_t kMaxIssuers = 1000;
constexpr Millis kRemember = kHour;
constexpr Millis kAgainAfter = kMinute;  // an unknown key makes no flood of requests
constexpr Millis kTimeout = 10 * kSecond;

Error unreachable(const std::string& what) {
  return fault("IDPCommunicationError",
               "Couldn't retrieve verification key from your identity provider: " + what, 400);
}

}  // namespace

Result<json::Value> WebKeys::settings_of(const std::string& issuer) const {
  const auto text = net::offload_result([&] { return sys::read_file(settings_path_, kMaxDocument); });
  if (!text && text.error().code == "NotFound") return json::object();
  if (!text) return Error(text.error());
  const auto all = json::parse(*text);
  if (!all) return error(settings_path_ + ": " + all.error().message);
  const json::Value* mine = all->find(issuer);
  return mine ? *mine : json::object();
}

Result<json::Value> WebKeys::fetch(const std::string& url, const json::Value& settings) {
  if (!url.starts_with("https://")) return unreachable(url + " is not https");
  const size_t slash = url.find('/', 8);
  const auto endpoint = net::parse_endpoint(url.substr(0, slash));
  if (!endpoint) return unreachable(endpoint.error().message);
  net::ClientOptions options;
  options.connect_timeout = 5 * kSecond;
  options.timeout = kTimeout;
  options.max_response_bytes = kMaxDocument;
  if (!settings.get_bool("private")) options.check_address = net::refuse_private;
  std::string ca;
  if (settings.has("ca_file")) {
    ca = TRY(net::offload_result([&] { return sys::read_file(settings.get("ca_file"), kMaxDocument); }));
  }
  options.tls = TRY(net::TlsContext::client(ca));
  net::HttpClient client(*endpoint, options);
  net::Request request;
  request.method = "GET";
  request.target = slash == std::string::npos ? "/" : url.substr(slash);
  request.headers.add("Accept", "application/json");
  const auto response = client.send(request);
  if (!response) return unreachable(response.error().message);
  if (response->status != 200) return unreachable(fmt::format("{} answered {}", url, response->status));
  auto document = json::parse(response->body);
  if (!document || !document->is_object()) return unreachable(url + " answered no JSON object");
  return document;
}

Result<json::Value> WebKeys::keys_of(const std::string& issuer, bool fresh) {
  const Millis now = clock_.steady();
  if (const auto it = known_.find(issuer); it != known_.end()) {
    const Millis age = now - it->second.fetched_at;
    if (age < kAgainAfter || (age < kRemember && !fresh)) return it->second.jwks;
  }
  const json::Value settings = TRY(settings_of(issuer));
  json::Value jwks;
  if (settings.has("jwks_file")) {
    const std::string text =
        TRY(net::offload_result([&] { return sys::read_file(settings.get("jwks_file"), kMaxDocument); }));
    jwks = TRY(json::parse(text));
  } else {
    const json::Value discovered = TRY(fetch(issuer + "/.well-known/openid-configuration", settings));
    if (discovered.get("issuer") != issuer && discovered.get("issuer") != issuer + "/") {
      return unreachable("its configuration names another issuer");
    }
    jwks = TRY(fetch(discovered.get("jwks_uri"), settings));
  }
  if (known_.size() >= kMaxIssuers) known_.clear();
  known_[issuer] = {jwks, now};
  return jwks;
}

}  // namespace bastide::services
