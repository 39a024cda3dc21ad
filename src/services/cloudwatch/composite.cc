#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/bytes.h"
#include "services/cloudwatch/alarm.h"

namespace bastide::services::cw {

struct CompositeRule::Node {
  enum class Kind { constant, state, negation, all, any, at_least } kind = Kind::constant;
  bool value = false;
  std::string state;                  // of `state` and `at_least`
  std::vector<std::string> children;  // names
  std::vector<Node> nodes;
  double least = 0;
  bool percent = false, negated = false;
};

namespace {

using Node = CompositeRule::Node;
constexpr size_t kMaxRule = 10'240;
constexpr int kMaxDepth = 64;
constexpr int kMaxElements = 500;
constexpr size_t kMaxChildren = 100;

Error invalid(const std::string& why) { return fault("ValidationError", "AlarmRule is not valid: " + why); }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Node> whole() {
    auto n = TRY(any(0));
    space();
    if (at_ != text_.size()) return invalid("unexpected text at position " + std::to_string(at_));
    return n;
  }

 private:
  void space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(char c) {
    space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string peek_word() {
    space();
    size_t i = at_;
    while (i < text_.size() && (std::isalpha(static_cast<unsigned char>(text_[i])) || text_[i] == '_')) ++i;
    return std::string(text_.substr(at_, i - at_));
  }
  bool take_word(std::string_view word) {
    if (peek_word() != word) return false;
    at_ += word.size();
    return true;
  }

  Result<Node> any(int depth) {
    if (depth > kMaxDepth) return invalid("nested too deeply");
    Node n;
    n.kind = Node::Kind::any;
    do {
      n.nodes.push_back(TRY(all(depth)));
    } while (take_word("OR"));
    if (n.nodes.size() > 1) return n;
    Node only = std::move(n.nodes.front());
    return only;
  }
  Result<Node> all(int depth) {
    Node n;
    n.kind = Node::Kind::all;
    do {
      n.nodes.push_back(TRY(term(depth)));
    } while (take_word("AND"));
    if (n.nodes.size() > 1) return n;
    Node only = std::move(n.nodes.front());
    return only;
  }
  Result<Node> term(int depth) {
    if (depth > kMaxDepth) return invalid("nested too deeply");
    if (++elements_ > kMaxElements) return invalid("more than 500 elements");
    Node n;
    if (take_word("NOT")) {
      n.kind = Node::Kind::negation;
      n.nodes.push_back(TRY(term(depth + 1)));
      return n;
    }
    if (take('(')) {
      auto inner = TRY(any(depth + 1));
      if (!take(')')) return invalid(") expected");
      return inner;
    }
    const std::string word = peek_word();
    if (word == "TRUE" || word == "FALSE") {
      at_ += word.size();
      n.value = word == "TRUE";
      return n;
    }
    if (word == "ALARM" || word == "OK" || word == "INSUFFICIENT_DATA") {
      at_ += word.size();
      n.kind = Node::Kind::state;
      n.state = word;
      if (!take('(')) return invalid("( expected after " + word);
      n.children.push_back(TRY(name()));
      if (!take(')')) return invalid(") expected after an alarm's name");
      return n;
    }
    if (word == "AT_LEAST") {
      at_ += word.size();
      return at_least();
    }
    return invalid(word.empty() ? "an expression expected" : "unknown function " + word);
  }
  Result<Node> at_least() {
    Node n;
    n.kind = Node::Kind::at_least;
    if (!take('(')) return invalid("( expected after AT_LEAST");
    space();
    int64_t least = 0;
    const size_t from = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) && at_ - from < 6)
      least = least * 10 + (text_[at_++] - '0');
    if (at_ == from || least == 0) return invalid("AT_LEAST needs a number");
    n.least = static_cast<double>(least);
    n.percent = take('%');
    if (n.percent && least > 100) return invalid("AT_LEAST of more than 100%");
    if (!take(',')) return invalid(", expected in AT_LEAST");
    n.negated = take_word("NOT");
    n.state = peek_word();
    if (n.state != "ALARM" && n.state != "OK" && n.state != "INSUFFICIENT_DATA")
      return invalid("AT_LEAST needs a state");
    at_ += n.state.size();
    if (!take(',') || !take('(')) return invalid("AT_LEAST needs a list of alarms");
    do {
      n.children.push_back(TRY(name()));
      if (++elements_ > kMaxElements) return invalid("more than 500 elements");
    } while (take(','));
    if (!take(')') || !take(')')) return invalid(") expected after AT_LEAST's alarms");
    if (!n.percent && n.least > static_cast<double>(n.children.size()))
      return invalid("AT_LEAST of more alarms than it lists");
    return n;
  }
  Result<std::string> name() {
    space();
    std::string out;
    if (at_ < text_.size() && text_[at_] == '"') {
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
        out += text_[at_];
      }
      if (at_++ >= text_.size()) return invalid("a quotation mark is missing");
    } else {
      while (at_ < text_.size() && text_[at_] != ')' && text_[at_] != ',' && text_[at_] != '(')
        out += text_[at_++];
      out = std::string(trim(out));
    }
    if (out.empty()) return invalid("an alarm's name expected");
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
  int elements_ = 0;
};

void collect(const Node& n, std::vector<std::string>& out) {
  for (const auto& c : n.children) {
    if (std::find(out.begin(), out.end(), c) == out.end()) out.push_back(c);
  }
  for (const auto& inner : n.nodes) collect(inner, out);
}

bool evaluate(const Node& n, const std::function<std::string(const std::string&)>& state) {
  switch (n.kind) {
    case Node::Kind::constant:
      return n.value;
    case Node::Kind::state:
      return state(n.children[0]) == n.state;
    case Node::Kind::negation:
      return !evaluate(n.nodes[0], state);
    case Node::Kind::all:
      return std::all_of(n.nodes.begin(), n.nodes.end(), [&](const Node& x) { return evaluate(x, state); });
    case Node::Kind::any:
      return std::any_of(n.nodes.begin(), n.nodes.end(), [&](const Node& x) { return evaluate(x, state); });
    case Node::Kind::at_least: {
      const auto held = std::count_if(n.children.begin(), n.children.end(), [&](const std::string& c) {
        return (state(c) == n.state) != n.negated;
      });
      const double need =
          n.percent ? std::ceil(n.least * static_cast<double>(n.children.size()) / 100) : n.least;
      return static_cast<double>(held) >= need;
    }
  }
  return false;
}

}  // namespace

Result<CompositeRule> CompositeRule::parse(const std::string& text) {
  if (text.size() > kMaxRule) return invalid("longer than 10,240 characters");
  Parser parser(text);
  auto root = TRY(parser.whole());
  CompositeRule out;
  collect(root, out.children_);
  if (out.children_.size() > kMaxChildren) return invalid("more than 100 alarms");
  out.root_ = std::make_shared<const Node>(std::move(root));
  return out;
}

bool CompositeRule::holds(const std::function<std::string(const std::string& child)>& state) const {
  return root_ && evaluate(*root_, state);
}

}  // namespace bastide::services::cw
