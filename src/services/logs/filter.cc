#include "services/logs/filter.h"

#include <re2/re2.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/wildcard.h"
#include "base/json.h"
#include "services/logs/filter_space.h"

namespace bastide::services {

// Either terms (required, optional, excluded), or an expression over JSON.
struct LogFilter::Node {
  enum class Kind { terms, all, any, compare, is_null, is_true, is_false, not_exists };
  Kind kind = Kind::terms;
  bool json = false;  // the root of an expression
  std::vector<std::string> required, optional, excluded;
  std::vector<Node> children;
  std::vector<std::string> path;  // "[2]" for an element
  std::string op, text;
  bool numeric = false;
  double number = 0;
  std::shared_ptr<const RE2> pattern;                                 // of compare
  std::vector<std::pair<char, std::shared_ptr<const RE2>>> patterns;  // of terms: ' ', '?' or '-'
  std::optional<SpacePattern> space;

  bool evaluate(const json::Value& value) const;
};

namespace {

using Node = LogFilter::Node;
constexpr int kMaxDepth = 32;
constexpr int kMaxRegexes = 2;

Error invalid(const std::string& why) {
  return fault("InvalidParameterException", "Invalid filter pattern: " + why);
}

bool word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

const json::Value* walk(const json::Value& root, const std::vector<std::string>& path) {
  const json::Value* v = &root;
  for (const auto& step : path) {
    if (step[0] == '[') {
      const auto index = static_cast<size_t>(std::strtoul(step.c_str() + 1, nullptr, 10));
      if (!v->is_array() || index >= v->array().size()) return nullptr;
      v = &v->array()[index];
    } else {
      v = v->find(step);
      if (!v) return nullptr;
    }
  }
  return v;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Node> terms() {
    Node n;
    while (true) {
      space();
      if (at_ == text_.size()) return n;
      auto* list = &n.required;
      const char sign = text_[at_] == '?' || text_[at_] == '-' ? text_[at_] : ' ';
      if (text_[at_] == '?') {
        list = &n.optional;
        ++at_;
      } else if (text_[at_] == '-') {
        list = &n.excluded;
        ++at_;
      }
      if (at_ < text_.size() && text_[at_] == '%') {
        n.patterns.emplace_back(sign, TRY(regex()));
        continue;
      }
      std::string term;
      if (at_ < text_.size() && text_[at_] == '"') {
        term = TRY(quoted());
      } else {
        while (at_ < text_.size() && word(text_[at_])) term += text_[at_++];
        if (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != '\t') {
          return invalid(std::string("the character '") + text_[at_] + "' must stand in double quotes");
        }
      }
      if (term.empty()) return invalid("an empty term");
      list->push_back(std::move(term));
    }
  }

  Result<Node> object() {
    if (!take("{")) return invalid("{ expected");
    auto n = TRY(any(0));
    if (!take("}")) return invalid("} expected");
    space();
    if (at_ != text_.size()) return invalid("text after }");
    n.json = true;
    return n;
  }

 private:
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  bool take(std::string_view token) {
    space();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  Result<std::shared_ptr<const RE2>> regex() {
    if (++regexes_ > kMaxRegexes) return invalid("more than two regular expressions");
    const size_t end = text_.find('%', at_ + 1);
    if (end == std::string_view::npos) return invalid("% is missing");
    auto re = TRY(filter_regex(text_.substr(at_ + 1, end - at_ - 1)));
    at_ = end + 1;
    return re;
  }
  Result<std::string> quoted() {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        out += text_[++at_];
      } else if (text_[at_] == '"') {
        ++at_;
        return out;
      } else {
        out += text_[at_];
      }
    }
    return invalid("a quotation mark is missing");
  }

  Result<Node> any(int depth) {
    if (depth > kMaxDepth) return invalid("nested too deeply");
    Node n;
    n.kind = Node::Kind::any;
    do {
      n.children.push_back(TRY(all(depth)));
    } while (take("||"));
    return n;
  }
  Result<Node> all(int depth) {
    Node n;
    n.kind = Node::Kind::all;
    do {
      if (take("(")) {
        n.children.push_back(TRY(any(depth + 1)));
        if (!take(")")) return invalid(") expected");
      } else {
        n.children.push_back(TRY(condition()));
      }
    } while (take("&&"));
    return n;
  }

  Result<Node> condition() {
    Node n;
    n.kind = Node::Kind::compare;
    if (!take("$")) return invalid("a selector such as $.field expected");
    while (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == '[')) {
      std::string step;
      if (text_[at_] == '.') {
        ++at_;
        while (at_ < text_.size() && (word(text_[at_]) || text_[at_] == '-')) step += text_[at_++];
      } else {
        while (at_ < text_.size() && text_[at_] != ']') step += text_[at_++];
        if (at_ == text_.size()) return invalid("] expected");
        ++at_;
        if (!parse_int(std::string_view(step).substr(1)))
          return invalid("a selector's index must be a number");
      }
      if (step.empty()) return invalid("an empty part in a selector");
      n.path.push_back(std::move(step));
    }
    if (n.path.empty()) return invalid("a selector such as $.field expected");
    if (take("NOT EXISTS")) return of(std::move(n), Node::Kind::not_exists);
    if (take("IS NULL")) return of(std::move(n), Node::Kind::is_null);
    if (take("IS TRUE")) return of(std::move(n), Node::Kind::is_true);
    if (take("IS FALSE")) return of(std::move(n), Node::Kind::is_false);
    for (const char* op : {"!=", ">=", "<=", "=", ">", "<"}) {
      if (!take(op)) continue;
      n.op = op;
      break;
    }
    if (n.op.empty()) return invalid("an operator expected");
    return value(std::move(n));
  }

