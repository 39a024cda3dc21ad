// S3's request bodies: plain ones against the hash that was signed, and aws-chunked ones, whose chunks may be
// signed each and which may end in trailers.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
#pragma once

#include <memory>
#include <string>

#include "aws/sigv4.h"
#include "aws/stream.h"
#include "net/http_server.h"

namespace bastide::aws {

// What x-amz-content-sha256 announces; a hash stands for itself. Faults where it is none of them.
Result<std::string> announced_payload(const net::Request& request, bool presigned);

// Borrows `exchange`. `signature` and `key` are null for a request without a signature.
std::unique_ptr<BodySource> open_payload(net::Exchange& exchange, std::string announced,
                                         const Signature* signature, const SigningKey* key);

}  // namespace bastide::aws
