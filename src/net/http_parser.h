// Parsing and writing of HTTP/1.1 heads and chunked bodies (RFC 9112): functions over bytes, without I/O.
// Strict, because a proxy and its origin must never disagree on where a message ends. An error carries the
// status to answer in Error::status.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace bastide::net {

struct HeadLimits {
  size_t head_bytes = 64u << 10;
  size_t header_count = 200;
  size_t line_bytes = 16u << 10;  // of the first line
};

// How the end of a body is found.
struct Framing {
  enum class Kind { none, length, chunked, until_close } kind = Kind::none;
  int64_t length = 0;
};

struct RequestHead {
  Request request;
  int minor_version = 1;
  Framing framing;
  bool keep_alive = true;
  bool expects_continue = false;
};

struct ResponseHead {
  int status = 0;
  Headers headers;
  int minor_version = 1;
  Framing framing;
  bool keep_alive = true;
};

// The size of the head at the start of `bytes`, its empty line included; 0 while it is incomplete. `scanned`
// is the caller's memory between calls with more bytes; it starts at 0.
Result<size_t> find_head_end(std::string_view bytes, size_t& scanned, const HeadLimits& limits);

// `head` as find_head_end measured it. An absolute target is split: `host` is its authority, `target` the
// rest. A request has at most one Content-Length field afterwards.
Result<RequestHead> parse_request_head(std::string_view head, const HeadLimits& limits);

// `method` is the request's: it decides whether there is a body.
Result<ResponseHead> parse_response_head(std::string_view head, std::string_view method,
                                         const HeadLimits& limits);

// Takes a chunked body apart, piece by piece, trailers included.
class ChunkDecoder {
 public:
  struct Step {
    size_t consumed = 0;    // of the input
    std::string_view data;  // inside the consumed part
  };
  // Goes on until a piece of data, the end, or the end of the input.
  Result<Step> step(std::string_view input);
  bool done() const { return state_ == State::done; }
  // Bytes of the current chunk that come next in the stream, and that the caller took from it elsewhere.
  uint64_t left_in_chunk() const { return state_ == State::data ? left_ : 0; }
  void took(uint64_t bytes);
  const Headers& trailers() const { return trailers_; }

 private:
  enum class State { size, data, data_end, trailer, done };
  Result<void> size_line(std::string_view line);
  Result<void> trailer_line(std::string_view line);

  State state_ = State::size;
  uint64_t left_ = 0;
  std::string line_;  // a size line or trailer as far as it came
  size_t trailer_bytes_ = 0;
  size_t extension_bytes_ = 0;
  Headers trailers_;
};

bool valid_header_name(std::string_view name);
bool valid_header_value(std::string_view value);

// Whether the comma-separated list of a header holds this word, without case.
bool has_token(const Headers& headers, std::string_view name, std::string_view token);

// "GET /x HTTP/1.1\r\n...\r\n": headers as given, nothing added. An error where one could not be sent as it
// is.
Result<void> append_request_head(std::string& out, std::string_view method, std::string_view target,
                                 const Headers& headers);
Result<void> append_headers(std::string& out, const Headers& headers);
void append_status_line(std::string& out, int status);
void append_chunk_head(std::string& out, size_t size);

}  // namespace bastide::net
