// Credentials as AWS's SDKs find them in a container: environment keys, then the container credential endpoint.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
#pragma once

#include "aws/client.h"
#include "base/result.h"

namespace bastide::kmscrypt {

Result<aws::Credentials> find_credentials();

}  // namespace bastide::kmscrypt
