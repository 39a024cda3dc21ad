// Text encodings of bytes, and small string helpers. Bytes are held in std::string throughout.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bastide {

std::string hex(std::string_view bytes);  // lower case
Result<std::string> unhex(std::string_view text);

std::string base64(std::string_view bytes);  // RFC 4648 section 4, padded
std::string base64url(std::string_view bytes);  // section 5, not padded
Result<std::string> unbase64(std::string_view text);  // strict; padding required
Result<std::string> unbase64url(std::string_view text);

// RFC 3986 percent-encoding of everything but unreserved characters; `keep` names further ones to leave.
std::string percent_encode(std::string_view text, std::string_view keep = "");
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);  // spaces, tabs, CR and LF at both ends
std::string lower(std::string_view text);      // ASCII only
bool iequals(std::string_view a, std::string_view b);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);
template <class Range>
std::string join(const Range& parts, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const auto& part : parts) {
    if (!first) out += separator;
    out += part;
    first = false;
  }
  return out;
}

// The whole of `text` as a decimal number; an error when it is anything else or out of range.
Result<int64_t> parse_int(std::string_view text);

// Of all words, the one most like `word` when it is near enough to be a probable slip; else empty.
std::string closest(std::string_view word, const std::vector<std::string>& words);

bool valid_utf8(std::string_view text);

}  // namespace bastide