  static Result<Node> of(Node n, Node::Kind kind) {
    n.kind = kind;
    return n;
  }

  Result<Node> value(Node n) {
    space();
    if (at_ < text_.size() && text_[at_] == '"') {
      n.text = TRY(quoted());
    } else {
      if (at_ < text_.size() && text_[at_] == '%') {
        n.pattern = TRY(regex());
        if (n.op != "=" && n.op != "!=") return invalid("a regular expression goes with = or !=");
        return n;
      }
      while (at_ < text_.size() &&
             (word(text_[at_]) || std::string_view("*.+-:/").find(text_[at_]) != std::string_view::npos)) {
        n.text += text_[at_++];
      }
      if (n.text.empty()) return invalid("a value expected");
      char* end = nullptr;
      n.number = std::strtod(n.text.c_str(), &end);
      n.numeric = end == n.text.c_str() + n.text.size() && std::isfinite(n.number);
    }
    if (n.op != "=" && n.op != "!=" && !n.numeric) return invalid(n.op + " compares numbers");
    return n;
  }

  std::string_view text_;
  size_t at_ = 0;
  int regexes_ = 0;
};

}  // namespace

bool LogFilter::Node::evaluate(const json::Value& root) const {
  if (kind == Kind::all || kind == Kind::any) {
    for (const auto& c : children) {
      if (c.evaluate(root) == (kind == Kind::any)) return kind == Kind::any;
    }
    return kind == Kind::all;
  }
  const json::Value* v = walk(root, path);
  if (kind == Kind::not_exists) return v == nullptr;
  if (!v) return false;
  if (kind == Kind::is_null) return v->is_null();
  if (kind == Kind::is_true) return v->is_bool() && v->boolean();
  if (kind == Kind::is_false) return v->is_bool() && !v->boolean();
  if (v->is_number()) {
    const double x = v->is_int() ? static_cast<double>(v->integer()) : v->number();
    if (pattern) return RE2::PartialMatch(json::print(*v), *pattern) == (op == "=");
    if (!numeric) return op == "!=";
    if (op == "=") return x == number;
    if (op == "!=") return x != number;
    if (op == ">") return x > number;
    if (op == ">=") return x >= number;
    if (op == "<") return x < number;
    return x <= number;
  }
  if (op != "=" && op != "!=") return false;
  if (!v->is_string()) return op == "!=";
  if (pattern) return RE2::PartialMatch(v->string(), *pattern) == (op == "=");
  return matches_wildcard(text, v->string()) == (op == "=");
}

Result<LogFilter> LogFilter::parse(std::string_view text) {
  text = trim(text);
  LogFilter f;
  if (text.empty()) return f;
  if (text.front() == '[') {
    Node n;
    n.space = TRY(SpacePattern::parse(text));
    f.node_ = std::make_shared<const Node>(std::move(n));
    return f;
  }
  Parser p(text);
  auto node = text.front() == '{' ? p.object() : p.terms();
  if (!node) return std::move(node).error();
  f.node_ = std::make_shared<const Node>(std::move(*node));
  return f;
}

bool LogFilter::matches(const std::string& message, std::map<std::string, std::string>* fields) const {
  if (!node_) return true;
  const Node& n = *node_;
  if (n.space) return n.space->matches(message, fields);
  if (n.json) {
    const auto at = message.find_first_not_of(" \t\r\n");
    if (at == std::string::npos || message[at] != '{') return false;
    const auto value = json::parse(message);
    return value && value->is_object() && n.evaluate(*value);
  }
  auto has = [&](const std::string& term) { return message.find(term) != std::string::npos; };
  for (const auto& t : n.required) {
    if (!has(t)) return false;
  }
  for (const auto& t : n.excluded) {
    if (has(t)) return false;
  }
  bool asked = !n.required.empty(), optional = false, found = false;
  for (const auto& [sign, pattern] : n.patterns) {
    const bool here = RE2::PartialMatch(message, *pattern);
    if (sign == ' ' && !here) return false;
    if (sign == '-' && here) return false;
    asked |= sign == ' ';
    optional |= sign == '?';
    found |= sign == '?' && here;
  }
  if (asked) return true;
  if (optional && (found || n.optional.empty())) return found;
  // Beside required terms, optional ones are ignored, as AWS does.
  if (n.optional.empty() || !n.required.empty()) return true;
  for (const auto& t : n.optional) {
    if (has(t)) return true;
  }
  return false;
}

}  // namespace bastide::services
