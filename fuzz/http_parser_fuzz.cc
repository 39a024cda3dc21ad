// Whatever bytes come, the parser ends, stays inside its limits, and gives the same answer however they are
// cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "net/http_parser.h"

using namespace bastide;
using namespace bastide::net;

namespace {

const HeadLimits kLimits{4096, 50, 1024};

// The result of find_head_end over growing prefixes: a size, or minus the status.
long grow(std::string_view text, size_t step) {
  size_t scanned = 0;
  for (size_t have = std::min(step, text.size());; have = std::min(have + step, text.size())) {
    const auto end = find_head_end(text.substr(0, have), scanned, kLimits);
    if (!end) return -1;
    if (end.value() > 0) return static_cast<long>(end.value());
    if (have == text.size()) return 0;
  }
}

struct Decoded {
  std::string data;
  bool failed = false;
  size_t consumed = 0;
};

Decoded decode(std::string_view text, size_t piece) {
  ChunkDecoder decoder;
  Decoded out;
  while (out.consumed < text.size() && !decoder.done()) {
    auto step = decoder.step(text.substr(out.consumed, piece));
    if (!step) {
      out.failed = true;
      return out;
    }
    CHECK(step->consumed > 0);
    out.data += step->data;
    out.consumed += step->consumed;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const long whole = grow(text, size + 1);
  const long cut = grow(text, 1);
  // A head that is one too large when it comes whole may be refused while it grows, never the other way
  // round.
  if (whole > 0 && cut > 0) CHECK(whole == cut);
  if (whole == 0) CHECK(cut == 0);
  if (whole > 0) {
    const auto head = text.substr(0, static_cast<size_t>(whole));
    if (auto request = parse_request_head(head, kLimits)) {
      CHECK(request->request.headers.size() <= kLimits.header_count);
      CHECK(request->framing.length >= 0);
      CHECK(!(request->request.headers.has("content-length") &&
              request->request.headers.has("transfer-encoding")));
      // What was understood can be written, and is understood the same again.
      std::string again;
      CHECK(append_request_head(again, request->request.method, request->request.target,
                                request->request.headers)
                .ok());
      if (request->minor_version >= 1 && request->request.method != "CONNECT" &&
          again.size() < kLimits.head_bytes) {
        auto second = parse_request_head(again, kLimits);
        CHECK(second.ok());
        CHECK(second->framing.kind == request->framing.kind &&
              second->framing.length == request->framing.length);
        CHECK(second->keep_alive == request->keep_alive && second->request.target == request->request.target);
      }
    }
    for (const char* method : {"GET", "HEAD"}) (void)parse_response_head(head, method, kLimits).ok();
  }
  const auto one = decode(text, size + 1), two = decode(text, 1), three = decode(text, 7);
  CHECK(one.failed == two.failed && two.failed == three.failed);
  if (!one.failed) CHECK(one.data == two.data && two.data == three.data && one.consumed == three.consumed);
  (void)parse_form(text).ok();
  return 0;
}
