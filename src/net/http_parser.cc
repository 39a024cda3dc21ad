#include "net/http_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/bytes.h"

namespace bastide::net {
namespace {

Error bad(std::string why, int status = 400) {
  Error e = error("Invalid", std::move(why));
  e.status = status;
  return e;
}

enum : uint8_t { kToken = 1, kValue = 2, kTarget = 4, kHost = 8 };

constexpr std::array<uint8_t, 256> make_classes() {
  std::array<uint8_t, 256> out{};
  for (int c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    uint8_t bits = 0;
    if (alnum) bits |= kToken | kHost;
    if (c == '\t' || (c >= 0x20 && c != 0x7F)) bits |= kValue;
    if (c > 0x20 && c < 0x7F && c != '#') bits |= kTarget;
    out[static_cast<size_t>(c)] = bits;
  }
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) out[static_cast<uint8_t>(c)] |= kToken;
  for (const char c : std::string_view("-._~%!$&'()*+,;=:[]")) out[static_cast<uint8_t>(c)] |= kHost;
  return out;
}
constexpr auto kClasses = make_classes();

bool all_of(std::string_view text, uint8_t wanted) {
  uint8_t seen = wanted;
  for (const char c : text) seen &= kClasses[static_cast<uint8_t>(c)];
  return seen == wanted;
}

std::string_view trim_ows(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// https://www.rfc-editor.org/rfc/rfc9112#section-5
Result<void> parse_field(std::string_view line, Headers& out) {
  if (line.front() == ' ' || line.front() == '\t') return bad("a folded header line");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return bad("a header line without a colon");
  const auto name = line.substr(0, colon);
  if (!valid_header_name(name)) return bad("a header name with a character that is not allowed");
  const auto value = trim_ows(line.substr(colon + 1));
  if (!valid_header_value(value)) return bad("a header value with a control character");
  out.add(std::string(name), std::string(value));
  return {};
}

// The lines after the first; `rest` ends with the empty line.
Result<void> parse_fields(std::string_view rest, const HeadLimits& limits, Headers& out) {
  for (;;) {
    const size_t end = rest.find("\r\n");
    if (end == std::string_view::npos) return bad("an incomplete head");
    if (end == 0) return {};
    if (out.size() == limits.header_count) return bad("too many headers", 431);
    TRY(parse_field(rest.substr(0, end), out));
    rest.remove_prefix(end + 2);
  }
}

Result<int64_t> parse_length(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return bad("a Content-Length that is not a number");
  }
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size())
    return bad("a Content-Length out of range", 413);
  return value;
}

// Both messages: https://www.rfc-editor.org/rfc/rfc9112#section-6.3. `none` where neither field is there.
Result<Framing> parse_framing(Headers& headers, int minor_version) {
  std::string coding;
  const std::string* length = nullptr;
  bool coded = false, repeated = false;
  for (const auto& [name, value] : headers) {
    if (name.size() == 14 && iequals(name, "content-length")) {
      if (length != nullptr && *length != value) return bad("two Content-Length headers that differ");
      repeated = length != nullptr;
      length = &value;
    } else if (name.size() == 17 && iequals(name, "transfer-encoding")) {
      if (coded) coding += ',';
      coding += value;
      coded = true;
    }
  }
  if (coded) {
    if (length != nullptr) return bad("both Transfer-Encoding and Content-Length");
    if (minor_version == 0) return bad("Transfer-Encoding in HTTP/1.0");
    if (iequals(coding, "chunked")) return Framing{Framing::Kind::chunked, 0};
    for (const auto one : split(coding, ',')) {
      if (!iequals(trim_ows(one), "chunked")) return bad("a transfer coding other than chunked", 501);
    }
    return bad("chunked given more than once");
  }
  if (length == nullptr) return Framing{};
  const auto value = TRY(parse_length(*length));
  if (repeated) headers.set("Content-Length", std::to_string(value));
  return Framing{Framing::Kind::length, value};
}

bool parse_keep_alive(const Headers& headers, int minor_version) {
  if (!headers.has("connection")) return minor_version >= 1;
  if (has_token(headers, "connection", "close")) return false;
  return minor_version >= 1 || has_token(headers, "connection", "keep-alive");
}

