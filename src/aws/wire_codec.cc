#include <fmt/format.h>

#include <algorithm>

#include "aws/wire.h"
#include "base/bytes.h"
#include "model/cbor_codec.h"
#include "model/check.h"
#include "model/json_codec.h"
#include "model/rest_codec.h"
#include "model/xml_codec.h"

namespace bastide::aws {
namespace {

// Which code a service gives for a request that breaks its model's constraints.
std::string_view constraint_code(const Route& route) {
  const std::string_view name = route.service->name;
  if (route.wire == Wire::json || route.wire == Wire::cbor) {
    for (const std::string_view one : {"ecs", "ecr", "logs"}) {
      if (name == one) return "InvalidParameterException";
    }
    return "ValidationException";
  }
  if (name == "rds") return "InvalidParameterValue";
  if (name == "sns") return "InvalidParameter";
  if (route.wire == Wire::rest_xml) return "InvalidArgument";
  if (name == "cloudwatch") return "InvalidParameterValue";
  return "ValidationError";
}

bool is_s3(const Route& route) {
  return route.service != nullptr && std::string_view(route.service->name) == "s3";
}

bool speaks_json(const Route& route) {
  return route.wire == Wire::json || route.wire == Wire::rest_json || route.wire == Wire::cbor;
}

Error as_fault(const Route& route, Error error, bool document) {
  if (is_s3(route) &&
      (error.message.starts_with("XML: ") || (document && error.code == model::kConstraint))) {
    return fault("MalformedXML",
                 "The XML you provided was not well-formed or did not validate against our published schema",
                 400);
  }
  if (is_s3(route) && error.code == model::kMalformed)
    return fault("InvalidArgument", std::move(error.message), 400);
  if (error.code == model::kConstraint)
    return fault(std::string(constraint_code(route)), std::move(error.message), 400);
  if (error.code == model::kMalformed) {
    return fault(speaks_json(route) ? "SerializationException" : "MalformedInput", std::move(error.message),
                 400);
  }
  return fault(std::move(error.code), std::move(error.message), 400);
}

struct CommonCode {
  std::string_view code, json, ec2, s3;
  int status, s3_status;
};
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
constexpr CommonCode kCommon[] = {
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDenied", 403, 403},
    {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "MissingAuthenticationToken",
     "AccessDenied", 403, 403},
    {"IncompleteSignature", "IncompleteSignatureException", "AuthFailure", "AuthorizationHeaderMalformed",
     400, 400},
    {"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure", "SignatureDoesNotMatch", 403, 403},
    {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId", 403, 403},
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "ExpiredToken", 403, 400},
    {"InvalidAction", "UnknownOperationException", "InvalidAction", "MethodNotAllowed", 400, 405},
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", 400, 503},
};

const model::ErrorShape* shape_of(const model::Service* service, std::string_view code) {
  if (service == nullptr) return nullptr;
  if (const auto* found = model::find_error(*service, code)) return found;
  for (uint16_t i = 0; i < service->error_count; ++i) {
    if (code == service->errors[i].name) return &service->errors[i];
  }
  return nullptr;
}

int status_of(const Route& route, const Error& error) {
  if (!error.fault) return 500;
  const auto* shape = shape_of(route.service, error.code);
  const bool ec2 = route.wire == Wire::ec2;
  for (const CommonCode& common : kCommon) {
    if (common.code != error.code) continue;
    if (speaks_json(route)) return 400;
    if (is_s3(route)) return common.s3_status;
    return ec2 && common.ec2 == "AuthFailure" ? 401 : common.status;
  }
  if (error.status != 0) return error.status;
  return shape == nullptr ? 400 : shape->status;
}

void xml_member(std::string& out, std::string_view name, std::string_view text) {
  out += '<';
  out += name;
  out += '>';
  model::append_xml_text(out, text);
  out += "</";
  out += name;
  out += '>';
}

constexpr std::string_view kXmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

std::string error_xml(const Route& route, std::string_view code, std::string_view message, int status,
                      const std::string& request_id) {
  std::string out(kXmlHead);
  if (route.wire == Wire::ec2) {
    out += "<Response><Errors><Error>";
    xml_member(out, "Code", code);
    xml_member(out, "Message", message);
    out += "</Error></Errors>";
    xml_member(out, "RequestID", request_id);
    return out + "</Response>";
  }
  if (is_s3(route)) {
    out += "<Error>";
    xml_member(out, "Code", code);
    xml_member(out, "Message", message);
    if (!route.path.empty()) xml_member(out, "Resource", route.path);
    xml_member(out, "RequestId", request_id);
    xml_member(out, "HostId", request_id);
    return out + "</Error>";
  }
  out += "<ErrorResponse";
  if (route.service != nullptr && *route.service->xml_namespace != '\0') {
    out += fmt::format(" xmlns=\"{}\"", route.service->xml_namespace);
  }
  out += "><Error>";
  xml_member(out, "Type", status < 500 ? "Sender" : "Receiver");
  xml_member(out, "Code", code);
  xml_member(out, "Message", message);
  out += "</Error>";
  xml_member(out, "RequestId", request_id);
  return out + "</ErrorResponse>";
}

void common_headers(net::Response& response, const Route& route, const std::string& request_id) {
  response.headers.add("x-amzn-RequestId", request_id);
  if (is_s3(route)) {
    response.headers.add("x-amz-request-id", request_id);
    response.headers.add("x-amz-id-2", request_id);
  }
  if (route.wire == Wire::cbor) response.headers.add("smithy-protocol", "rpc-v2-cbor");
}

model::RestBody rest_body(const Route& route) {
  return route.wire == Wire::rest_json ? model::RestBody::json : model::RestBody::xml;
}

// The code as the query protocol has it, for clients that came from there.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait
void query_error(net::Response& response, const Route& route, const std::string& code, int status) {
  if (!route.query_errors) return;
  const auto* shape = shape_of(route.service, code);
  response.headers.add("x-amzn-query-error", fmt::format("{};{}", shape == nullptr ? code : shape->code,
                                                         status < 500 ? "Sender" : "Receiver"));
}

}  // namespace

std::string wire_code(const Route& route, const Error& error) {
  if (!error.fault) return "InternalFailure";
  const bool json = speaks_json(route);
  for (const CommonCode& common : kCommon) {
    if (common.code != error.code) continue;
    if (is_s3(route)) return std::string(common.s3);
    if (json) return std::string(common.json);
    return std::string(route.wire == Wire::ec2 ? common.ec2 : common.code);
  }
  const auto* shape = shape_of(route.service, error.code);
  if (shape == nullptr) return error.code;
  return json ? shape->name : shape->code;
}

Result<void> decode(const Route& route, const model::Operation& operation, const net::Request& message,
                    std::string_view body, void* request) {
  const bool ec2 = route.wire == Wire::ec2;
  model::Check check(ec2 ? model::Check::Style::ec2 : model::Check::Style::coral);
  Result<void> read;
  switch (route.wire) {
    case Wire::json:
      read = model::read_json(body.empty() ? "{}" : body, *operation.input, request, &check);
      break;
    case Wire::query:
    case Wire::ec2:
      read = model::read_query(route.params, *operation.input, request, ec2, &check);
      break;
    case Wire::cbor:
      read = model::read_cbor(body, *operation.input, request, &check);
      break;
    case Wire::rest_xml:
    case Wire::rest_json: {
      model::RestSource source;
      source.path = route.path;
      source.query = message.raw_query();
      for (const auto& [name, value] : message.headers) source.headers.emplace_back(name, value);
      source.body = body;
      read = model::read_rest_request(operation, source, rest_body(route), request, &check);
      break;
    }
  }
  if (read) {
    model::validate(*operation.input, request, check);
    read = check.result();
  }
  if (!read) return as_fault(route, std::move(read).error(), !body.empty());
  return {};
}

net::Response encode(const Route& route, const model::Operation& operation, const void* value,
                     const std::string& request_id) {
  net::Response response;
  common_headers(response, route, request_id);
  if (route.wire == Wire::json) {
    response.headers.add("Content-Type", "application/x-amz-json-" + route.json_version);
    if (operation.output != &model::kEmptyType) model::write_json(response.body, *operation.output, value);
    return response;
  }
  if (route.wire == Wire::cbor) {
    response.headers.add("Content-Type", "application/cbor");
    model::write_cbor(response.body, *operation.output, value);
    return response;
  }
  if (route.wire == Wire::rest_xml || route.wire == Wire::rest_json) {
    auto message = model::write_rest_response(operation, value, rest_body(route));
    response.status = message.status;
    for (auto& [name, text] : message.headers) response.headers.add(std::move(name), std::move(text));
    if (!message.content_type.empty()) response.headers.add("Content-Type", std::move(message.content_type));
    response.body = std::move(message.body);
    return response;
  }
  response.headers.add("Content-Type", "text/xml;charset=UTF-8");
  std::string& out = response.body;
  if (route.wire == Wire::ec2) {
    out += kXmlHead;
    out += fmt::format("<{}Response xmlns=\"{}/\">", operation.name, route.service->xml_namespace);
    xml_member(out, "requestId", request_id);
    // An operation that answers nothing still says so.
    if (operation.output == &model::kEmptyType)
      out += "<return>true</return>";
    else
      model::write_xml_members(out, *operation.output, value);
    out += fmt::format("</{}Response>", operation.name);
    return response;
  }
  out += fmt::format("<{}Response xmlns=\"{}\">", operation.name, route.service->xml_namespace);
  if (operation.output != &model::kEmptyType) {
    out += fmt::format("<{}>", operation.result_wrapper);
    model::write_xml_members(out, *operation.output, value);
    out += fmt::format("</{}>", operation.result_wrapper);
  }
  out += "<ResponseMetadata>";
  xml_member(out, "RequestId", request_id);
  out += fmt::format("</ResponseMetadata></{}Response>", operation.name);
  return response;
}

net::Response encode_error(const Route& route, const Error& error, const std::string& request_id) {
  net::Response response;
  response.status = status_of(route, error);
  common_headers(response, route, request_id);
  const std::string code = wire_code(route, error);
  std::string message =
      error.fault ? error.message
                  : "The request processing has failed because of an unknown error, exception or failure.";
  if (route.wire == Wire::ec2 && code == "UnauthorizedOperation") {
    message = "You are not authorized to perform this operation. " + message;
    if (!error.extra.empty()) message += " Encoded authorization failure message: " + error.extra;
  }
  if (is_s3(route) && code == "InvalidAccessKeyId")
    message = "The AWS Access Key Id you provided does not exist in our records.";
  if (is_s3(route) && error.code == "MissingAuthenticationToken") message = "Access Denied";
  if (route.wire == Wire::ec2 && code == "AuthFailure")
    message = "AWS was not able to validate the provided access credentials";
  if (route.wire == Wire::cbor) {
    query_error(response, route, code, response.status);
    response.headers.add("Content-Type", "application/cbor");
    model::write_cbor_texts(response.body, {{"__type", code}, {"message", message}});
    return response;
  }
  if (route.wire == Wire::json || route.wire == Wire::rest_json) {
    query_error(response, route, code, response.status);
    response.headers.add("Content-Type", route.wire == Wire::json
                                             ? "application/x-amz-json-" +
                                                   (route.json_version.empty() ? "1.1" : route.json_version)
                                             : "application/json");
    response.headers.add("x-amzn-ErrorType", code);
    response.body = "{\"__type\":";
    json::append_string(response.body, code);
    response.body += ",\"message\":";
    json::append_string(response.body, message);
    response.body += '}';
    return response;
  }
  response.headers.add("Content-Type", is_s3(route) ? "application/xml" : "text/xml;charset=UTF-8");
  if (response.status == 304) return response;
  response.body = error_xml(route, code, message, response.status, request_id);
  return response;
}

}  // namespace bastide::aws
