#include <fmt/format.h>

#include "aws/wire.h"
#include "base/bytes.h"
#include "model/check.h"

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

bool is_rest(const model::Service& service) {
  return (service.protocols & (model::kRestXml | model::kRestJson)) != 0;
}

struct Uri {
  std::string_view path;
  std::string_view query;
};
Uri split_uri(std::string_view uri) {
  const size_t mark = uri.find('?');
  return {uri.substr(0, mark), mark == std::string_view::npos ? std::string_view() : uri.substr(mark + 1)};
}

// How well a template fits: literal segments and query literals count, -1 is no fit.
int fit(const model::OperationName& operation, const net::Request& request) {
  if (request.method != operation.method) return -1;
  const Uri uri = split_uri(operation.uri);
  int score = 0;
  for (const std::string_view literal : split(uri.query, '&')) {
    if (literal.empty()) continue;
    bool found = false;
    for (const std::string_view given : split(request.raw_query(), '&')) {
      found = found || given == literal ||
              (literal.find('=') == std::string_view::npos && given.substr(0, given.find('=')) == literal);
    }
    if (!found) return -1;
    score += 100;
  }
  const auto wanted = split(uri.path.substr(1), '/');
  auto given = split(request.raw_path().substr(request.raw_path().starts_with('/') ? 1 : 0), '/');
  if (given.size() > 1 && given.back().empty() && wanted.size() < given.size()) given.pop_back();
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (i >= given.size()) return -1;
    const std::string_view segment = wanted[i];
    if (segment.starts_with('{')) {
      if (given[i].empty()) return -1;
      if (segment.ends_with("+}")) return score + 1;
      score += 1;
    } else if (segment == given[i]) {
      score += 2;
    } else {
      return -1;
    }
  }
  return wanted.size() == given.size() ? score : -1;
}

Result<Route> rest_route(Route out, const net::Request& request) {
  int best = -1;
  for (uint16_t i = 0; i < out.service->operation_count; ++i) {
    const int score = fit(out.service->operations[i], request);
    if (score > best) {
      best = score;
      out.operation = &out.service->operations[i];
    }
  }
  if (out.operation != nullptr)
    out.operation_name = out.operation->name;
  else
    out.operation_name = request.method + " " + std::string(request.raw_path());
  return out;
}

Result<Route> query_route(Route out, const net::Request& request, std::string_view body) {
  const bool form =
      iequals(std::string_view(request.headers.get("Content-Type")).substr(0, kForm.size()), kForm);
  auto params = model::Params::parse(request.raw_query(), form || request.method == "POST" ? body : "");
  if (!params) return fault("MalformedInput", std::move(params.error().message), 400);
  out.params = std::move(params).value();
  if (out.service == nullptr) {
    out.service = by_action(out.params);
    if (out.service == nullptr)
      return fault("MissingAuthenticationToken", "Request is missing Authentication Token", 403);
  }
  if (is_rest(*out.service)) return rest_route(std::move(out), request);
  out.wire = (out.service->protocols & model::kEc2) != 0 ? Wire::ec2 : Wire::query;
  const std::string* action = out.params.find("Action");
  if (action == nullptr)
    return fault("MissingAction", "The request is missing an action or a required parameter.", 400);
  out.operation_name = *action;
  out.operation = model::find_operation(*out.service, *action);
  return out;
}

}  // namespace

const model::Service* service_of(const net::Request& request, const Signature* signature) {
  if (const std::string* target = request.headers.find("X-Amz-Target")) return by_target(*target);
  return signature == nullptr ? nullptr : by_signing_name(signature->scope.service);
}

Result<Route> route(const net::Request& request, const model::Service* service, std::string_view body) {
  Route out;
  out.service = service;
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
