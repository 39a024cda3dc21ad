#include <cctype>
#include <cmath>
#include <cstdlib>

#include "base/bytes.h"
#include "services/logs/insights_expression.h"

namespace bastide::services::insights {
namespace {

constexpr int kMaxDepth = 40;
constexpr int kMaxNodes = 2000;

bool name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '@' || (c & 0x80);
}

}  // namespace

Error malformed(const std::string& why, size_t at) {
  return fault("MalformedQueryException",
               why + (at == std::string::npos ? "" : " at position " + std::to_string(at + 1)));
}

void Reader::space() {
  while (at_ < text_.size()) {
    if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
      ++at_;
    } else if (text_[at_] == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else {
      return;
    }
  }
}
bool Reader::end() {
  space();
  return at_ == text_.size();
}
bool Reader::take(std::string_view symbol) {
  space();
  if (!text_.substr(at_).starts_with(symbol)) return false;
  at_ += symbol.size();
  return true;
}
bool Reader::word(std::string_view w) {
  space();
  if (!iequals(text_.substr(at_, w.size()), w)) return false;
  if (at_ + w.size() < text_.size() && name_char(text_[at_ + w.size()])) return false;
  at_ += w.size();
  return true;
}
std::string Reader::peek_word() {
  space();
  size_t i = at_;
  while (i < text_.size() && name_char(text_[i])) ++i;
  return std::string(text_.substr(at_, i - at_));
}
bool Reader::at_quote() {
  space();
  return at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"');
}
bool Reader::at_regex() {
  space();
  return at_ < text_.size() && text_[at_] == '/';
}

Result<std::string> Reader::quoted() {
  if (!at_quote()) return wrong("a text in quotes expected");
  const char quote = text_[at_++];
  std::string out;
  for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
    if (text_[at_] == '\\' && at_ + 1 < text_.size() && (text_[at_ + 1] == quote || text_[at_ + 1] == '\\'))
      ++at_;
    out += text_[at_];
  }
  if (at_++ >= text_.size()) return wrong("a quotation mark is missing");
  return out;
}

Result<std::shared_ptr<const RE2>> Reader::regex() {
  const size_t from = ++at_;
  std::string pattern;
  for (; at_ < text_.size() && text_[at_] != '/'; ++at_) {
    if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
      if (text_[at_ + 1] != '/') pattern += '\\';
      ++at_;
    }
    pattern += text_[at_];
  }
  if (at_++ >= text_.size()) return wrong("/ is missing after a regular expression");
  // (?<name>...) is written (?P<name>...) by RE2.
  std::string fixed;
  for (size_t i = 0; i < pattern.size(); ++i) {
    fixed += pattern[i];
    if (pattern.compare(i, 3, "(?<") == 0 && i + 3 < pattern.size() && pattern[i + 3] != '=' &&
        pattern[i + 3] != '!') {
      fixed += "?P";
      ++i;
    }
  }
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(8 << 20);
  auto re = std::make_shared<RE2>(fixed, options);
  if (!re->ok()) return malformed("the regular expression is not valid: " + re->error(), from);
  return std::shared_ptr<const RE2>(std::move(re));
}

Result<std::string> Reader::name() {
  space();
  std::string out;
  if (at_ < text_.size() && text_[at_] == '`') {
    for (++at_; at_ < text_.size() && text_[at_] != '`'; ++at_) out += text_[at_];
    if (at_++ >= text_.size()) return wrong("` is missing");
  } else {
    while (at_ < text_.size() && name_char(text_[at_])) out += text_[at_++];
  }
  if (out.empty()) return wrong("a field expected");
  return out;
}

Result<int64_t> Reader::integer() {
  const auto n = parse_int(peek_word());
  if (!n) return wrong("a number expected");
  at_ += peek_word().size();
  return *n;
}

