#include "secrets/text.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json.h"

namespace bastide::secrets {
namespace {

constexpr char kEnvelopeVersion = 1;

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

// Where the next prefix begins, and which it is.
size_t next_prefix(std::string_view text, size_t from, bool references, std::string_view& prefix) {
  size_t first = std::string_view::npos;
  for (const auto& one : {kPrefix, kEnvelopePrefix, kReferencePrefix}) {
    if (one == kReferencePrefix && !references) continue;
    const size_t at = text.find(one, from);
    if (at >= first) continue;
    first = at;
    prefix = one;
  }
  return first;
}

bool reference_character(char c) {
  return base64_character(c) || std::string_view("_=.@-!:#").find(c) != std::string_view::npos;
}

// The name or ARN at `at`; a full stop or colon at its end is the text's own.
std::string take_reference(std::string_view text, size_t& at, bool in_json) {
  constexpr size_t kMaxReference = 2200;
  std::string out;
  size_t end = at;
  while (end < text.size() && out.size() < kMaxReference) {
    if (in_json && text.substr(end).starts_with("\\/")) {
      out += '/';
      end += 2;
    } else if (reference_character(text[end])) {
      out += text[end++];
    } else {
      break;
    }
  }
  while (!out.empty() && std::string_view(".:!#").find(out.back()) != std::string_view::npos) {
    out.pop_back();
    --end;
  }
  at = end;
  return out;
}

Result<void> open_envelope(const std::string& bytes, Token& token) {
  const Error wrong = error("Invalid", "the encrypted value is cut off or no envelope");
  if (bytes.size() < 3 || bytes[0] != kEnvelopeVersion) return wrong;
  const size_t length = static_cast<uint8_t>(bytes[1]) * 256u + static_cast<uint8_t>(bytes[2]);
  if (length == 0 || bytes.size() <= 3 + length) return wrong;
  token.ciphertext = bytes.substr(3, length);
  token.sealed = bytes.substr(3 + length);
  return {};
}

std::string envelope_context(std::string_view data_key_ciphertext) {
  return "kmsenvelope-1" + std::string(data_key_ciphertext);
}

Result<std::vector<Token>> find_in(std::string_view text, bool in_json, bool references = false) {
  std::vector<Token> out;
  size_t at = 0, line = 1, line_start = 0, counted = 0;
  std::string_view prefix;
  for (;;) {
    const size_t found = next_prefix(text, at, references, prefix);
    if (found == std::string_view::npos) return out;
    for (; counted < found; ++counted) {
      if (text[counted] != '\n') continue;
      ++line;
      line_start = counted + 1;
    }
    Token token;
    token.begin = found;
    token.line = line;
    token.column = found - line_start + 1;
    at = found + prefix.size();
    const bool named = prefix == kReferencePrefix;
    const std::string encoded = named ? take_reference(text, at, in_json) : take_base64(text, at, in_json);
    if (encoded.empty()) continue;  // a text that speaks of tokens
    if (out.size() == kMaxTokens)
      return error("TooLarge", token.place() + ": more than 10,000 encrypted values");
    token.end = at;
    token.text = std::string(prefix) + encoded;
    if (named) {
      token.reference = encoded;
      out.push_back(std::move(token));
      continue;
    }
    auto bytes = unbase64(encoded);
    if (!bytes) return error("Invalid", token.place() + ": the encrypted value is cut off or not base64");
    if (prefix == kPrefix) {
      token.ciphertext = std::move(*bytes);
    } else if (auto opened = open_envelope(*bytes, token); !opened) {
      return std::move(opened).error().context(token.place());
    }
    out.push_back(std::move(token));
  }
}

}  // namespace

std::string Token::place() const {
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

std::string make_token(std::string_view ciphertext) { return std::string(kPrefix) + base64(ciphertext); }

std::string make_envelope(std::string_view data_key, std::string_view data_key_ciphertext,
                          std::string_view plaintext) {
  std::string bytes(1, kEnvelopeVersion);
  bytes += static_cast<char>(data_key_ciphertext.size() >> 8);
  bytes += static_cast<char>(data_key_ciphertext.size() & 0xff);
  bytes += data_key_ciphertext;
  bytes += seal(data_key, plaintext, envelope_context(data_key_ciphertext));
  return std::string(kEnvelopePrefix) + base64(bytes);
}

bool has_token(std::string_view text) {
  std::string_view prefix;
  for (size_t at = next_prefix(text, 0, false, prefix); at != std::string_view::npos;
       at = next_prefix(text, at + 1, false, prefix)) {
    const size_t after = at + prefix.size();
    if (after < text.size() && (base64_character(text[after]) || text[after] == '\\')) return true;
  }
  return false;
}

bool has_reference(std::string_view text) {
  for (size_t at = text.find(kReferencePrefix); at != std::string_view::npos;
       at = text.find(kReferencePrefix, at + 1)) {
    const size_t after = at + kReferencePrefix.size();
    if (after < text.size() && reference_character(text[after])) return true;
  }
  return false;
}

Result<std::vector<Token>> find_tokens(std::string_view text) {
  if (!has_token(text)) return std::vector<Token>{};
  return find_in(text, json::parse(text).ok());
}

Result<std::string> open_token(const Token& token, const Decrypt& decrypt) {
  auto plain = decrypt(token.ciphertext);
  if (!plain || !token.envelope()) return plain;
  if (plain->size() != 32) return error("Invalid", "the envelope's key is not a key of 32 bytes");
  auto value = unseal(*plain, token.sealed, envelope_context(token.ciphertext));
  wipe(*plain);
  if (!value) return error("Invalid", "the encrypted value was changed");
  return value;
}

Result<std::string> escape_for_json(std::string_view plaintext) {
  if (!valid_utf8(plaintext)) return error("Invalid", "the plaintext is not UTF-8, and cannot stand in JSON");
  std::string quoted;
  json::append_string(quoted, plaintext);
  std::string out = quoted.substr(1, quoted.size() - 2);
  wipe(quoted);
  return out;
}

namespace {

// What a reference names: the whole text, or one member of it.
Result<std::string> resolve(const std::string& reference, const Fetch& fetch) {
  const size_t hash = reference.find('#');
  auto text = fetch(reference.substr(0, hash));
  if (!text || hash == std::string::npos) return text;
  const auto document = json::parse(*text);
  wipe(*text);
  const json::Value* member = document ? document->find(reference.substr(hash + 1)) : nullptr;
  if (member == nullptr) {
    return error("NotFound", "the secret is no JSON object with the member " + reference.substr(hash + 1));
  }
  return member->is_string() ? member->string() : json::print(*member);
}

}  // namespace

Result<std::string> replace_tokens(std::string_view text, const Decrypt& decrypt, const Fetch& fetch) {
  const bool references = fetch && has_reference(text);
  if (!references && !has_token(text)) return std::string(text);
  const bool in_json = json::parse(text).ok();
  const auto tokens = TRY(find_in(text, in_json, references));
  std::map<std::string_view, std::string> known;
  std::string out;
  const auto forget = [&] {
    for (auto& [token, plaintext] : known) wipe(plaintext);
  };
  size_t at = 0;
  for (const Token& token : tokens) {
    auto it = known.find(token.text);
    if (it == known.end()) {
      auto plaintext = token.reference.empty() ? open_token(token, decrypt) : resolve(token.reference, fetch);
      if (plaintext && in_json) {
        auto escaped = escape_for_json(*plaintext);
        wipe(*plaintext);
        plaintext = std::move(escaped);
      }
      if (!plaintext) {
        forget();
        wipe(out);
        return std::move(plaintext).error().context(token.place());
      }
      it = known.emplace(token.text, std::move(*plaintext)).first;
    }
    out += text.substr(at, token.begin - at);
    out += it->second;
    at = token.end;
  }
  out += text.substr(at);
  forget();
  return out;
}

Result<std::string> rewrite_tokens(std::string_view text,
                                   const std::function<Result<std::string>(const Token&)>& another) {
  const auto tokens = TRY(find_tokens(text));
  std::string out;
  size_t at = 0;
  for (const Token& token : tokens) {
    auto made = another(token);
    if (!made) return std::move(made).error().context(token.place());
    out += text.substr(at, token.begin - at);
    out += *made == token.text ? text.substr(token.begin, token.end - token.begin) : std::string_view(*made);
    at = token.end;
  }
  out += text.substr(at);
  return out;
}

}  // namespace bastide::secrets
