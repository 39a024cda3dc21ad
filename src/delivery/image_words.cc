#include "delivery/image_words.h"

namespace bastide::delivery {
namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kMaxText = 1u << 20;

bool name_char(char c, bool first) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

class Substitution {
 public:
  Substitution(std::string_view text, char escape, const Lookup& lookup, int depth)
      : text_(text), escape_(escape), lookup_(lookup), depth_(depth) {}

  Result<std::string> run() {
    if (depth_ > kMaxDepth) return error("variables are nested too deeply");
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\'' && !quoted_) {
        const size_t end = text_.find('\'', at_ + 1);
        if (end == std::string_view::npos) return error("a single quote is not closed");
        out_ += text_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
      } else if (c == '"') {
        quoted_ = !quoted_;
        ++at_;
      } else if (c == escape_) {
        TRY(escaped());
      } else if (c == '$') {
        TRY(variable());
      } else {
        out_ += c;
        ++at_;
      }
      if (out_.size() > kMaxText) return error("the text grows beyond 1 MiB");
    }
    if (quoted_) return error("a double quote is not closed");
    return std::move(out_);
  }

 private:
  Result<void> escaped() {
    if (at_ + 1 >= text_.size()) {
      out_ += escape_;
      ++at_;
      return {};
    }
    const char next = text_[at_ + 1];
    // Within double quotes only these lose their meaning by an escape.
    if (quoted_ && next != '"' && next != '$' && next != escape_) out_ += escape_;
    out_ += next;
    at_ += 2;
    return {};
  }

  Result<void> variable() {
    ++at_;
    if (at_ < text_.size() && text_[at_] == '{') return braced();
    size_t end = at_;
    while (end < text_.size() && name_char(text_[end], end == at_)) ++end;
    if (end == at_) {
      out_ += '$';
      return {};
    }
    out_ += lookup_(std::string(text_.substr(at_, end - at_))).value_or("");
    at_ = end;
    return {};
  }

  Result<void> braced() {
    size_t end = ++at_;
    while (end < text_.size() && name_char(text_[end], end == at_)) ++end;
    const std::string name(text_.substr(at_, end - at_));
    if (name.empty()) return error("${...} has no variable name");
    if (end >= text_.size()) return error("${" + name + " is not closed");
    std::optional<std::string> value = lookup_(name);
    if (text_[end] == '}') {
      out_ += value.value_or("");
      at_ = end + 1;
      return {};
    }
    const bool colon = text_[end] == ':';
    if (colon) ++end;
    const char mode = end < text_.size() ? text_[end] : '\0';
    if (mode != '-' && mode != '+') {
      return error("unsupported modifier in ${" + name + "...}: known are ${x:-word} and ${x:+word}");
    }
    const size_t word = ++end;
    int open = 1;
    for (; end < text_.size(); ++end) {
      if (text_[end] == escape_ && end + 1 < text_.size()) {
        ++end;
      } else if (text_[end] == '{') {
        ++open;
      } else if (text_[end] == '}' && --open == 0) {
        break;
      }
    }
    if (end >= text_.size()) return error("${" + name + " is not closed");
    const bool set = value && !(colon && value->empty());
    if (mode == '-' && set) {
      out_ += *value;
    } else if ((mode == '-') != set) {
      out_ += TRY(Substitution(text_.substr(word, end - word), escape_, lookup_, depth_ + 1).run());
    }
    at_ = end + 1;
    return {};
  }

  std::string_view text_;
  char escape_;
  const Lookup& lookup_;
  int depth_;
  size_t at_ = 0;
  bool quoted_ = false;
  std::string out_;
};

}  // namespace

Result<std::string> substitute(std::string_view text, char escape, const Lookup& lookup) {
  return Substitution(text, escape, lookup, 0).run();
}

Result<std::vector<std::string>> split_words(std::string_view text, char escape) {
  std::vector<std::string> out;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == escape && quote != '\'' && i + 1 < text.size()) {
      word += c;
      word += text[++i];
      in_word = true;
    } else if (quote != '\0') {
      word += c;
      if (c == quote) quote = '\0';
    } else if (c == ' ' || c == '\t') {
      if (in_word) out.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      if (c == '\'' || c == '"') quote = c;
      word += c;
      in_word = true;
    }
  }
  if (quote != '\0') return error("a quote is not closed");
  if (in_word) out.push_back(std::move(word));
  return out;
}

}  // namespace bastide::delivery
