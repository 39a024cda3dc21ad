// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-trusted-signers.html
#pragma once

#include <string>

#include "base/result.h"

namespace bastide::services::cloudfront {

// RSA of 2048 bits or ECDSA on P-256, as a PEM of a public key; the fault InvalidArgument otherwise.
Result<void> check_public_key(const std::string& pem);

}  // namespace bastide::services::cloudfront
