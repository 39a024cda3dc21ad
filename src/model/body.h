// Requests and answers as JSON bodies, by the model's member names: how a service keeps what it was given,
// and answers from what it kept. Times are seconds, as in every JSON of the models.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "model/json_codec.h"
#include "model/type.h"

namespace bastide::model {

template <class Op>
json::Value request_body(const typename Op::Request& request) {
  return write_json_value(*Op::operation.input, &request);
}
// Members that the answer does not have are passed over.
template <class Op>
Result<typename Op::Response> response_of(const json::Value& body) {
  typename Op::Response out;
  TRY(read_json_value(body, *Op::operation.output, &out, nullptr));
  return out;
}

}  // namespace bastide::model
