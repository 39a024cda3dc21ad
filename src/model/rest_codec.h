// Structs to and from HTTP messages, as rest-xml and rest-json bind them: labels of the path, query string,
// headers, a payload member or a document.
// https://smithy.io/2.0/spec/http-bindings.html
// https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html
// https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/check.h"
#include "model/type.h"

namespace bastide::model {

enum class RestBody { xml, json };

// A message as it came; borrowed.
struct RestSource {
  std::string_view path;   // percent-encoded, of a request
  std::string_view query;  // percent-encoded, of a request
  int status = 0;          // of an answer
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  std::string_view body;
};

// A message to send. `content_type` is empty where there is no body, or where a header of the model gives it.
struct RestMessage {
  std::string method;
  std::string target;  // of a request
  int status = 200;    // of an answer
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string content_type;
};

// The member that alone is the body, or null.
const Field* payload_of(const Type& type);
// Whether the body is a stream of bytes, which no codec sees.
bool streams(const Type& type);

// How well a template ("/{Bucket}/{Key+}?uploads") fits method, path and query: -1 where it does not, else
// more for every literal that it names.
int rest_fit(std::string_view method, std::string_view uri, std::string_view given_method,
             std::string_view path, std::string_view query);
// Whether the query has a parameter of that name.
bool query_has(std::string_view query, std::string_view name);

Result<void> read_rest_request(const Operation& operation, const RestSource& source, RestBody body, void* out,
                               Check* check);
RestMessage write_rest_response(const Operation& operation, const void* value, RestBody body);

Result<RestMessage> write_rest_request(const Operation& operation, const void* value, RestBody body);
Result<void> read_rest_response(const Operation& operation, const RestSource& source, RestBody body,
                                void* out);

}  // namespace bastide::model
