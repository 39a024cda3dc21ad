#include "edge/compress.h"

#include <brotli/encode.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"

namespace bastide::edge {
namespace {

constexpr int kGzipLevel = 6, kBrotliQuality = 5, kBrotliWindow = 22;

constexpr std::array kTypes = {"application/dash+xml",
                               "application/eot",
                               "application/font",
                               "application/font-sfnt",
                               "application/javascript",
                               "application/json",
                               "application/opentype",
                               "application/otf",
                               "application/pdf",
                               "application/pkcs7-mime",
                               "application/protobuf",
                               "application/rss+xml",
                               "application/truetype",
                               "application/ttf",
                               "application/vnd.apple.mpegurl",
                               "application/vnd.mapbox-vector-tile",
                               "application/vnd.ms-fontobject",
                               "application/wasm",
                               "application/xhtml+xml",
                               "application/xml",
                               "application/x-font-opentype",
                               "application/x-font-truetype",
                               "application/x-font-ttf",
                               "application/x-httpd-cgi",
                               "application/x-javascript",
                               "application/x-mpegurl",
                               "application/x-opentype",
                               "application/x-otf",
                               "application/x-perl",
                               "application/x-ttf",
                               "font/eot",
                               "font/opentype",
                               "font/otf",
                               "font/ttf",
                               "image/svg+xml",
                               "text/css",
                               "text/csv",
                               "text/html",
                               "text/javascript",
                               "text/js",
                               "text/plain",
                               "text/richtext",
                               "text/tab-separated-values",
                               "text/x-component",
                               "text/x-java-source",
                               "text/x-script",
                               "text/xml",
                               "vnd.apple.mpegurl"};

}  // namespace

bool compressible_type(std::string_view content_type) {
  const auto type = lower(trim(content_type.substr(0, content_type.find(';'))));
  return std::find(kTypes.begin(), kTypes.end(), std::string_view(type)) != kTypes.end();
}

Result<std::string> gzip(std::string_view bytes) {
  z_stream z{};
  if (::deflateInit2(&z, kGzipLevel, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return error("gzip does not start");
  std::string out(::deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int ended = ::deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  ::deflateEnd(&z);
  if (ended != Z_STREAM_END) return error("gzip failed");
  return out;
}

Result<std::string> brotli(std::string_view bytes) {
  size_t size = ::BrotliEncoderMaxCompressedSize(bytes.size());
  std::string out(size, '\0');
  if (size == 0 || ::BrotliEncoderCompress(kBrotliQuality, kBrotliWindow, BROTLI_MODE_TEXT, bytes.size(),
                                           reinterpret_cast<const uint8_t*>(bytes.data()), &size,
                                           reinterpret_cast<uint8_t*>(out.data())) != BROTLI_TRUE)
    return error("brotli failed");
  out.resize(size);
  return out;
}

}  // namespace bastide::edge
