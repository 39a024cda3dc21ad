// What server, client and proxy share around a socket: a buffer before it, heads and bodies read through it.
// On the loop's thread, by one fiber at a time.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "net/http_parser.h"
#include "net/socket.h"

namespace bastide::net {

class HttpStream {
 public:
  explicit HttpStream(Socket socket) : socket_(std::move(socket)) {}

  Socket& socket() { return socket_; }

  // Waits until a whole head is buffered, at most `timeout`, and returns its size; 0 where the peer ended
  // before the first byte. Errors of the parser carry a status; "Timeout" carries 408 once a byte has come,
  // else 0.
  Result<size_t> read_head(const HeadLimits& limits, Millis timeout);
  std::string_view buffered() const { return std::string_view(buffer_).substr(taken_); }
  void consume(size_t size);

  // What is buffered, else what the socket has. Waits; 0 at the end.
  Result<size_t> read(char* buffer, size_t size);
  // Reads once into the buffer. Waits; 0 at the end.
  Result<size_t> fill();

  bool idle() const { return buffered().empty() && !socket_.has_buffered(); }
  void give_memory_back();  // of an idle stream

 private:
  Socket socket_;
  std::string buffer_;
  size_t taken_ = 0;  // of buffer_, from its start
};

// The body that follows a head on a stream.
class BodyReader {
 public:
  BodyReader(HttpStream& stream, Framing framing);
  // The next piece; 0 at its end. Waits. "Closed" where the peer ended before the body did.
  Result<size_t> read_some(char* buffer, size_t size);
  // All that is left, at most `max_bytes` ("TooLarge").
  Result<std::string> read_all(size_t max_bytes);
  // Reads and drops what is left: whether that took at most `max_bytes` and `timeout`.
  bool drain(size_t max_bytes, Millis timeout);
  bool done() const;
  const Framing& framing() const { return framing_; }
  const Headers& trailers() const { return chunks_.trailers(); }

 private:
  Result<size_t> read_chunked(char* buffer, size_t size);

  HttpStream& stream_;
  Framing framing_;
  int64_t left_;
  bool ended_ = false;
  ChunkDecoder chunks_;
};

}  // namespace bastide::net
