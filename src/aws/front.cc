#include "aws/front.h"

#include <fmt/format.h>

#include "aws/inflate.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/loop.h"

namespace bastide::aws {
namespace {

constexpr size_t kHashOffLoop = 128u << 10;  // bodies from here on are hashed by a worker

std::string body_hash(const std::string& body) {
  if (body.size() < kHashOffLoop) return sha256_hex(body);
  std::string hash;
  net::offload([&] { hash = sha256_hex(body); });
  return hash;
}

std::string address_of(std::string_view peer) {
  const size_t colon = peer.rfind(':');
  std::string_view address = peer.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  return std::string(peer.starts_with("unix:") ? std::string_view() : address);
}

net::Response plain(int status, std::string text) {
  net::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text) + "\n";
  return response;
}

Error not_signed() {
  return fault("MissingAuthenticationToken", "Request is missing Authentication Token", 403);
}

Error too_large(size_t limit) {
  return fault("RequestEntityTooLarge", fmt::format("The request's body is larger than {} bytes", limit),
               413);
}

Error unknown_operation(const Route& route) {
  if (route.service == nullptr) return fault("UnknownOperationException", "", 404);
  if (route.wire == Wire::json || route.wire == Wire::cbor)
    return fault("UnknownOperationException", "", 400);
  return fault("InvalidAction",
               fmt::format("Could not find operation {} for version {}", route.operation_name,
                           route.service->api_version),
               400);
}

}  // namespace

Front::Front(const Registry& registry, CredentialSource& credentials, PolicySource& policies,
             AuditSink& audit, Clock& clock, FrontConfig config)
    : credentials_(credentials),
      dispatch_(registry, policies, audit, clock),
      config_(std::move(config)),
      local_(make_local_client(dispatch_, config_.local_endpoint)) {}

Front::~Front() = default;

void Front::route(const std::string& prefix, net::Handler handler) {
  routes_[prefix.size() > 1 && prefix.ends_with('/') ? prefix.substr(0, prefix.size() - 1) : prefix] =
      std::move(handler);
}

void Front::body_limit(const std::string& service, size_t max_bytes) { limits_[service] = max_bytes; }

size_t Front::limit_of(const model::Service* service) const {
  const auto found = service == nullptr ? limits_.end() : limits_.find(service->name);
  return found == limits_.end() ? config_.max_body : found->second;
}

const net::Handler* Front::raw_route(const net::Request& request,
                                     const std::optional<Signature>& signature) const {
  // A bucket may be called like a route.
  if (signature && signature->scope.service == "s3") return nullptr;
  if (request.host.find(".s3.") != std::string::npos || request.host.find(".s3-") != std::string::npos)
    return nullptr;
  std::string_view path = request.raw_path();
  while (!path.empty()) {
    const auto found = routes_.find(std::string(path));
    if (found != routes_.end()) return &found->second;
    path = path.substr(0, path.rfind('/'));
  }
  return nullptr;
}

void Front::handle(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  if (!host_allowed(request.host, config_.hosts)) {
    (void)exchange.respond(plain(421, "This name is not one of this server's; allow it in serve.yaml: " +
                                          request.host.substr(0, 255)));
    return;
  }
  const std::string id = new_request_id();
  auto signature = find_signature(request);
  if (signature || request.headers.has("Authorization")) {
    const std::optional<Signature> none;
    if (const net::Handler* raw = raw_route(request, signature ? *signature : none)) return (*raw)(exchange);
  }
  if (!signature) {
    Route nowhere;
    nowhere.service = service_of(request, nullptr);
    nowhere.wire = request.headers.has("X-Amz-Target") ? Wire::json : Wire::query;
    (void)exchange.respond(encode_error(nowhere, signature.error(), id));
    return;
  }
  if (auto response = answer(exchange, *signature, id)) (void)exchange.respond(std::move(*response));
}

std::optional<net::Response> Front::answer(net::Exchange& exchange, const std::optional<Signature>& signature,
                                           const std::string& id) {
  const net::Request& request = exchange.request();
  Call call;
  call.request_id = id;
  call.source_ip = address_of(request.peer);
  call.user_agent = request.headers.get("User-Agent");
  call.referer = request.headers.get("Referer");
  call.secure = request.tls;
  call.endpoint = (request.tls ? "https://" : "http://") + request.host;
  call.now = dispatch_.clock().wall();
  if (signature) {
    call.region = signature->scope.region;
    call.principal.access_key_id = signature->access_key_id;
  }
  Route route;
  route.wire = request.headers.has("X-Amz-Target") ? Wire::json : Wire::query;
  auto response = serve(exchange, signature, call, route);
  std::optional<net::Response> out;
  if (response)
    out = std::move(response).value();
  else
    out = encode_error(route, response.error(), id);
  Door* door = door_of(route.service);
  if (out && door != nullptr && request.headers.has("Origin"))
    door->decorate(request, route.path, out->headers);
  return out;
}

Error Front::refuse(const Call& call, Error error) {
  if (!error.fault)
    log::error("{}.{} ({}): {}", call.service, call.operation, call.request_id, error.message);
  if (!call.service.empty()) dispatch_.record_refusal(call, error);
  return error;
}

