// Compression at the edge, as CloudFront has it: which answers, and the two codings.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ServingCompressedFiles.html
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::edge {

inline constexpr int64_t kCompressFrom = 1'000, kCompressTo = 10'000'000;  // bytes

bool compressible_type(std::string_view content_type);
// The whole of `bytes`. Takes milliseconds: on a worker thread.
Result<std::string> gzip(std::string_view bytes);
Result<std::string> brotli(std::string_view bytes);

}  // namespace bastide::edge
