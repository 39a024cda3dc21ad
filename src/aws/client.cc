#include "aws/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "aws/sigv4.h"
#include "aws/wire.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "model/json_codec.h"
#include "model/query_codec.h"
#include "model/rest_codec.h"
#include "model/xml_codec.h"
#include "net/http_client.h"
#include "net/loop.h"

namespace bastide::aws {
namespace {

constexpr Millis kFirstPause = 100;
constexpr Millis kLongestPause = 5 * kSecond;
constexpr std::string_view kForm = "application/x-www-form-urlencoded; charset=utf-8";

struct Place {
  std::string url;
  std::string region;
};

// https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html
Place amazon(const model::Service& service, const std::string& region) {
  const std::string_view name = service.name;
  if (name == "iam" || name == "cloudfront")
    return {fmt::format("https://{}.amazonaws.com", name), "us-east-1"};
  if (name == "organizations") return {"https://organizations.us-east-1.amazonaws.com", "us-east-1"};
  return {fmt::format("https://{}.{}.amazonaws.com", service.endpoint_prefix, region), region};
}

std::string host_of(std::string_view url) {
  const size_t at = url.find("://");
  std::string_view host = at == std::string_view::npos ? url : url.substr(at + 3);
  return std::string(host.substr(0, host.find('/')));
}

bool throttled(std::string_view code) {
  for (const std::string_view one :
       {"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded",
        "TooManyRequestsException", "RequestThrottled", "SlowDown", "BandwidthLimitExceeded",
        "ProvisionedThroughputExceededException", "PriorRequestNotComplete"}) {
    if (code == one) return true;
  }
  return false;
}

Error json_error(const net::Response& response) {
  const auto body = json::parse(response.body);
  std::string code = response.headers.get("x-amzn-ErrorType"), message;
  if (body && body->is_object()) {
    code = body->get("__type", body->get("code", code));
    message = body->get("message", body->get("Message"));
  }
  code = code.substr(0, code.find(':'));
  if (const size_t hash = code.rfind('#'); hash != std::string::npos) code.erase(0, hash + 1);
  return fault(code.empty() ? fmt::format("HTTP{}", response.status) : code,
               message.empty() ? response.body.substr(0, 500) : message, response.status);
}

Error xml_error(const net::Response& response) {
  const auto root = model::parse_xml(response.body);
  const model::XmlNode* at = nullptr;
  if (root) {
    at = root->name == "Error" ? &root.value() : root->child("Error");
    if (const auto* errors = root->child("Errors"); at == nullptr && errors != nullptr)
      at = errors->child("Error");
  }
  if (at == nullptr)
    return fault(fmt::format("HTTP{}", response.status), response.body.substr(0, 500), response.status);
  return fault(at->child_text("Code"), at->child_text("Message"), response.status);
}

void pause(Millis duration) {
  if (net::in_fiber())
    net::sleep_for(duration);
  else
    std::this_thread::sleep_for(std::chrono::milliseconds(duration));
}

}  // namespace

struct Client::Impl {
  ClientConfig config;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<net::HttpClient>> connections;

  Result<std::shared_ptr<net::HttpClient>> connection(const std::string& url) {
    const std::lock_guard lock(mutex);
    auto& known = connections[url];
    if (known) return known;
    const auto endpoint = TRY(net::parse_endpoint(url));
    net::ClientOptions options;
    if (endpoint.tls) options.tls = TRY(net::TlsContext::client(config.ca_pem));
    known = std::make_shared<net::HttpClient>(endpoint, options);
    return known;
  }

  Result<net::Request> build(const model::Service& service, const std::string& operation_name,
                             const model::Operation* operation, const json::Value& input) {
    net::Request request;
    request.method = "POST";
    request.target = "/";
    const bool json = (service.protocols & model::kJson) != 0;
    if (is_rest(service)) return build_rest(*operation, input);
    if (operation == nullptr) {
      // Names on the wire are the model's: what the model here lacks passes as it is.
      request.body = input.is_null() ? "{}" : json::print(input);
    } else {
      const auto typed = operation->make_input();
      model::Check check;
      auto read = model::read_json_value(input, *operation->input, typed.get(), &check);
      if (read) read = check.result();
      if (!read) return fault("ParamValidation", std::move(read.error().message));
      if (json) {
        model::write_json(request.body, *operation->input, typed.get());
      } else {
        request.body = fmt::format("Action={}&Version={}", operation_name, service.api_version);
        model::write_query(request.body, *operation->input, typed.get(),
                           (service.protocols & model::kEc2) != 0);
      }
    }
    if (json) {
      request.headers.add("Content-Type", fmt::format("application/x-amz-json-{}", service.json_version));
      request.headers.add("X-Amz-Target", fmt::format("{}.{}", service.target_prefix, operation_name));
    } else {
      request.headers.add("Content-Type", std::string(kForm));
    }
    return request;
  }