// "HTTP/1.x"; a higher minor version of 1 is spoken to as 1.1 (RFC 9110 section 6.2).
Result<int> parse_version(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 8 || text.substr(0, 5) != "HTTP/" || text[6] != '.' || !digit(text[5]) ||
      !digit(text[7])) {
    return bad("not HTTP");
  }
  if (text[5] != '1') return bad("a version of HTTP other than 1", 505);
  return text[7] == '0' ? 0 : 1;
}

// https://www.rfc-editor.org/rfc/rfc9112#section-3.2
Result<void> parse_target(std::string_view target, Request& out) {
  if (target.empty() || !all_of(target, kTarget))
    return bad("a request target with a character that is not allowed");
  if (out.method == "CONNECT") {
    out.host = target;
    out.target = target;
    return {};
  }
  if (target.front() == '/' || (target == "*" && out.method == "OPTIONS")) {
    out.target = target;
    return {};
  }
  size_t scheme = 0;
  if (target.size() >= 7 && iequals(target.substr(0, 7), "http://")) scheme = 7;
  if (target.size() >= 8 && iequals(target.substr(0, 8), "https://")) scheme = 8;
  if (scheme == 0) return bad("a request target that is neither a path nor a URL");
  target.remove_prefix(scheme);
  const size_t end = std::min(target.find_first_of("/?"), target.size());
  out.host = target.substr(0, end);
  target.remove_prefix(end);
  if (out.host.empty()) return bad("a request target without a host");
  out.target = target.empty() || target.front() == '?' ? "/" : "";
  out.target += target;
  return {};
}

// https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2 and 3.2.3: a URL's authority wins over Host.
Result<void> parse_host(RequestHead& head) {
  const std::string* host = nullptr;
  for (const auto& [name, value] : head.request.headers) {
    if (name.size() != 4 || !iequals(name, "host")) continue;
    if (host != nullptr) return bad("more than one Host header");
    host = &value;
  }
  if (host == nullptr && head.minor_version >= 1) return bad("no Host header");
  if (host != nullptr && !all_of(*host, kHost))
    return bad("a Host header with a character that is not allowed");
  if (!all_of(head.request.host, kHost)) return bad("a host with a character that is not allowed");
  if (head.request.host.empty() && host != nullptr) head.request.host = *host;
  return {};
}

}  // namespace

bool valid_header_name(std::string_view name) { return !name.empty() && all_of(name, kToken); }
bool valid_header_value(std::string_view value) { return all_of(value, kValue); }

bool has_token(const Headers& headers, std::string_view name, std::string_view token) {
  for (const auto& [key, value] : headers) {
    if (!iequals(key, name)) continue;
    for (const auto one : split(value, ',')) {
      if (iequals(trim_ows(one), token)) return true;
    }
  }
  return false;
}

Result<size_t> find_head_end(std::string_view bytes, size_t& scanned, const HeadLimits& limits) {
  // One empty line before a request is overlooked (RFC 9112 section 2.2); parse_request_head skips it, too.
  const size_t start = bytes.substr(0, 2) == "\r\n" ? 2 : 0;
  size_t at = std::max(scanned, start);
  while (at < bytes.size()) {
    const auto* found = static_cast<const char*>(std::memchr(bytes.data() + at, '\n', bytes.size() - at));
    if (found == nullptr) break;
    const auto line_end = static_cast<size_t>(found - bytes.data());
    if (line_end == 0 && bytes.size() == 1) return bad("a line that ends without CR");
    if (line_end == 0 || bytes[line_end - 1] != '\r') return bad("a line that ends without CR");
    at = line_end + 1;
    if (line_end >= start + 3 && bytes[line_end - 2] == '\n') {
      if (at > limits.head_bytes) return bad("the head is too large", 431);
      scanned = 0;
      return at;
    }
    if (line_end == start + 1) return bad("an empty request line");
  }
  scanned = at;
  // Where the first line has not ended yet, `at` still stands at its start.
  if (at == start && bytes.size() - start > limits.line_bytes)
    return bad("the request line is too long", 414);
  if (bytes.size() >= limits.head_bytes) return bad("the head is too large", 431);
  return size_t{0};
}

