// What stands in an HTTP request, and how an answer is laid out, in each of AWS's protocols. No waiting, no
// state.
#pragma once

#include <string>
#include <string_view>

#include "aws/sigv4.h"
#include "base/result.h"
#include "model/query_codec.h"
#include "model/type.h"
#include "net/http.h"

namespace bastide::aws {

enum class Wire { json, query, ec2, rest_xml, rest_json, cbor };

// Where a request goes. `operation` is null where the model has none of the name that was asked for.
struct Route {
  const model::Service* service = nullptr;
  const model::OperationName* operation = nullptr;
  std::string operation_name;
  Wire wire = Wire::json;
  std::string json_version;   // "1.1"
  model::Params params;       // of query and ec2
  std::string path;           // of REST: percent-encoded, the bucket of a virtual host put before it
  bool query_errors = false;  // the client wants the codes of the query protocol beside
};

// By X-Amz-Target, by the path of rpc-v2-cbor, or by the service that the signature's scope names; a request
// without a signature that looks like S3's goes there. Null: nothing here says which service.
const model::Service* service_of(const net::Request& request, const Signature* signature);
// Once the body is there. Faults: UnknownOperationException, InvalidAction, MissingAction, MalformedInput.
Result<Route> route(const net::Request& request, const model::Service* service, std::string_view body);

// REST needs no body for it.
bool is_rest(const model::Service& service);

// Reads and checks the request of an operation into a fresh struct; faults in the words of the service.
Result<void> decode(const Route& route, const model::Operation& operation, const net::Request& request,
                    std::string_view body, void* out);
net::Response encode(const Route& route, const model::Operation& operation, const void* response,
                     const std::string& request_id);
// `route.service` may be null.
net::Response encode_error(const Route& route, const Error& error, const std::string& request_id);
// The code that a client of this protocol sees for a common error, such as AccessDenied.
std::string wire_code(const Route& route, const Error& error);

}  // namespace bastide::aws
