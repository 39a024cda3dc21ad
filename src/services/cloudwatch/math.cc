#include "services/cloudwatch/math.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "base/bytes.h"
#include "services/cloudwatch/math_node.h"

namespace bastide::services::cw {
namespace {

using Node = MathExpression::Node;
constexpr int kMaxDepth = 48;
constexpr size_t kMaxExpression = 2048;
constexpr size_t kMaxNodes = 1000;

class Parser {
 public:
  Parser(std::string_view text, std::vector<std::string>& variables) : text_(text), variables_(variables) {}

  Result<Node> whole() {
    auto n = TRY(disjunction(0));
    space();
    if (at_ != text_.size()) return bad("unexpected '" + std::string(1, text_[at_]) + "'");
    return n;
  }

 private:
  Error bad(const std::string& why) const {
    return math_error(why + " at position " + std::to_string(at_ + 1) + " of '" + std::string(text_) + "'");
  }
  void space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(std::string_view token) {
    space();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  bool take_word(std::string_view word) {
    space();
    if (!iequals(text_.substr(at_, word.size()), word)) return false;
    const size_t end = at_ + word.size();
    if (end < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '_'))
      return false;
    at_ = end;
    return true;
  }
  Node binary(std::string op, Node a, Node b) {
    Node n;
    n.kind = Node::Kind::binary;
    n.text = std::move(op);
    n.nodes.push_back(std::move(a));
    n.nodes.push_back(std::move(b));
    return n;
  }
  Result<Node> disjunction(int depth) {
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes) return bad("too large an expression");
    auto left = TRY(conjunction(depth));
    while (take("||") || take_word("OR")) {
      auto right = TRY(conjunction(depth));
      left = binary("||", std::move(left), std::move(right));
    }
    return left;
  }
  Result<Node> conjunction(int depth) {
    auto left = TRY(comparison(depth));
    while (take("&&") || take_word("AND")) {
      auto right = TRY(comparison(depth));
      left = binary("&&", std::move(left), std::move(right));
    }
    return left;
  }
  Result<Node> comparison(int depth) {
    auto left = TRY(sum(depth));
    for (const char* op : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (!take(op)) continue;
      auto right = TRY(sum(depth));
      return binary(op, std::move(left), std::move(right));
    }
    return left;
  }
  Result<Node> sum(int depth) {
    auto left = TRY(product(depth));
    for (;;) {
      const char* op = take("+") ? "+" : take("-") ? "-" : nullptr;
      if (!op) return left;
      auto right = TRY(product(depth));
      left = binary(op, std::move(left), std::move(right));
    }
  }
  Result<Node> product(int depth) {
    auto left = TRY(power(depth));
    for (;;) {
      const char* op = take("*") ? "*" : take("/") ? "/" : nullptr;
      if (!op) return left;
      auto right = TRY(power(depth));
      left = binary(op, std::move(left), std::move(right));
    }
  }
  Result<Node> power(int depth) {
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes) return bad("too large an expression");
    if (take("-")) {
      Node n;
      n.kind = Node::Kind::negation;
      n.nodes.push_back(TRY(power(depth + 1)));
      return n;
    }
    auto left = TRY(primary(depth));
    if (!take("^")) return left;
    auto right = TRY(power(depth + 1));
    return binary("^", std::move(left), std::move(right));
  }
  Result<Node> primary(int depth) {
    space();
    if (at_ == text_.size()) return bad("an expression ends early");
    Node n;
    const char c = text_[at_];
    if (c == '(') {
      ++at_;
      auto inner = TRY(disjunction(depth + 1));
      if (!take(")")) return bad(") expected");
      return inner;
    }
    if (c == '[') {
      ++at_;
      n.kind = Node::Kind::list;
      do {
        n.nodes.push_back(TRY(disjunction(depth + 1)));
      } while (take(","));
      if (!take("]")) return bad("] expected");
      return n;
    }
    if (c == '"' || c == '\'') {
      n.kind = Node::Kind::text;
      for (++at_; at_ < text_.size() && text_[at_] != c; ++at_) {
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
        n.text += text_[at_];
      }
      if (at_++ >= text_.size()) return bad("a quotation mark is missing");
      return n;
    }
    if (std::isdigit(static_cast<unsigned char>(c)) || c == '.') {
      const std::string rest(text_.substr(at_, 40));
      char* end = nullptr;
      n.number = std::strtod(rest.c_str(), &end);
      if (end == rest.c_str() || !std::isfinite(n.number)) return bad("a number expected");
      at_ += static_cast<size_t>(end - rest.c_str());
      return n;
    }
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      n.text += text_[at_++];
    if (n.text.empty()) return bad("unexpected '" + std::string(1, c) + "'");
    if (!take("(")) {
      // Ids begin with a lower-case letter: other words are what FILL and SORT take.
      n.kind = std::islower(static_cast<unsigned char>(n.text[0])) ? Node::Kind::variable : Node::Kind::text;
      if (n.kind == Node::Kind::variable &&
          std::find(variables_.begin(), variables_.end(), n.text) == variables_.end()) {
        variables_.push_back(n.text);
      }
      return n;
    }
    n.kind = Node::Kind::call;
    std::transform(n.text.begin(), n.text.end(), n.text.begin(),
                   [](unsigned char x) { return std::toupper(x); });
    if (!is_function(n.text)) return bad("unknown function " + n.text);
    if (take(")")) return n;
    do {
      n.nodes.push_back(TRY(disjunction(depth + 1)));
    } while (take(","));
    if (!take(")")) return bad(") expected");
    return n;
  }

  std::string_view text_;
  std::vector<std::string>& variables_;
  size_t at_ = 0, nodes_ = 0;
};

Result<Value> evaluate_node(const Node& n, const MathContext& c) {
  switch (n.kind) {
    case Node::Kind::number:
      return Value::of(n.number);
    case Node::Kind::text: {
      Value v;
      v.kind = Value::Kind::text;
      v.text = n.text;
      return v;
    }
    case Node::Kind::variable:
      return c.variable(n.text);
    case Node::Kind::list: {
      std::vector<Series> all;
      for (const auto& inner : n.nodes) {
        auto v = TRY(evaluate_node(inner, c));
        if (v.kind == Value::Kind::number || v.kind == Value::Kind::text)
          return math_error("an array holds time series");
        for (auto& s : v.list) all.push_back(std::move(s));
      }
      return Value::of(std::move(all));
    }
    case Node::Kind::negation: {
      auto v = TRY(evaluate_node(n.nodes[0], c));
      return combine("*", Value::of(-1), v);
    }
    case Node::Kind::binary: {
      auto a = TRY(evaluate_node(n.nodes[0], c));
      auto b = TRY(evaluate_node(n.nodes[1], c));
      return combine(n.text, a, b);
    }
    case Node::Kind::call: {
      std::vector<Value> arguments;
      for (const auto& inner : n.nodes) arguments.push_back(TRY(evaluate_node(inner, c)));
      return call_function(n.text, std::move(arguments), c);
    }
  }
  return math_error("an expression that is none");
}

}  // namespace

Error math_error(const std::string& why) { return fault("ValidationError", "Error in expression: " + why); }

Result<MathExpression> MathExpression::parse(const std::string& text) {
  if (text.size() > kMaxExpression) return math_error("longer than 2,048 characters");
  MathExpression out;
  Parser parser(text, out.variables_);
  auto root = TRY(parser.whole());
  out.root_ = std::make_shared<const Node>(std::move(root));
  return out;
}

Result<Value> MathExpression::evaluate(const MathContext& context) const {
  return evaluate_node(*root_, context);
}

}  // namespace bastide::services::cw
