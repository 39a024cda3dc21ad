// The heads of HTTP/1.1 messages as the edge sees them: views into the buffer that holds them, nothing
// copied. Strict: a shape that two parsers could read differently is refused (RFC 9112, sections 2.2,
// 5, 6.3, 11.2).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace bastide::edge {

inline constexpr size_t kMaxHeadBytes = 64u << 10;  // ELB: the whole of the headers
inline constexpr size_t kMaxLineBytes = 16u << 10;  // ELB: request line, one header
inline constexpr size_t kMaxFields = 200;

enum class Name : uint8_t {
  other,
  host,
  connection,
  content_length,
  transfer_encoding,
  expect,
  upgrade,
  keep_alive,
  te,
  trailer,
  proxy_connection,
  proxy_authenticate,
  forwarded_for,
  forwarded_proto,
  forwarded_port,
  trace_id,
  user_agent
};

struct Field {
  std::string_view name, value;
  Name known = Name::other;
  bool hop = false;  // of this connection only: never passed on
};

struct Head {
  std::vector<Field> fields;
  int minor = 1;  // HTTP/1.minor
  bool keep_alive = true;
  bool chunked = false;
  int64_t content_length = -1;  // -1: none given
  std::string_view upgrade;     // of "Connection: upgrade"
};

struct RequestHead : Head {
  std::string_view method, target;  // target in origin form, or "*"
  std::string_view path, query;
  std::string_view host;       // with its port, as sent
  std::string_view host_name;  // without
  std::string_view user_agent;
  bool expects_continue = false;
  bool has_body() const { return chunked || content_length > 0; }
  bool idempotent() const;
};

struct ResponseHead : Head {
  int status = 0;
  std::string_view reason;
};

// Why a head is refused; status is what ELB answers.
struct Refusal {
  int status = 400;
  const char* why = nullptr;  // nullptr: not refused
  explicit operator bool() const { return why != nullptr; }
};

// The length of the head with its final CRLF CRLF, or 0 when it is not complete. `from`: what was searched
// before.
size_t head_length(std::string_view bytes, size_t from = 0);

// `head` ends with the CRLF CRLF. `out` is overwritten; it keeps its memory.
Refusal parse_request(std::string_view head, RequestHead& out);
Refusal parse_response(std::string_view head, ResponseHead& out);

}  // namespace bastide::edge
