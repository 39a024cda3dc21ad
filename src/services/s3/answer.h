// Answering an exchange without the API's front.
#pragma once

#include <string>

#include "aws/wire.h"
#include "base/result.h"
#include "net/http_server.h"

namespace bastide::services::s3 {

std::string bucket_in(const net::Request& request);  // of the host or the path; may be empty
void refuse(net::Exchange& exchange, const Error& error, const std::string& request_id);

}  // namespace bastide::services::s3
