#include "edge/body.h"

#include <algorithm>

namespace bastide::edge {
namespace {

// 1*HEXDIG, then nothing, or blanks and an extension.
bool parse_chunk_size(std::string_view line, int64_t& out) {
  size_t i = 0;
  int64_t n = 0;
  for (; i < line.size(); ++i) {
    char c = line[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) break;
    if (i == 15) return false;
    n = n * 16 + digit;
  }
  if (i == 0) return false;
  while (i < line.size() && (line[i] == ' ' || line[i] == '\t')) ++i;
  if (i < line.size() && line[i] != ';') return false;
  for (unsigned char c : line.substr(i)) {
    if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  out = n;
  return true;
}

}  // namespace

BodyReader::Step BodyReader::step(Buffer& in, std::string_view& piece) {
  while (true) {
    switch (state_) {
      case State::end:
        return Step::end;
      case State::close:
        if (in.empty()) return Step::more;
        piece = in.view();
        in.consume(piece.size());
        return Step::data;
      case State::length:
      case State::chunk_data: {
        if (in.empty()) return Step::more;
        piece = in.view().substr(
            0, static_cast<size_t>(std::min<int64_t>(left_, static_cast<int64_t>(in.size()))));
        in.consume(piece.size());
        left_ -= static_cast<int64_t>(piece.size());
        if (left_ == 0) state_ = state_ == State::length ? State::end : State::chunk_end;
        return Step::data;
      }
      case State::chunk_end:
        if (in.size() < 2) return in.size() == 1 && in.view()[0] != '\r' ? Step::bad : Step::more;
        if (in.view().substr(0, 2) != "\r\n") return Step::bad;
        in.consume(2);
        state_ = State::chunk_size;
        break;
      case State::chunk_size: {
        auto bytes = in.view();
        auto lf = bytes.find('\n');
        if (lf == std::string_view::npos) return bytes.size() > kMaxChunkLine ? Step::bad : Step::more;
        if (lf == 0 || lf > kMaxChunkLine || bytes[lf - 1] != '\r') return Step::bad;
        if (!parse_chunk_size(bytes.substr(0, lf - 1), left_)) return Step::bad;
        in.consume(lf + 1);
        state_ = left_ == 0 ? State::trailers : State::chunk_data;
        break;
      }
      case State::trailers: {
        auto bytes = in.view();
        auto lf = bytes.find('\n');
        if (lf == std::string_view::npos) return bytes.size() > kMaxTrailerBytes ? Step::bad : Step::more;
        if (lf == 0 || bytes[lf - 1] != '\r') return Step::bad;
        trailer_bytes_ += lf + 1;
        if (trailer_bytes_ > kMaxTrailerBytes) return Step::bad;
        in.consume(lf + 1);
        if (lf == 1) state_ = State::end;
        break;
      }
    }
  }
}

}  // namespace bastide::edge
