#include <fmt/format.h>

#include <optional>

#include "aws/virtual_host.h"
#include "aws/wire.h"
#include "base/bytes.h"
#include "model/check.h"
#include "model/rest_codec.h"

namespace bastide::aws {
namespace {

constexpr std::string_view kForm = "application/x-www-form-urlencoded";

const model::Service* by_target(std::string_view target) {
  const size_t dot = target.rfind('.');
  if (dot == std::string_view::npos) return nullptr;
  for (const model::Service* service : model::services()) {
    if (target.substr(0, dot) == service->target_prefix) return service;
  }
  return nullptr;
}

const model::Service* by_signing_name(std::string_view name) {
  for (const model::Service* service : model::services()) {
    if (name == service->signing_name) return service;
  }
  return nullptr;
}

// An unsigned query request says only its action and version.
const model::Service* by_action(const model::Params& params) {
  const std::string* action = params.find("Action");
  const std::string* version = params.find("Version");
  if (action == nullptr || version == nullptr) return nullptr;
  for (const model::Service* service : model::services()) {
    if (*version == service->api_version && model::find_operation(*service, *action) != nullptr)
      return service;
  }
  return nullptr;
}

// rpc-v2-cbor: /service/NAME/operation/NAME.
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
struct RpcPath {
  std::string_view service, operation;
};
std::optional<RpcPath> rpc_path(const net::Request& request) {
  if (request.method != "POST" || request.headers.get("smithy-protocol") != "rpc-v2-cbor")
    return std::nullopt;
  const auto parts = split(request.raw_path(), '/');
  // A prefix may stand before it.
  if (parts.size() < 5 || parts[parts.size() - 4] != "service" || parts[parts.size() - 2] != "operation")
    return std::nullopt;
  return RpcPath{parts[parts.size() - 3], parts.back()};
}

bool sends_form(const net::Request& request) {
  return iequals(std::string_view(request.headers.get("Content-Type")).substr(0, kForm.size()), kForm);
}

// S3 tells some operations apart by parameters and headers that are no part of their URIs.
std::string_view s3_operation(const net::Request& request, std::string_view path) {
  const std::string_view inner = path.starts_with('/') ? path.substr(1) : path;
  const size_t slash = inner.find('/');
  if (slash == std::string_view::npos || slash + 1 == inner.size()) return {};
  const std::string_view query = request.raw_query();
  const bool upload = model::query_has(query, "uploadId"), copy = request.headers.has("x-amz-copy-source");
  if (request.method == "PUT") {
    if (upload || model::query_has(query, "partNumber")) return copy ? "UploadPartCopy" : "UploadPart";
    return copy ? "CopyObject" : "PutObject";
  }
  if (request.method == "GET") return upload ? "ListParts" : "GetObject";
  if (request.method == "DELETE") return upload ? "AbortMultipartUpload" : "DeleteObject";
  if (request.method == "POST") return upload ? "CompleteMultipartUpload" : "?";
  return {};
}

Result<Route> rest_route(Route out, const net::Request& request) {
  const bool s3 = std::string_view(out.service->name) == "s3";
  out.path = request.raw_path();
  if (s3) {
    if (const std::string bucket = virtual_bucket(request.host); !bucket.empty())
      out.path = "/" + bucket + (out.path.starts_with('/') ? "" : "/") + out.path;
  }
  int best = -1;
  for (uint16_t i = 0; i < out.service->operation_count; ++i) {
    const model::OperationName& one = out.service->operations[i];
    const int score = model::rest_fit(one.method, one.uri, request.method, out.path, request.raw_query());
    const bool better = score > best || (score == best && score >= 0 &&
                                         out.operation->implemented == nullptr && one.implemented != nullptr);
    if (better) {
      best = score;
      out.operation = &one;
    }
  }
  if (s3 && best >= 0 && best < 100) {
    if (const std::string_view name = s3_operation(request, out.path); !name.empty())
      out.operation = model::find_operation(*out.service, name);
  }
  if (out.operation != nullptr)
    out.operation_name = out.operation->name;
  else
    out.operation_name = request.method + " " + std::string(request.raw_path());
  return out;
}

Result<Route> query_route(Route out, const net::Request& request, std::string_view body) {
  const bool form = sends_form(request);
  auto params = model::Params::parse(request.raw_query(), form || request.method == "POST" ? body : "");
  if (!params) return fault("MalformedInput", std::move(params.error().message), 400);
  out.params = std::move(params).value();
  if (out.service == nullptr) {
    out.service = by_action(out.params);
    if (out.service == nullptr)
      return fault("MissingAuthenticationToken", "Request is missing Authentication Token", 403);
  }
  out.wire = (out.service->protocols & model::kEc2) != 0 ? Wire::ec2 : Wire::query;
  const std::string* action = out.params.find("Action");
  if (action == nullptr)
    return fault("MissingAction", "The request is missing an action or a required parameter.", 400);
  out.operation_name = *action;
  out.operation = model::find_operation(*out.service, *action);
  return out;
}

// A stranger at the door: what S3 answers without a signature.
bool looks_like_s3(const net::Request& request) {
  if (!virtual_bucket(request.host).empty() || !website_bucket(request.host).empty()) return true;
  if (request.host.starts_with("s3.")) return true;
  if (request.raw_path().size() <= 1 || request.raw_query().find("Action=") != std::string_view::npos)
    return false;
  return request.method != "POST" || !sends_form(request);
}

}  // namespace

bool is_rest(const model::Service& service) {
  return (service.protocols & (model::kRestXml | model::kRestJson)) != 0;
}

const model::Service* service_of(const net::Request& request, const Signature* signature) {
  if (const std::string* target = request.headers.find("X-Amz-Target")) return by_target(*target);
  if (const auto rpc = rpc_path(request)) {
    for (const model::Service* service : model::services()) {
      if (rpc->service == service->target_prefix) return service;
    }
    return nullptr;
  }
  if (signature != nullptr) return by_signing_name(signature->scope.service);
  // CloudFront's paths begin with the version of its API.
  if (virtual_bucket(request.host).empty() && request.raw_path().starts_with("/2020-05-31/"))
    return model::find_service("cloudfront");
  return looks_like_s3(request) ? model::find_service("s3") : nullptr;
}

Result<Route> route(const net::Request& request, const model::Service* service, std::string_view body) {
  Route out;
  out.service = service;
  out.query_errors =
      service != nullptr && service->query_compatible && request.headers.get("x-amzn-query-mode") == "true";
  if (const auto rpc = rpc_path(request)) {
    out.wire = Wire::cbor;
    out.operation_name = rpc->operation;
    if (service != nullptr && (service->protocols & model::kCbor) != 0)
      out.operation = model::find_operation(*service, rpc->operation);
    return out;
  }
  if (const std::string* target = request.headers.find("X-Amz-Target")) {
    out.wire = Wire::json;
    const std::string type = request.headers.get("Content-Type");
    out.json_version = type.find("json-1.0") != std::string::npos ? "1.0" : "1.1";
    const size_t dot = target->rfind('.');
    out.operation_name = dot == std::string::npos ? *target : target->substr(dot + 1);
    if (service != nullptr) out.operation = model::find_operation(*service, out.operation_name);
    return out;
  }
  if (service != nullptr && is_rest(*service)) {
    out.wire = (service->protocols & model::kRestXml) != 0 ? Wire::rest_xml : Wire::rest_json;
    return rest_route(std::move(out), request);
  }
  if (service != nullptr && (service->protocols & (model::kQuery | model::kEc2)) == 0) {
    out.json_version = service->json_version;
    return out;  // a JSON service without a target: an unknown operation
  }
  return query_route(std::move(out), request, body);
}

}  // namespace bastide::aws
