// Chunked bodies: https://www.rfc-editor.org/rfc/rfc9112#section-7.1
#include <algorithm>

#include "base/bytes.h"
#include "net/http_parser.h"

namespace bastide::net {
namespace {

constexpr size_t kMaxLine = 4u << 10;         // a size line with its extensions, or a trailer
constexpr size_t kMaxExtensions = 16u << 10;  // of a whole body
constexpr size_t kMaxTrailers = 8u << 10;
constexpr size_t kMaxTrailerCount = 64;

Error bad(const char* why) {
  Error e = error("Invalid", why);
  e.status = 400;
  return e;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void ChunkDecoder::took(uint64_t bytes) {
  CHECK(state_ == State::data && bytes <= left_);
  left_ -= bytes;
  if (left_ == 0) state_ = State::data_end;
}

Result<void> ChunkDecoder::size_line(std::string_view line) {
  constexpr size_t kMaxDigits = 15;
  size_t digits = 0;
  uint64_t size = 0;
  while (digits < line.size() && hex_digit(line[digits]) >= 0) {
    if (digits == kMaxDigits) return bad("a chunk size out of range");
    size = size * 16 + static_cast<uint64_t>(hex_digit(line[digits]));
    ++digits;
  }
  if (digits == 0) return bad("a chunk without a size");
  const auto rest = line.substr(digits);
  if (!rest.empty()) {
    // Extensions are checked and overlooked; white space is allowed before their semicolon only.
    const size_t semicolon = rest.find_first_not_of(" \t");
    if (semicolon == std::string_view::npos || rest[semicolon] != ';' || !valid_header_value(rest)) {
      return bad("a chunk size followed by something else");
    }
    extension_bytes_ += rest.size();
    if (extension_bytes_ > kMaxExtensions) return bad("too many chunk extensions");
  }
  left_ = size;
  state_ = size == 0 ? State::trailer : State::data;
  return {};
}

Result<void> ChunkDecoder::trailer_line(std::string_view line) {
  if (line.empty()) {
    state_ = State::done;
    return {};
  }
  trailer_bytes_ += line.size();
  if (trailer_bytes_ > kMaxTrailers || trailers_.size() == kMaxTrailerCount) return bad("too many trailers");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !valid_header_name(line.substr(0, colon)))
    return bad("not a trailer");
  const auto value = trim(line.substr(colon + 1));
  if (!valid_header_value(value)) return bad("a trailer with a control character");
  trailers_.add(std::string(line.substr(0, colon)), std::string(value));
  return {};
}

Result<ChunkDecoder::Step> ChunkDecoder::step(std::string_view input) {
  Step out;
  while (out.consumed < input.size() && state_ != State::done) {
    const auto rest = input.substr(out.consumed);
    if (state_ == State::data) {
      const auto size = static_cast<size_t>(std::min<uint64_t>(left_, rest.size()));
      out.data = rest.substr(0, size);
      out.consumed += size;
      took(size);
      return out;
    }
    const size_t newline = rest.find('\n');
    const size_t taken = newline == std::string_view::npos ? rest.size() : newline + 1;
    if (line_.size() + taken > kMaxLine) return bad("a line of a chunked body is too long");
    line_.append(rest.substr(0, taken));
    out.consumed += taken;
    if (state_ == State::data_end && line_[0] != '\r') return bad("a chunk longer than its size");
    if (state_ == State::data_end && line_.size() >= 2 && line_[1] != '\n')
      return bad("a chunk longer than its size");
    if (newline == std::string_view::npos) break;
    if (line_.size() < 2 || line_[line_.size() - 2] != '\r') return bad("a line that ends without CR");
    const std::string line = std::exchange(line_, {});
    const auto text = std::string_view(line).substr(0, line.size() - 2);
    switch (state_) {
      case State::size:
        TRY(size_line(text));
        break;
      case State::data_end:
        state_ = State::size;
        break;
      case State::trailer:
        TRY(trailer_line(text));
        break;
      case State::data:
      case State::done:
        break;
    }
  }
  return out;
}

}  // namespace bastide::net
