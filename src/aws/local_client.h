// Calls between services inside control, with an explicit principal: authorised and audited like anyone's.
// Waits where the operation waits.
#pragma once

#include <string>

#include "aws/principal.h"
#include "aws/service.h"
#include "base/json.h"
#include "base/result.h"

namespace bastide::aws {

class LocalClient {
 public:
  virtual ~LocalClient() = default;

  // By name, input and output as JSON with the model's member names; blobs as base64, timestamps as seconds.
  // `account`: whose resources; it is the principal's account unless the principal is a service.
  virtual Result<json::Value> call(const Principal& principal, const std::string& account, const std::string& region,
                                   const std::string& service, const std::string& operation,
                                   const json::Value& input) = 0;

  // Typed.
  template <class Op>
  Result<typename Op::Response> call(const Principal& principal, const std::string& account,
                                     const std::string& region, const typename Op::Request& request) {
    typename Op::Response response;
    TRY(call_typed(principal, account, region, Op::service, Op::operation.name, &request, &response));
    return response;
  }

 protected:
  virtual Result<void> call_typed(const Principal& principal, const std::string& account, const std::string& region,
                                  const std::string& service, const std::string& operation, const void* request,
                                  void* response) = 0;
};

}  // namespace bastide::aws
