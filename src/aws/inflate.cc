#include "aws/inflate.h"

#include <zlib.h>

#include <memory>

namespace bastide::aws {

Result<std::string> gunzip(std::string_view bytes, size_t max_bytes) {
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  constexpr size_t kPiece = 64u << 10;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return error("zlib cannot start");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> ended(&stream, &inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  for (;;) {
    const size_t before = out.size();
    if (before > max_bytes) return error("TooLarge", "the body is too large");
    out.resize(before + kPiece);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = kPiece;
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (status == Z_STREAM_END) break;
    if (status != Z_OK || (stream.avail_in == 0 && out.size() == before))
      return error("Invalid", "the body is not a whole gzip stream");
  }
  if (out.size() > max_bytes) return error("TooLarge", "the body is too large");
  if (stream.avail_in != 0) return error("Invalid", "something follows the gzip stream");
  return out;
}

}  // namespace bastide::aws
