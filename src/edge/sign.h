// Signature Version 4 as origin access control needs it: a request to S3, its body not signed.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace bastide::edge {

struct S3Key {
  std::string_view access_key, secret_key, region;
};

// The fields to send: x-amz-date, x-amz-content-sha256 and Authorization, each ended by CRLF. `path` is
// percent-encoded the way S3 does (encode_path), `query` as it is sent.
std::string sign_for_s3(const S3Key& key, std::string_view method, std::string_view host,
                        std::string_view path, std::string_view query, Millis now);

// What a viewer sent, decoded and encoded again: both sides then sign the same text.
std::string encode_path(std::string_view path);
std::string encode_query(std::string_view query);

}  // namespace bastide::edge
