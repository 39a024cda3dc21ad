// The checksums that a client sends with a whole body: Content-MD5 and x-amz-checksum-*.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
#pragma once

#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace bastide::aws {

// Faults: InvalidDigest, BadDigest, InvalidRequest (none where one is `required`).
Result<void> check_body(const net::Request& request, const net::Headers& trailers, std::string_view body,
                        bool required);

}  // namespace bastide::aws
