// Inside Insights: expressions, their parser and evaluation.
#pragma once

#include <re2/re2.h>

#include "services/logs/insights.h"

namespace bastide::services::insights {

struct Node {
  enum class Kind { value, field, call, aggregate, unary, binary, in_list, like } kind = Kind::value;
  V value;
  std::string name;  // of a field, function, aggregate or operator
  std::vector<Node> nodes;
  std::shared_ptr<const RE2> pattern;  // of like and =~ with a regular expression
  bool negated = false;
  double period = 0;   // of bin, dateceil, datefloor: milliseconds
  size_t slot = 0;     // of an aggregate
  std::string source;  // as it was written
};

Error malformed(const std::string& why, size_t at = std::string::npos);

// A cursor over the text of a query.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  void space();
  bool end();
  bool take(std::string_view symbol);
  bool word(std::string_view w);  // as a whole word, without regard to case
  std::string peek_word();
  size_t position() const { return at_; }
  std::string_view since(size_t from) const { return text_.substr(from, at_ - from); }

  Result<Node> expression(bool aggregates = false);
  Result<std::string> name();    // of a field: a.b, @message, `any text`
  Result<std::string> quoted();  // 'x' or "x"
  bool at_quote();
  Result<std::shared_ptr<const RE2>> regex();  // /x/
  bool at_regex();
  Result<int64_t> integer();
  Error wrong(const std::string& why) { return malformed(why, at_); }

 private:
  Result<Node> any(int depth);
  Result<Node> all(int depth);
  Result<Node> negation(int depth);
  Result<Node> comparison(int depth);
  Result<Node> sum(int depth);
  Result<Node> product(int depth);
  Result<Node> power(int depth);
  Result<Node> primary(int depth);
  Result<Node> call(std::string name, int depth);
  Node binary(std::string op, Node a, Node b);

  std::string_view text_;
  size_t at_ = 0;
  bool aggregates_ = false;
  int nodes_ = 0;
};

bool is_aggregate(const std::string& name);
// `slots`: values of aggregates, where there are any.
V evaluate(const Node& n, const Row& row, const std::vector<V>* slots = nullptr);
V call_function(const Node& n, const Row& row, const std::vector<V>* slots);
bool known_function(const std::string& name, size_t arguments);
Result<double> parse_period(std::string_view text);  // "5m" -> milliseconds

}  // namespace bastide::services::insights
