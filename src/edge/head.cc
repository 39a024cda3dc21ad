#include "edge/head.h"

#include <array>
#include <cstring>

#include "base/bytes.h"

namespace bastide::edge {
namespace {

constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> t{};
  for (int c = '0'; c <= '9'; ++c) t[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) t[c] = t[c - 32] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) t[static_cast<unsigned char>(c)] = true;
  return t;
}
constexpr auto kToken = token_table();

bool is_token(std::string_view text) {
  for (unsigned char c : text) {
    if (!kToken[c]) return false;
  }
  return !text.empty();
}

Name name_of(std::string_view name) {
  switch (name.size()) {
    case 2:
      return iequals(name, "te") ? Name::te : Name::other;
    case 4:
      return iequals(name, "host") ? Name::host : Name::other;
    case 6:
      return iequals(name, "expect") ? Name::expect : Name::other;
    case 7:
      if (iequals(name, "upgrade")) return Name::upgrade;
      return iequals(name, "trailer") ? Name::trailer : Name::other;
    case 10:
      if (iequals(name, "connection")) return Name::connection;
      if (iequals(name, "keep-alive")) return Name::keep_alive;
      return iequals(name, "user-agent") ? Name::user_agent : Name::other;
    case 14:
      return iequals(name, "content-length") ? Name::content_length : Name::other;
    case 15:
      return iequals(name, "x-forwarded-for")   ? Name::forwarded_for
             : iequals(name, "x-amzn-trace-id") ? Name::trace_id
                                                : Name::other;
    case 16:
      if (iequals(name, "x-forwarded-port")) return Name::forwarded_port;
      return iequals(name, "proxy-connection") ? Name::proxy_connection : Name::other;
    case 17:
      if (iequals(name, "transfer-encoding")) return Name::transfer_encoding;
      return iequals(name, "x-forwarded-proto") ? Name::forwarded_proto : Name::other;
    case 18:
      return iequals(name, "proxy-authenticate") ? Name::proxy_authenticate : Name::other;
    default:
      return Name::other;
  }
}

