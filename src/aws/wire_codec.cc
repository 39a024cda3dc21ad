#include <fmt/format.h>

#include <algorithm>

#include "aws/wire.h"
#include "base/bytes.h"
#include "model/check.h"
#include "model/json_codec.h"
#include "model/xml_codec.h"

namespace bastide::aws {
namespace {

// Which code a service gives for a request that breaks its model's constraints.
std::string_view constraint_code(const Route& route) {
  const std::string_view name = route.service->name;
  if (route.wire == Wire::json) {
    for (const std::string_view one : {"ecs", "ecr", "logs"}) {
      if (name == one) return "InvalidParameterException";
    }
    return "ValidationException";
  }
  if (name == "rds") return "InvalidParameterValue";
  if (name == "sns") return "InvalidParameter";
  if (route.wire == Wire::rest_xml) return name == "s3" ? "InvalidRequest" : "InvalidArgument";
  return "ValidationError";
}

Error as_fault(const Route& route, Error error) {
  if (error.code == model::kConstraint)
    return fault(std::string(constraint_code(route)), std::move(error.message), 400);
  if (error.code == model::kMalformed) {
    return fault(route.wire == Wire::json ? "SerializationException" : "MalformedInput",
                 std::move(error.message), 400);
  }
  return fault(std::move(error.code), std::move(error.message), 400);
}

struct CommonCode {
  std::string_view code, json, ec2;
  int status;
};
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
constexpr CommonCode kCommon[] = {
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", 403},
    {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "MissingAuthenticationToken", 403},
    {"IncompleteSignature", "IncompleteSignatureException", "AuthFailure", 400},
    {"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure", 403},
    {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", 403},
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", 403},
    {"InvalidAction", "UnknownOperationException", "InvalidAction", 400},
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", 400},
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
    if (route.wire == Wire::json) return 400;
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
  if (route.wire == Wire::rest_xml && route.service != nullptr &&
      std::string_view(route.service->name) == "s3") {
    out += "<Error>";
    xml_member(out, "Code", code);
    xml_member(out, "Message", message);
    xml_member(out, "RequestId", request_id);
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
  if (route.wire == Wire::rest_xml) response.headers.add("x-amz-request-id", request_id);
}

}  // namespace

std::string wire_code(const Route& route, const Error& error) {
  if (!error.fault) return "InternalFailure";
  const bool json = route.wire == Wire::json || route.wire == Wire::rest_json;
  for (const CommonCode& common : kCommon) {
    if (common.code != error.code) continue;
    if (json) return std::string(common.json);
    return std::string(route.wire == Wire::ec2 ? common.ec2 : common.code);
  }
  const auto* shape = shape_of(route.service, error.code);
  if (shape == nullptr) return error.code;
  return json ? shape->name : shape->code;
}

Result<void> decode(const Route& route, const model::Operation& operation, std::string_view body,
                    void* request) {
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
    case Wire::rest_xml:
    case Wire::rest_json:
      return fault("NotImplemented",
                   fmt::format("{}.{}: the protocol of this service is not implemented", route.service->name,
                               operation.name),
                   501);
  }
  if (read) {
    model::validate(*operation.input, request, check);
    read = check.result();
  }
  if (!read) return as_fault(route, std::move(read).error());
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
  if (route.wire == Wire::ec2 && code == "AuthFailure")
    message = "AWS was not able to validate the provided access credentials";
  if (route.wire == Wire::json || route.wire == Wire::rest_json) {
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
  response.headers.add("Content-Type", "text/xml;charset=UTF-8");
  response.body = error_xml(route, code, message, response.status, request_id);
  return response;
}

}  // namespace bastide::aws