Result<double> parse_period(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double n = std::strtod(copy.c_str(), &end);
  std::string unit = lower(end);
  if (unit.size() > 2 && unit.ends_with("s")) unit.pop_back();
  static const std::map<std::string, double> units = {
      {"ms", 1},         {"msec", 1},        {"millisecond", 1}, {"s", 1e3},      {"sec", 1e3},
      {"second", 1e3},   {"m", 6e4},         {"min", 6e4},       {"minute", 6e4}, {"h", 3.6e6},
      {"hr", 3.6e6},     {"hour", 3.6e6},    {"d", 8.64e7},      {"day", 8.64e7}, {"w", 6.048e8},
      {"week", 6.048e8}, {"mo", 2.592e9},    {"month", 2.592e9}, {"q", 7.776e9},  {"y", 3.1536e10},
      {"yr", 3.1536e10}, {"year", 3.1536e10}};
  const auto it = units.find(unit);
  if (it == units.end() || n <= 0 || end == copy.c_str())
    return malformed("'" + copy + "' is no span of time such as 5m");
  return n * it->second;
}

Node Reader::binary(std::string op, Node a, Node b) {
  Node n;
  n.kind = Node::Kind::binary;
  n.name = std::move(op);
  n.nodes.push_back(std::move(a));
  n.nodes.push_back(std::move(b));
  return n;
}

Result<Node> Reader::expression(bool aggregates) {
  aggregates_ = aggregates;
  space();
  const size_t from = at_;
  auto n = TRY(any(0));
  n.source = std::string(trim(text_.substr(from, at_ - from)));
  return n;
}

Result<Node> Reader::any(int depth) {
  if (depth > kMaxDepth || ++nodes_ > kMaxNodes) return wrong("too large an expression");
  auto left = TRY(all(depth));
  while (word("or")) {
    auto right = TRY(all(depth));
    left = binary("or", std::move(left), std::move(right));
  }
  return left;
}
Result<Node> Reader::all(int depth) {
  auto left = TRY(negation(depth));
  while (word("and")) {
    auto right = TRY(negation(depth));
    left = binary("and", std::move(left), std::move(right));
  }
  return left;
}
Result<Node> Reader::negation(int depth) {
  if (depth > kMaxDepth) return wrong("too large an expression");
  if (!word("not")) return comparison(depth);
  Node n;
  n.kind = Node::Kind::unary;
  n.name = "not";
  n.nodes.push_back(TRY(negation(depth + 1)));
  return n;
}

Result<Node> Reader::comparison(int depth) {
  auto left = TRY(sum(depth));
  for (const char* op : {"=~", "!=", "<=", ">=", "=", "<", ">"}) {
    if (!take(op)) continue;
    if (std::string_view(op) == "=~") {
      Node n;
      n.kind = Node::Kind::like;
      n.nodes.push_back(std::move(left));
      if (at_regex()) {
        n.pattern = TRY(regex());
      } else {
        n.value = V::of(TRY(quoted()));
      }
      return n;
    }
    auto right = TRY(sum(depth));
    return binary(op, std::move(left), std::move(right));
  }
  const size_t back = at_;
  const bool negated = word("not");
  if (word("like")) {
    Node n;
    n.kind = Node::Kind::like;
    n.negated = negated;
    n.nodes.push_back(std::move(left));
    if (at_regex()) {
      n.pattern = TRY(regex());
    } else {
      n.value = V::of(TRY(quoted()));
    }
    return n;
  }
  if (word("in")) {
    Node n;
    n.kind = Node::Kind::in_list;
    n.negated = negated;
    n.nodes.push_back(std::move(left));
    if (!take("[")) return wrong("[ expected after in");
    do {
      n.nodes.push_back(TRY(sum(depth + 1)));
    } while (take(","));
    if (!take("]")) return wrong("] expected");
    return n;
  }
  at_ = back;
  return left;
}

