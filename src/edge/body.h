// Reads the body of a message from a buffer, undoing its framing: a length, chunks (RFC 9112 section 7.1), or
// until the end of the connection. Strict about chunks; extensions and trailers are read, bounded, and
// dropped.
#pragma once

#include <cstdint>
#include <string_view>

#include "edge/buffer.h"

namespace bastide::edge {

inline constexpr size_t kMaxChunkLine = 4u << 10;  // chunk size with its extensions
inline constexpr size_t kMaxTrailerBytes = 16u << 10;

class BodyReader {
 public:
  static BodyReader of_length(int64_t length) {
    return BodyReader(length == 0 ? State::end : State::length, length);
  }
  static BodyReader of_chunks() { return BodyReader(State::chunk_size, 0); }
  static BodyReader until_close() { return BodyReader(State::close, 0); }

  enum class Step { data, more, end, bad };
  // data: `piece` was taken from `in` (a view that is good until the next read into it). more: read more into
  // `in`.
  Step step(Buffer& in, std::string_view& piece);
  // The connection ended: whether that is this body's proper end.
  bool ends_with_connection() const { return state_ == State::close; }
  bool ended() const { return state_ == State::end; }

 private:
  enum class State { length, chunk_size, chunk_data, chunk_end, trailers, close, end };
  BodyReader(State state, int64_t left) : state_(state), left_(left) {}
  State state_;
  int64_t left_;
  size_t trailer_bytes_ = 0;
};

}  // namespace bastide::edge