  Result<net::Request> build_rest(const model::Operation& operation, const json::Value& input) {
    const auto typed = operation.make_input();
    model::Check check;
    auto read = model::read_json_value(input, *operation.input, typed.get(), &check);
    if (read) read = check.result();
    if (!read) return fault("ParamValidation", std::move(read.error().message));
    auto message = TRY(model::write_rest_request(operation, typed.get(), body_of(*operation.service)));
    net::Request request;
    request.method = std::move(message.method);
    request.target = std::move(message.target);
    for (auto& [name, value] : message.headers) {
      if (!iequals(name, "Content-Length")) request.headers.add(std::move(name), std::move(value));
    }
    if (!message.content_type.empty()) request.headers.add("Content-Type", std::move(message.content_type));
    request.body = std::move(message.body);
    if (operation.checksum_required) request.headers.set("Content-MD5", base64(md5(request.body)));
    return request;
  }

  static model::RestBody body_of(const model::Service& service) {
    return (service.protocols & model::kRestXml) != 0 ? model::RestBody::xml : model::RestBody::json;
  }

  static Result<json::Value> read_rest(const model::Operation& operation, const net::Response& response) {
    const auto typed = operation.make_output();
    model::RestSource source;
    source.status = response.status;
    for (const auto& [name, value] : response.headers) source.headers.emplace_back(name, value);
    source.body = response.body;
    TRY(model::read_rest_response(operation, source, body_of(*operation.service), typed.get()));
    return model::write_json_value(*operation.output, typed.get());
  }

  Result<json::Value> read(const model::Service& service, const model::Operation* operation,
                           const net::Response& response) {
    if (is_rest(service)) return read_rest(*operation, response);
    if (operation == nullptr) return response.body.empty() ? json::object() : json::parse(response.body);
    const auto typed = operation->make_output();
    if ((service.protocols & model::kJson) != 0) {
      if (!response.body.empty())
        TRY(model::read_json(response.body, *operation->output, typed.get(), nullptr));
    } else {
      const auto root = TRY(model::parse_xml(response.body));
      const model::XmlNode* result = &root;
      if (operation->result_wrapper != nullptr && (service.protocols & model::kEc2) == 0)
        result = root.child(operation->result_wrapper);
      if (result != nullptr) TRY(model::read_xml(*result, *operation->output, typed.get(), nullptr));
    }
    return model::write_json_value(*operation->output, typed.get());
  }

  // One attempt: signed anew, since the time is part of the signature.
  Result<net::Response> attempt(net::Request request, const Place& place, const model::Service& service) {
    const auto http = TRY(connection(place.url));
    request.headers.set("Host", host_of(place.url));
    request.headers.set("User-Agent", "bastide");
    if (!config.credentials.access_key_id.empty()) {
      sign_request(request, config.credentials, place.region, service.signing_name, Clock::system().wall(),
                   sha256_hex(request.body));
    }
    return http->send(request);
  }
};

Client::Client(ClientConfig config) : impl_(std::make_unique<Impl>()) { impl_->config = std::move(config); }
Client::~Client() = default;
const ClientConfig& Client::config() const { return impl_->config; }

Result<json::Value> Client::call(const std::string& service_name, const std::string& operation_name,
                                 const json::Value& input) {
  const model::Service* service = model::find_service(service_name);
  if (service == nullptr) return fault("UnknownService", "There is no service '" + service_name + "'");
  const auto* known = model::find_operation(*service, operation_name);
  if (known == nullptr)
    return fault("UnknownOperation", fmt::format("{} has no operation '{}'", service_name, operation_name));
  const model::Operation* operation = known->implemented;
  const bool json = (service->protocols & model::kJson) != 0;
  if (operation == nullptr && !json) {
    return fault("NotImplemented", fmt::format("this client cannot call {}.{}", service_name, operation_name),
                 501);
  }
  const Place place = impl_->config.endpoint.empty() ? amazon(*service, impl_->config.region)
                                                     : Place{impl_->config.endpoint, impl_->config.region};
  const net::Request request = TRY(impl_->build(*service, operation_name, operation, input));
  Millis longest = kFirstPause;
  for (int left = std::max(1, impl_->config.attempts);; --left) {
    auto response = impl_->attempt(request, place, *service);
    if (response && response->status < 300) return impl_->read(*service, operation, *response);
    const bool json_errors = json || (service->protocols & model::kRestJson) != 0;
    Error failure = !response     ? std::move(response).error()
                    : json_errors ? json_error(*response)
                                  : xml_error(*response);
    const bool again = !response || response->status == 429 ||
                       (response->status >= 500 && response->status != 501) || throttled(failure.code);
    if (!again || left <= 1) return failure;
    // Full jitter: anything up to a bound that doubles.
    const auto random = random_bytes(2);
    const int share = static_cast<uint8_t>(random[0]) << 8 | static_cast<uint8_t>(random[1]);
    pause(1 + longest * share / 65536);
    longest = std::min(kLongestPause, longest * 2);
  }
}

}  // namespace bastide::aws
