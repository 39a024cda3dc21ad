// Whatever text comes, scanning for encrypted values ends, keeps every byte outside of them, and agrees with
// itself; setting a value in a file keeps the rest.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "secrets/place.h"
#include "secrets/plaintext.h"
#include "secrets/text.h"

using namespace bastide;
using namespace bastide::secrets;

namespace {

void tokens(std::string_view text) {
  const auto found = find_tokens(text);
  const auto same = rewrite_tokens(text, [](const Token& t) -> Result<std::string> { return t.text; });
  CHECK(found.ok() == same.ok());
  if (!found) return;
  CHECK(*same == text);
  size_t at = 0;
  std::string outside;
  for (const auto& token : *found) {
    CHECK(token.begin >= at && token.end > token.begin && token.end <= text.size());
    CHECK(token.line >= 1 && token.column >= 1 && !token.ciphertext.empty());
    outside += text.substr(at, token.begin - at);
    outside += "#";
    at = token.end;
  }
  outside += text.substr(at);
  bool envelope = false;
  for (const auto& token : *found) envelope = envelope || token.envelope();
  const auto replaced =
      replace_tokens(text, [](std::string_view) -> Result<std::string> { return std::string("#"); });
  CHECK(replaced.ok() == !envelope);  // "#" opens no envelope
  if (replaced) CHECK(*replaced == outside);
}

void places(std::string_view text) {
  for (const auto format : {Format::json, Format::yaml, Format::env}) {
    const auto set = set_value(text, format, "a.b", "V1");
    if (!set) continue;
    if (format == Format::json) {
      const auto v = json::parse(*set);
      CHECK(v.ok());
      const auto* a = v->find("a");
      CHECK(a == nullptr || !a->is_object() || a->get("b") == "V1");
    }
    CHECK(set_value(*set, format, "a.b", "V1").ok());
    CHECK(unset_value(*set, format, "a.b").ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tokens(text);
  places(text);
  for (const auto& suspect : find_plaintext("a.env", text)) CHECK(suspect.line >= 1);
  return 0;
}