Result<RequestHead> parse_request_head(std::string_view head, const HeadLimits& limits) {
  if (head.substr(0, 2) == "\r\n") head.remove_prefix(2);
  const size_t line_end = head.find("\r\n");
  if (line_end == std::string_view::npos) return bad("an incomplete head");
  if (line_end > limits.line_bytes) return bad("the request line is too long", 414);
  const auto line = head.substr(0, line_end);
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return bad("a request line without three parts");

  RequestHead out;
  const auto method = line.substr(0, first);
  if (method.empty() || method.size() > 32 || !all_of(method, kToken)) return bad("not a method");
  out.request.method = method;
  out.minor_version = TRY(parse_version(line.substr(last + 1)));
  TRY(parse_target(line.substr(first + 1, last - first - 1), out.request));
  TRY(parse_fields(head.substr(line_end + 2), limits, out.request.headers));
  TRY(parse_host(out));
  out.framing = TRY(parse_framing(out.request.headers, out.minor_version));
  out.keep_alive = parse_keep_alive(out.request.headers, out.minor_version);
  if (const auto* expect = out.request.headers.find("expect"); expect != nullptr && out.minor_version >= 1) {
    if (!iequals(*expect, "100-continue")) return bad("an expectation other than 100-continue", 417);
    out.expects_continue = out.framing.kind != Framing::Kind::none && out.framing.length + 1 > 0;
    if (out.framing.kind == Framing::Kind::length && out.framing.length == 0) out.expects_continue = false;
  }
  return out;
}

Result<ResponseHead> parse_response_head(std::string_view head, std::string_view method,
                                         const HeadLimits& limits) {
  const size_t line_end = head.find("\r\n");
  if (line_end == std::string_view::npos) return bad("an incomplete head");
  const auto line = head.substr(0, line_end);
  // "HTTP/1.1 200" and, after another space, a reason that nobody reads.
  ResponseHead out;
  out.minor_version = TRY(parse_version(line.substr(0, 8)));
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' '))
    return bad("not a status line");
  for (const char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return bad("not a status");
    out.status = out.status * 10 + (c - '0');
  }
  if (out.status < 100) return bad("not a status");
  if (!all_of(line.substr(12), kValue)) return bad("a status line with a control character");
  TRY(parse_fields(head.substr(line_end + 2), limits, out.headers));
  out.keep_alive = parse_keep_alive(out.headers, out.minor_version);

  auto framing = TRY(parse_framing(out.headers, out.minor_version));
  const bool bodiless = method == "HEAD" || out.status < 200 || out.status == 204 || out.status == 304;
  if (bodiless) {
    out.framing = {};
  } else if (framing.kind == Framing::Kind::none) {
    out.framing = {Framing::Kind::until_close, 0};
    out.keep_alive = false;
  } else {
    out.framing = framing;
  }
  return out;
}

// --- writing ---

Result<void> append_headers(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    if (!valid_header_name(name)) return error("Invalid", "a header name that cannot be sent");
    if (!valid_header_value(value))
      return error("Invalid", "the header " + name + " has a value that cannot be sent");
    out.append(name).append(": ").append(value).append("\r\n");
  }
  return {};
}

Result<void> append_request_head(std::string& out, std::string_view method, std::string_view target,
                                 const Headers& headers) {
  if (method.empty() || !all_of(method, kToken)) return error("Invalid", "a method that cannot be sent");
  if (target.empty() || !all_of(target, kTarget)) return error("Invalid", "a target that cannot be sent");
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  TRY(append_headers(out, headers));
  out.append("\r\n");
  return {};
}

void append_status_line(std::string& out, int status) {
  const char digits[] = {static_cast<char>('0' + status / 100 % 10),
                         static_cast<char>('0' + status / 10 % 10), static_cast<char>('0' + status % 10),
                         ' '};
  out.append("HTTP/1.1 ").append(digits, 4).append(reason_phrase(status)).append("\r\n");
}

void append_chunk_head(std::string& out, size_t size) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
  out.append(digits, end).append("\r\n");
}

}  // namespace bastide::net
