#include "model/json_text.h"

#include <charconv>
#include <cmath>

#include "model/check.h"

namespace bastide::model {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 63));
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  }
}

// Four hexadecimal digits; -1 where there are none.
int64_t four_digits(std::string_view text, size_t at) {
  if (at + 4 > text.size()) return -1;
  int64_t code = 0;
  for (size_t i = 0; i < 4; ++i) {
    const int digit = hex_value(text[at + i]);
    if (digit < 0) return -1;
    code = code << 4 | digit;
  }
  return code;
}

}  // namespace

Error JsonText::fail(std::string_view what) const {
  return error(std::string(kMalformed), std::string(what));
}

void JsonText::blanks() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
    ++at_;
}

JsonText::Token JsonText::peek() {
  blanks();
  if (at_ >= text_.size()) return Token::bad;
  switch (text_[at_]) {
    case '{':
      return Token::object;
    case '[':
      return Token::array;
    case '"':
      return Token::string;
    case 't':
    case 'f':
      return Token::boolean;
    case 'n':
      return Token::null;
    case '-':
      return Token::number;
    default:
      return text_[at_] >= '0' && text_[at_] <= '9' ? Token::number : Token::bad;
  }
}

Result<void> JsonText::open(char bracket) {
  blanks();
  if (at_ >= text_.size() || text_[at_] != bracket) return fail("Unexpected token");
  if (++depth_ > kMaxDepth) return fail("Nested too deeply");
  ++at_;
  return {};
}

Result<bool> JsonText::member(bool first, std::string& key) {
  blanks();
  if (at_ >= text_.size()) return fail("Unexpected end of input");
  if (text_[at_] == '}') {
    ++at_;
    --depth_;
    return false;
  }
  if (!first) {
    if (text_[at_] != ',') return fail("Expected a comma between members");
    ++at_;
    blanks();
  }
  if (at_ >= text_.size() || text_[at_] != '"') return fail("Expected a member name");
  key.clear();
  TRY(string_into(key));
  blanks();
  if (at_ >= text_.size() || text_[at_] != ':') return fail("Expected a colon after a member name");
  ++at_;
  return true;
}

Result<bool> JsonText::element(bool first) {
  blanks();
  if (at_ >= text_.size()) return fail("Unexpected end of input");
  if (text_[at_] == ']') {
    ++at_;
    --depth_;
    return false;
  }
  if (first) return true;
  if (text_[at_] != ',') return fail("Expected a comma between elements");
  ++at_;
  blanks();
  if (at_ < text_.size() && text_[at_] == ']') return fail("Expected an element");
  return true;
}

Result<void> JsonText::string_into(std::string& out) {
  ++at_;  // the quote
  for (;;) {
    const size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
           static_cast<uint8_t>(text_[at_]) >= 0x20)
      ++at_;
    out.append(text_, start, at_ - start);
    if (at_ >= text_.size()) return fail("Unterminated string");
    if (text_[at_] == '"') {
      ++at_;
      return {};
    }
    if (text_[at_] != '\\') return fail("A control character in a string");
    if (++at_ >= text_.size()) return fail("Unterminated string");
    const char escape = text_[at_++];
    switch (escape) {
      case '"':
      case '\\':
      case '/':
        out += escape;
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u': {
        int64_t code = four_digits(text_, at_);
        if (code < 0 || (code >= 0xdc00 && code <= 0xdfff)) return fail("A wrong \\u escape");
        at_ += 4;
        if (code >= 0xd800 && code <= 0xdbff) {
          const int64_t low = text_.substr(at_, 2) == "\\u" ? four_digits(text_, at_ + 2) : -1;
          if (low < 0xdc00 || low > 0xdfff) return fail("A wrong \\u escape");
          at_ += 6;
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        append_utf8(out, static_cast<uint32_t>(code));
        break;
      }
      default:
        return fail("A wrong escape in a string");
    }
  }
}

Result<std::string> JsonText::string() {
  std::string out;
  TRY(string_into(out));
  return out;
}

Result<std::string_view> JsonText::number() {
  const size_t start = at_;
  const auto digits = [&] {
    const size_t from = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ - from;
  };
  if (text_[at_] == '-') ++at_;
  const size_t whole = at_;
  if (digits() == 0 || (text_[whole] == '0' && at_ - whole > 1)) return fail("A wrong number");
  if (at_ < text_.size() && text_[at_] == '.') {
    ++at_;
    if (digits() == 0) return fail("A wrong number");
  }
  if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    ++at_;
    if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
    if (digits() == 0) return fail("A wrong number");
  }
  return text_.substr(start, at_ - start);
}

Result<bool> JsonText::boolean() {
  const bool value = text_[at_] == 't';
  const std::string_view word = value ? "true" : "false";
  if (text_.substr(at_, word.size()) != word) return fail("Unrecognized token");
  at_ += word.size();
  return value;
}

Result<void> JsonText::null() {
  if (text_.substr(at_, 4) != "null") return fail("Unrecognized token");
  at_ += 4;
  return {};
}

Result<std::string_view> JsonText::skip() {
  const Token token = peek();
  const size_t start = at_;
  std::string scratch;
  switch (token) {
    case Token::string:
      TRY(string_into(scratch));
      break;
    case Token::number:
      TRY(number());
      break;
    case Token::boolean:
      TRY(boolean());
      break;
    case Token::null:
      TRY(null());
      break;
    case Token::object: {
      TRY(open_object());
      for (bool first = true;; first = false) {
        const bool more = TRY(member(first, scratch));
        if (!more) break;
        TRY(skip());
      }
      break;
    }
    case Token::array: {
      TRY(open_array());
      for (bool first = true;; first = false) {
        const bool more = TRY(element(first));
        if (!more) break;
        TRY(skip());
      }
      break;
    }
    case Token::bad:
      return fail(at_ >= text_.size() ? "Unexpected end of input" : "Unexpected character");
  }
  return text_.substr(start, at_ - start);
}

Result<void> JsonText::end() {
  blanks();
  if (at_ != text_.size()) return fail("Unexpected text after the end of the document");
  return {};
}

void append_json_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

}  // namespace bastide::model
