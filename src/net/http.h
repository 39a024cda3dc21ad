// HTTP/1.1 messages (RFC 9110, RFC 9112) as server and client share them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::net {

class Headers {
 public:
  const std::string* find(std::string_view name) const;  // the first; names compare without case
  std::string get(std::string_view name, std::string_view fallback = "") const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  void add(std::string name, std::string value) { all_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string name, std::string value);  // replaces every one of that name
  void remove(std::string_view name);
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  size_t size() const { return all_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

struct Request {
  std::string method;
  std::string target;  // as sent: path and query, percent-encoded
  Headers headers;
  std::string body;  // client side, and what a handler read with read_body

  std::string_view raw_path() const;   // up to '?'
  std::string_view raw_query() const;  // after '?', may be empty
  std::string host;                    // Host header or authority
  std::string peer;                    // "ip:port"
  bool tls = false;
};

struct FilePart {
  sys::Fd fd;
  int64_t offset = 0;
  int64_t length = 0;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  std::optional<FilePart> file;  // sent after `body`; Content-Length covers both
};

std::string_view reason_phrase(int status);

// name=value&... in order, decoded ('+' is a space). Bounded: 1,000 pairs.
Result<std::vector<std::pair<std::string, std::string>>> parse_form(std::string_view text);

}  // namespace bastide::net
