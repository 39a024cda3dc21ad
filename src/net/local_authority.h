// The local certificate authority of a home: tls/ca.pem and tls/ca.key, made where they are missing.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "net/tls.h"

namespace bastide::net {

// Thread-safe; one authority comes of many calls at once. Waits.
Result<KeyPair> local_authority(const std::string& home, Millis now);

}  // namespace bastide::net
