#include "secrets/text.h"

#include <map>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json.h"

namespace bastide::secrets {
namespace {

bool base64_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

// The base64 text at `at`, and where it ends. In JSON a slash may be written "\/".
std::string take_base64(std::string_view text, size_t& at, bool in_json) {
  std::string out;
  while (at < text.size()) {
    if (in_json && text.substr(at).starts_with("\\/")) {
      out += '/';
      at += 2;
    } else if (base64_character(text[at])) {
      out += text[at++];
    } else {
      break;
    }
  }
  for (int i = 0; i < 2 && at < text.size() && text[at] == '=' && !out.empty(); ++i) {
    out += '=';
    ++at;
  }
  return out;
}

std::string place(std::string_view text, size_t at) {
  size_t line = 1, start = 0;
  for (size_t i = 0; i < at; ++i) {
    if (text[i] == '\n') {
      ++line;
      start = i + 1;
    }
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(at - start + 1);
}

Result<std::string> for_json(const std::string& plaintext) {
  if (!valid_utf8(plaintext)) return error("Invalid", "the plaintext is not UTF-8, and cannot stand in JSON");
  std::string quoted;
  json::append_string(quoted, plaintext);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

std::string make_token(std::string_view ciphertext) { return std::string(kPrefix) + base64(ciphertext); }

bool has_token(std::string_view text) {
  for (size_t at = text.find(kPrefix); at != std::string_view::npos; at = text.find(kPrefix, at + 1)) {
    const size_t after = at + kPrefix.size();
    if (after < text.size() && (base64_character(text[after]) || text[after] == '\\')) return true;
  }
  return false;
}

Result<std::string> replace_tokens(std::string_view text,
                                   const std::function<Result<std::string>(std::string_view)>& decrypt) {
  if (!has_token(text)) return std::string(text);
  const bool in_json = json::parse(text).ok();
  std::map<std::string, std::string> known;
  std::string out;
  size_t tokens = 0, at = 0;
  auto fail = [&](size_t where, Error e) {
    for (auto& [token, plaintext] : known) wipe(plaintext);
    wipe(out);
    return std::move(e).context(place(text, where));
  };
  while (true) {
    const size_t found = text.find(kPrefix, at);
    if (found == std::string_view::npos) break;
    size_t end = found + kPrefix.size();
    const std::string encoded = take_base64(text, end, in_json);
    if (encoded.empty()) {  // a text that speaks of tokens
      out += text.substr(at, end - at);
      at = end;
      continue;
    }
    if (++tokens > kMaxTokens) return fail(found, error("TooLarge", "more than 10,000 encrypted values"));
    auto it = known.find(encoded);
    if (it == known.end()) {
      const auto ciphertext = unbase64(encoded);
      if (!ciphertext) return fail(found, error("Invalid", "the encrypted value is cut off or not base64"));
      auto plaintext = decrypt(*ciphertext);
      if (!plaintext) return fail(found, std::move(plaintext).error());
      if (in_json) {
        auto escaped = for_json(*plaintext);
        wipe(*plaintext);
        if (!escaped) return fail(found, std::move(escaped).error());
        plaintext = std::move(escaped);
      }
      it = known.emplace(encoded, std::move(*plaintext)).first;
    }
    out += text.substr(at, found - at);
    out += it->second;
    at = end;
  }
  out += text.substr(at);
  for (auto& [token, plaintext] : known) wipe(plaintext);
  return out;
}

}  // namespace bastide::secrets