Result<Node> Reader::sum(int depth) {
  auto left = TRY(product(depth));
  for (;;) {
    const char* op = take("+") ? "+" : take("-") ? "-" : nullptr;
    if (!op) return left;
    auto right = TRY(product(depth));
    left = binary(op, std::move(left), std::move(right));
  }
}
Result<Node> Reader::product(int depth) {
  auto left = TRY(power(depth));
  for (;;) {
    const char* op = take("*") ? "*" : take("/") ? "/" : take("%") ? "%" : nullptr;
    if (!op) return left;
    auto right = TRY(power(depth));
    left = binary(op, std::move(left), std::move(right));
  }
}
Result<Node> Reader::power(int depth) {
  if (depth > kMaxDepth || ++nodes_ > kMaxNodes) return wrong("too large an expression");
  if (take("-")) {
    Node zero;
    zero.value = V::of(0.0);
    auto inner = TRY(power(depth + 1));
    return binary("-", std::move(zero), std::move(inner));
  }
  auto left = TRY(primary(depth));
  if (!take("^")) return left;
  auto right = TRY(power(depth + 1));
  return binary("^", std::move(left), std::move(right));
}

Result<Node> Reader::primary(int depth) {
  space();
  if (at_ == text_.size()) return wrong("an expression expected");
  Node n;
  const char c = text_[at_];
  if (c == '(') {
    ++at_;
    auto inner = TRY(any(depth + 1));
    if (!take(")")) return wrong(") expected");
    return inner;
  }
  if (at_quote()) {
    n.value = V::of(TRY(quoted()));
    return n;
  }
  if (std::isdigit(static_cast<unsigned char>(c)) ||
      (c == '.' && at_ + 1 < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_ + 1])))) {
    const std::string rest(text_.substr(at_, 40));
    char* end = nullptr;
    const double v = std::strtod(rest.c_str(), &end);
    if (!std::isfinite(v)) return wrong("a number expected");
    at_ += static_cast<size_t>(end - rest.c_str());
    if (at_ < text_.size() && name_char(text_[at_])) return wrong("a number expected");
    n.value = V::of(v);
    return n;
  }
  const bool plain = c != '`';
  std::string field = TRY(name());
  if (plain && take("(")) return call(lower(field), depth);
  n.kind = Node::Kind::field;
  n.name = std::move(field);
  return n;
}

Result<Node> Reader::call(std::string function, int depth) {
  Node n;
  n.kind = is_aggregate(function) ? Node::Kind::aggregate : Node::Kind::call;
  n.name = std::move(function);
  if (n.kind == Node::Kind::aggregate && !aggregates_) return wrong(n.name + " stands in stats alone");
  if (n.name == "bin") {
    n.period = TRY(parse_period(peek_word()));
    at_ += peek_word().size();
    if (!take(")")) return wrong(") expected");
    return n;
  }
  if (n.kind == Node::Kind::aggregate && take("*")) {
    if (!take(")")) return wrong(") expected");
    return n;
  }
  if (!take(")")) {
    do {
      const bool period = (n.name == "datefloor" || n.name == "dateceil") && n.nodes.size() == 1;
      if (period) {
        n.period = TRY(parse_period(peek_word()));
        at_ += peek_word().size();
        n.nodes.emplace_back();
        continue;
      }
      n.nodes.push_back(TRY(any(depth + 1)));
    } while (take(","));
    if (!take(")")) return wrong(") expected");
  }
  if (n.kind == Node::Kind::aggregate) {
    const size_t wanted = n.name == "pct" || n.name == "percentile" ? 2
                          : n.name == "count"                       ? n.nodes.size()
                                                                    : 1;
    if (n.nodes.size() != wanted || wanted > 2) return wrong(n.name + " has a wrong number of arguments");
  } else if (!known_function(n.name, n.nodes.size())) {
    return wrong("unknown function " + n.name + " with " + std::to_string(n.nodes.size()) + " arguments");
  }
  return n;
}

}  // namespace bastide::services::insights
