// Generated structs as JSON bodies and back, by the model's member names: how a service keeps what it was
// given, and answers from what it kept. Times are milliseconds; nothing is validated here (the codec did that
// at the wire).
#pragma once

#include "base/json.h"
#include "model/type.h"

namespace bastide::model {

json::Value to_body(const Type& type, const void* value);
// Members that the type does not have, or of another kind, are passed over.
void from_body(const Type& type, const json::Value& body, void* value);

template <class Op>
json::Value request_body(const typename Op::Request& request) {
  return to_body(*Op::operation.input, &request);
}
template <class Op>
typename Op::Response response_of(const json::Value& body) {
  typename Op::Response out;
  from_body(*Op::operation.output, body, &out);
  return out;
}

}  // namespace bastide::model
