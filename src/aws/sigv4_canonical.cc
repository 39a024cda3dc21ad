#include <algorithm>

#include "aws/sigv4.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

// RFC 3986 section 5.2.4, and runs of slashes become one.
std::string normalized(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view segment : split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else {
      kept.push_back(segment);
    }
  }
  std::string out = "/" + join(kept, "/");
  const bool folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
  if (folder && out.size() > 1) out += '/';
  return out;
}

std::string canonical_path(std::string_view raw, bool s3) {
  if (raw.empty()) return "/";
  if (!s3) return percent_encode(normalized(raw), "/");
  const auto decoded = percent_decode(raw);
  return percent_encode(decoded ? std::string_view(decoded.value()) : raw, "/");
}

std::string recoded(std::string_view text) {
  const auto decoded = percent_decode(text);
  return percent_encode(decoded ? std::string_view(decoded.value()) : text);
}

std::string canonical_query(std::string_view raw, bool presigned) {
  if (raw.empty()) return {};
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view pair : split(raw, '&')) {
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    std::string name = recoded(pair.substr(0, equals));
    if (presigned && name == "X-Amz-Signature") continue;
    pairs.emplace_back(std::move(name),
                       equals == std::string_view::npos ? "" : recoded(pair.substr(equals + 1)));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

// Trimmed, and runs of blanks become one.
void append_value(std::string& out, std::string_view value) {
  value = trim(value);
  bool blank = false;
  for (const char c : value) {
    const bool is_blank = c == ' ' || c == '\t';
    if (!is_blank)
      out += c;
    else if (!blank)
      out += ' ';
    blank = is_blank;
  }
}

}  // namespace

std::string canonical_request(const net::Request& request, std::string_view signed_headers, bool presigned,
                              bool s3, std::string_view payload_hash) {
  std::string out;
  out.reserve(1024);
  out += request.method;
  out += '\n';
  out += canonical_path(request.raw_path(), s3);
  out += '\n';
  out += canonical_query(request.raw_query(), presigned);
  out += '\n';
  for (const std::string_view name : split(signed_headers, ';')) {
    out += name;
    out += ':';
    bool first = true;
    for (const auto& [header, value] : request.headers) {
      if (!iequals(header, name)) continue;
      if (!first) out += ',';
      first = false;
      append_value(out, value);
    }
    if (first && name == "host") append_value(out, request.host);
    out += '\n';
  }
  out += '\n';
  out += signed_headers;
  out += '\n';
  out += payload_hash;
  return out;
}

std::string string_to_sign(std::string_view timestamp, const Scope& scope, std::string_view canonical) {
  std::string out = "AWS4-HMAC-SHA256\n";
  out += timestamp;
  out += '\n';
  out += scope.text();
  out += '\n';
  out += sha256_hex(canonical);
  return out;
}

}  // namespace bastide::aws
