// Credentials as AWS's SDKs find them without files: environment keys, a web identity, the container's
// credential endpoint, the instance's (IMDSv2 alone; AWS_EC2_METADATA_DISABLED=true leaves it out).
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
#pragma once

#include <string>

#include "aws/client.h"
#include "base/result.h"

namespace bastide::kmscrypt {

Result<aws::Credentials> find_credentials(const std::string& region);

}  // namespace bastide::kmscrypt
