#include "net/http_stream.h"

#include <algorithm>
#include <cstring>

namespace bastide::net {
namespace {

constexpr size_t kBuffer = 16u << 10;

Error cut_off() { return error("Closed", "the connection ended inside a message"); }

}  // namespace

void HttpStream::consume(size_t size) {
  CHECK(size <= buffer_.size() - taken_);
  taken_ += size;
  if (taken_ == buffer_.size()) {
    buffer_.clear();
    taken_ = 0;
  }
}

void HttpStream::give_memory_back() {
  CHECK(idle());
  std::string().swap(buffer_);
  taken_ = 0;
}

Result<size_t> HttpStream::fill() {
  if (taken_ > 0) {
    buffer_.erase(0, taken_);
    taken_ = 0;
  }
  const size_t before = buffer_.size();
  if (before == 0) {
    // A first piece goes over the stack, so that the buffer is as small as what came.
    char piece[kBuffer];
    const size_t n = TRY(socket_.read(piece, sizeof piece));
    buffer_.assign(piece, n);
    return n;
  }
  buffer_.resize(before + kBuffer);
  auto n = socket_.read(buffer_.data() + before, kBuffer);
  buffer_.resize(before + (n ? *n : 0));
  return n;
}

Result<size_t> HttpStream::read_head(const HeadLimits& limits, Millis timeout) {
  size_t scanned = 0;
  const Millis end = Clock::system().steady() + timeout;
  for (;;) {
    if (!buffered().empty()) {
      const size_t size = TRY(find_head_end(buffered(), scanned, limits));
      if (size > 0) return size;
    }
    const Millis left = end - Clock::system().steady();
    socket_.set_timeout(std::max<Millis>(left, 1));
    auto n = left > 0 ? fill() : Result<size_t>(error("Timeout", "the head did not come in time"));
    if (!n) {
      Error e = std::move(n).error();
      if (e.code == "Timeout" && !buffered().empty()) e.status = 408;
      return e;
    }
    if (*n == 0) {
      if (buffered().empty()) return size_t{0};
      return cut_off();
    }
  }
}

Result<size_t> HttpStream::read(char* buffer, size_t size) {
  const auto here = buffered();
  if (here.empty()) return socket_.read(buffer, size);
  const size_t n = std::min(size, here.size());
  std::memcpy(buffer, here.data(), n);
  consume(n);
  return n;
}

BodyReader::BodyReader(HttpStream& stream, Framing framing)
    : stream_(stream), framing_(framing), left_(framing.kind == Framing::Kind::length ? framing.length : 0) {}

bool BodyReader::done() const {
  switch (framing_.kind) {
    case Framing::Kind::none:
      return true;
    case Framing::Kind::length:
      return left_ == 0;
    case Framing::Kind::chunked:
      return chunks_.done();
    case Framing::Kind::until_close:
      return ended_;
  }
  return true;
}

Result<size_t> BodyReader::read_some(char* buffer, size_t size) {
  if (done() || size == 0) return size_t{0};
  if (framing_.kind == Framing::Kind::chunked) return read_chunked(buffer, size);
  if (framing_.kind == Framing::Kind::length) {
    size = static_cast<size_t>(std::min<int64_t>(left_, static_cast<int64_t>(size)));
  }
  const size_t n = TRY(stream_.read(buffer, size));
  if (framing_.kind == Framing::Kind::length) {
    if (n == 0) return cut_off();
    left_ -= static_cast<int64_t>(n);
  } else if (n == 0) {
    ended_ = true;
  }
  return n;
}

Result<size_t> BodyReader::read_chunked(char* buffer, size_t size) {
  for (;;) {
    if (const uint64_t left = chunks_.left_in_chunk(); left > 0) {
      const size_t n = TRY(stream_.read(buffer, static_cast<size_t>(std::min<uint64_t>(left, size))));
      if (n == 0) return cut_off();
      chunks_.took(n);
      return n;
    }
    if (stream_.buffered().empty()) {
      const size_t n = TRY(stream_.fill());
      if (n == 0) return cut_off();
    }
    const auto input = stream_.buffered();
    const auto step = TRY(chunks_.step(input.substr(0, size)));  // a piece never exceeds `size` then
    if (!step.data.empty()) std::memcpy(buffer, step.data.data(), step.data.size());
    stream_.consume(step.consumed);
    if (!step.data.empty()) return step.data.size();
    if (chunks_.done()) return size_t{0};
  }
}

Result<std::string> BodyReader::read_all(size_t max_bytes) {
  std::string out;
  if (framing_.kind == Framing::Kind::length) {
    if (static_cast<uint64_t>(left_) > max_bytes) return error("TooLarge", "the body is too large");
    // What a peer merely announces is not allocated at once.
    out.reserve(static_cast<size_t>(std::min<int64_t>(left_, 1 << 20)));
  }
  while (!done()) {
    const size_t before = out.size();
    size_t room = std::clamp<size_t>(before, kBuffer, 1u << 20);
    if (framing_.kind == Framing::Kind::length) room = std::min(room, static_cast<size_t>(left_));
    out.resize(before + room);
    const size_t n = TRY(read_some(out.data() + before, room));
    out.resize(before + n);
    if (out.size() > max_bytes) return error("TooLarge", "the body is too large");
  }
  return out;
}

bool BodyReader::drain(size_t max_bytes, Millis timeout) {
  if (framing_.kind == Framing::Kind::length && static_cast<uint64_t>(left_) > max_bytes) return done();
  const Millis end = Clock::system().steady() + timeout;
  size_t dropped = 0;
  char buffer[kBuffer];
  while (!done()) {
    const Millis left = end - Clock::system().steady();
    if (left <= 0) return false;
    stream_.socket().set_timeout(left);
    const auto n = read_some(buffer, sizeof buffer);
    if (!n) return false;
    dropped += n.value();
    if (dropped > max_bytes) return false;
  }
  return true;
}

}  // namespace bastide::net