Door* Front::door_of(const model::Service* service) const {
  const auto found = service == nullptr ? doors_.end() : doors_.find(service->name);
  return found == doors_.end() ? nullptr : found->second;
}

Result<std::optional<net::Response>> Front::serve(net::Exchange& exchange,
                                                  const std::optional<Signature>& signature, Call& call,
                                                  Route& route) {
  const net::Request& request = exchange.request();
  const auto refuse = [&](Error error) { return this->refuse(call, std::move(error)); };
  const model::Service* service = service_of(request, signature ? &*signature : nullptr);
  route.service = service;
  if (service != nullptr) call.service = service->name;
  // Links in messages of SNS are unsigned query requests by GET.
  const bool link = request.method == "GET" && request.raw_query().starts_with("Action=");
  if (service == nullptr && (signature || (request.method != "POST" && !link))) {
    if (signature && !request.headers.has("X-Amz-Target")) {
      return refuse(fault("InvalidAction",
                          fmt::format("There is no service '{}' here", signature->scope.service), 400));
    }
    return refuse(request.headers.has("X-Amz-Target") ? unknown_operation(route) : not_signed());
  }
  if (service != nullptr && is_rest(*service) && !request.headers.has("X-Amz-Target"))
    return serve_rest(exchange, signature, call, route);
  const size_t limit = limit_of(service);
  if (exchange.content_length().value_or(0) > static_cast<int64_t>(limit)) return refuse(too_large(limit));
  auto body = exchange.read_body(limit);
  if (!body)
    return refuse(body.error().code == "TooLarge" ? too_large(limit)
                                                  : fault("IncompleteBody", body.error().message, 400));
  const std::string hash = body_hash(*body);
  if (iequals(request.headers.get("Content-Encoding"), "gzip")) {
    body = gunzip(*body, limit);
    if (!body) {
      return refuse(body.error().code == "TooLarge" ? too_large(limit)
                                                    : fault("MalformedInput", body.error().message, 400));
    }
  }

  auto found = aws::route(request, service, *body);
  // The protocol of a refusal is the service's, even where the operation is not to be found.
  if (!found) {
    if (service != nullptr && (service->protocols & model::kEc2) != 0) route.wire = Wire::ec2;
    return refuse(std::move(found).error());
  }
  route = std::move(found).value();
  if (route.service == nullptr) return unknown_operation(route);
  call.service = route.service->name;
  call.operation = route.operation_name.substr(0, 128);

  const Entry* entry =
      route.operation == nullptr ? nullptr : dispatch_.registry().find(call.service, call.operation);
  if (entry == nullptr || !entry->unauthenticated) {
    if (!signature) return refuse(not_signed());
    if (auto admitted = admit(*signature, request, hash, *route.service, call); !admitted)
      return refuse(std::move(admitted).error());
  }
  if (route.operation == nullptr) return refuse(unknown_operation(route));
  if (entry == nullptr) {
    return refuse(
        fault("NotImplemented", fmt::format("{}.{} is not implemented", call.service, call.operation), 501));
  }
  const std::shared_ptr<void> input = entry->make_request(), output = entry->make_response();
  if (auto decoded = decode(route, *entry->operation, request, *body, input.get()); !decoded)
    return refuse(std::move(decoded).error());
  TRY(dispatch_.perform(*entry, call, input.get(), output.get()));
  return std::optional(encode(route, *entry->operation, output.get(), call.request_id));
}

Result<void> Front::admit(const Signature& signature, const net::Request& request,
                          std::string_view payload_hash, const model::Service& service, Call& call) {
  if (signature.scope.service != service.signing_name) {
    return fault("SignatureDoesNotMatch",
                 fmt::format("Credential should be scoped to correct service: '{}'.", service.signing_name),
                 403);
  }
  auto identity = TRY(identify(signature, request, payload_hash));
  wipe(identity.secret_access_key);
  // What a service may do is said by resource policies: it has sessions for services that have them alone.
  if (identity.principal.kind == Principal::Kind::service && door_of(&service) == nullptr)
    return fault("AccessDenied", "This session is not for this service", 403);
  call.principal = std::move(identity.principal);
  if (call.principal.access_key_id.empty()) call.principal.access_key_id = signature.access_key_id;
  call.account = call.principal.account;
  return {};
}

Result<Identity> Front::identify(const Signature& signature, const net::Request& request,
                                 std::string_view payload_hash) {
  auto identity = TRY(credentials_.identify(signature.access_key_id, signature.session_token));
  if (signature.v2) {
    TRY(check_signature_v2(signature, request, identity.secret_access_key, dispatch_.clock().wall()));
    return identity;
  }
  const SigningKey& key = keys_.get(signature.access_key_id, identity.secret_access_key, signature.scope);
  TRY(check_signature(signature, request, key, payload_hash, dispatch_.clock().wall()));
  return identity;
}

Result<Identity> Front::authenticate(const net::Request& request, std::string_view payload_hash) {
  const auto signature = TRY(find_signature(request));
  if (!signature) return not_signed();
  return identify(*signature, request, payload_hash);
}

}  // namespace bastide::aws