bool value_bytes(std::string_view value) {
  for (unsigned char c : value) {
    if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

std::string_view trim_blanks(std::string_view v) {
  while (!v.empty() && (v.front() == ' ' || v.front() == '\t')) v.remove_prefix(1);
  while (!v.empty() && (v.back() == ' ' || v.back() == '\t')) v.remove_suffix(1);
  return v;
}

template <class F>
void each_token(std::string_view list, F f) {
  while (true) {
    auto comma = list.find(',');
    auto token = trim_blanks(list.substr(0, comma));
    if (!token.empty()) f(token);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// Takes one line off the front, without its CRLF. False where a line is not ended by CRLF.
bool take_line(std::string_view& rest, std::string_view& line) {
  const auto* lf = static_cast<const char*>(std::memchr(rest.data(), '\n', rest.size()));
  if (lf == nullptr || lf == rest.data() || lf[-1] != '\r') return false;
  auto n = static_cast<size_t>(lf - rest.data());
  line = rest.substr(0, n - 1);
  rest.remove_prefix(n + 1);
  return true;
}

Refusal refuse(const char* why, int status = 400) { return Refusal{status, why}; }

// A length of digits only; RFC 9110 section 8.6.
bool parse_length(std::string_view text, int64_t& out) {
  if (text.empty() || text.size() > 18) return false;
  int64_t n = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    n = n * 10 + (c - '0');
  }
  out = n;
  return true;
}

bool protected_name(Name name) {
  switch (name) {
    case Name::host:
    case Name::content_length:
    case Name::transfer_encoding:
    case Name::forwarded_for:
    case Name::forwarded_proto:
    case Name::forwarded_port:
    case Name::trace_id:
    case Name::user_agent:
      return true;
    default:
      return false;
  }
}

Refusal parse_fields(std::string_view rest, Head& out) {
  std::string_view line;
  std::string_view upgrade;
  bool close = false, keep = false, upgrading = false, coded = false;
  while (true) {
    if (!take_line(rest, line)) return refuse("a header line is not ended by CRLF");
    if (line.empty()) break;
    if (line.size() > kMaxLineBytes) return refuse("a header is too long");
    auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
      return refuse("a malformed header name");
    Field f;
    f.name = line.substr(0, colon);
    f.value = trim_blanks(line.substr(colon + 1));
    if (!value_bytes(f.value)) return refuse("a control character in a header");
    f.known = name_of(f.name);
    switch (f.known) {
      case Name::content_length: {
        int64_t n = 0;
        if (!parse_length(f.value, n)) return refuse("a malformed Content-Length");
        if (out.content_length >= 0) return refuse("Content-Length is there twice");
        out.content_length = n;
        f.hop = true;  // framing is written anew
        break;
      }
      case Name::transfer_encoding:
        if (coded) return refuse("Transfer-Encoding is there twice");
        coded = true;
        if (!iequals(f.value, "chunked")) return refuse("a Transfer-Encoding other than chunked", 501);
        out.chunked = true;
        f.hop = true;
        break;
      case Name::connection:
        each_token(f.value, [&](std::string_view token) {
          if (iequals(token, "close"))
            close = true;
          else if (iequals(token, "keep-alive"))
            keep = true;
          else if (iequals(token, "upgrade"))
            upgrading = true;
        });
        f.hop = true;
        break;
      case Name::upgrade:
        upgrade = f.value;
        f.hop = true;
        break;
      case Name::keep_alive:
      case Name::te:
      case Name::trailer:
      case Name::proxy_connection:
        f.hop = true;
        break;
      default:
        break;
    }
    if (out.fields.size() == kMaxFields) return refuse("too many headers");
    out.fields.push_back(f);
  }
  if (!rest.empty()) return refuse("bytes after the head");
  if (out.chunked && out.content_length >= 0) return refuse("Transfer-Encoding beside Content-Length");
  if (out.chunked && out.minor == 0) return refuse("Transfer-Encoding in HTTP/1.0");
  if (upgrading) out.upgrade = upgrade;
  out.keep_alive = out.minor == 1 ? !close : keep && !close;
  // Headers that Connection names are of this connection too; those that the next hop relies on cannot be
  // taken away.
  for (const auto& c : out.fields) {
    if (c.known != Name::connection) continue;
    each_token(c.value, [&](std::string_view token) {
      for (auto& f : out.fields) {
        if (!f.hop && !protected_name(f.known) && iequals(f.name, token)) f.hop = true;
      }
    });
  }
  return {};
}

void reset(Head& head) {
  head.fields.clear();
  head.minor = 1;
  head.keep_alive = true;
  head.chunked = false;
  head.content_length = -1;
  head.upgrade = {};
}

bool host_bytes(std::string_view host) {
  for (unsigned char c : host) {
    bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    if (!good) return false;
  }
  return true;
}

std::string_view without_port(std::string_view host) {
  if (!host.empty() && host.front() == '[') return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

bool RequestHead::idempotent() const {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

size_t head_length(std::string_view bytes, size_t from) {
  from = from > 3 ? from - 3 : 0;
  if (from >= bytes.size()) return 0;
  const auto* at = static_cast<const char*>(memmem(bytes.data() + from, bytes.size() - from, "\r\n\r\n", 4));
  return at == nullptr ? 0 : static_cast<size_t>(at - bytes.data()) + 4;
}

Refusal parse_request(std::string_view head, RequestHead& out) {
  reset(out);
  out.method = out.target = out.path = out.query = out.host = out.host_name = out.user_agent = {};
  out.expects_continue = false;
  std::string_view line;
  if (!take_line(head, line)) return refuse("the request line is not ended by CRLF");
  if (line.size() > kMaxLineBytes) return refuse("the request line is too long", 414);
  auto space = line.find(' ');
  auto last = line.rfind(' ');
  if (space == std::string_view::npos || space == last) return refuse("a malformed request line");
  out.method = line.substr(0, space);
  out.target = line.substr(space + 1, last - space - 1);
  auto version = line.substr(last + 1);
  if (!is_token(out.method) || out.method.size() > 32) return refuse("a malformed method");
  for (unsigned char c : out.target) {
    if (c <= 0x20 || c >= 0x7f || c == '#') return refuse("a character that a target cannot have");
  }
  if (version == "HTTP/1.1")
    out.minor = 1;
  else if (version == "HTTP/1.0")
    out.minor = 0;
  else
    return refuse("an HTTP version other than 1.0 and 1.1", version.substr(0, 5) == "HTTP/" ? 505 : 400);
  auto refusal = parse_fields(head, out);
  if (refusal) return refusal;

  bool has_host = false;
  for (const auto& f : out.fields) {
    if (f.known == Name::host) {
      if (has_host) return refuse("Host is there twice");
      has_host = true;
      out.host = f.value;
    } else if (f.known == Name::expect) {
      if (!iequals(f.value, "100-continue")) return refuse("an unknown expectation", 417);
      out.expects_continue = out.minor == 1;
    } else if (f.known == Name::user_agent) {
      out.user_agent = f.value;
    }
  }
  if (!has_host && out.minor == 1) return refuse("no Host header");
  if (out.method == "TRACE" || out.method == "CONNECT") return refuse("a method that is not allowed", 405);
  if (out.target[0] != '/' && out.target != "*") {
    // Absolute form (RFC 9112 section 3.2.2): its authority replaces Host.
    auto scheme = lower(out.target.substr(0, 8));
    size_t skip = scheme.substr(0, 7) == "http://" ? 7 : scheme == "https://" ? 8 : 0;
    if (skip == 0) return refuse("a malformed target");
    auto rest = out.target.substr(skip);
    auto slash = rest.find_first_of("/?");
    out.host = rest.substr(0, slash);
    out.target = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
    if (out.target[0] != '/' || out.host.empty()) return refuse("a malformed target");
  } else if (out.target == "*" && out.method != "OPTIONS") {
    return refuse("a malformed target");
  }
  if (!host_bytes(out.host) || out.host.size() > 260) return refuse("a malformed Host");
  out.host_name = without_port(out.host);
  auto question = out.target.find('?');
  out.path = out.target.substr(0, question);
  if (question != std::string_view::npos) out.query = out.target.substr(question + 1);
  return {};
}

Refusal parse_response(std::string_view head, ResponseHead& out) {
  reset(out);
  std::string_view line;
  if (!take_line(head, line)) return refuse("the status line is not ended by CRLF");
  // HTTP/1.1 200 OK; the reason, and the space before it, are often left out.
  if (line.size() < 12 || line.substr(0, 7) != "HTTP/1." || (line[7] != '0' && line[7] != '1') ||
      line[8] != ' ') {
    return refuse("a malformed status line");
  }
  out.minor = line[7] - '0';
  int status = 0;
  for (size_t i = 9; i < 12; ++i) {
    if (line[i] < '0' || line[i] > '9') return refuse("a malformed status");
    status = status * 10 + (line[i] - '0');
  }
  if (status < 100 || (line.size() > 12 && line[12] != ' ')) return refuse("a malformed status");
  out.status = status;
  out.reason = line.size() > 13 ? line.substr(13) : std::string_view();
  if (!value_bytes(out.reason)) return refuse("a control character in the status line");
  return parse_fields(head, out);
}

}  // namespace bastide::edge
