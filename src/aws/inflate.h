// Request bodies that come compressed (CloudWatch's PutMetricData).
// https://smithy.io/2.0/spec/behavior-traits.html#requestcompression-trait
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::aws {

// Undoes gzip; "TooLarge" where it holds more than `max_bytes`, "Invalid" where it is no whole gzip stream.
Result<std::string> gunzip(std::string_view bytes, size_t max_bytes);

}  // namespace bastide::aws
