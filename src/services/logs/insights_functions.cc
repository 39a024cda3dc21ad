#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "services/logs/insights_expression.h"

namespace bastide::services::insights {
namespace {

struct Range {
  size_t least, most;
};
const std::map<std::string, Range>& functions() {
  static const std::map<std::string, Range> all = {{"abs", {1, 1}},           {"ceil", {1, 1}},
                                                   {"floor", {1, 1}},         {"greatest", {1, 50}},
                                                   {"least", {1, 50}},        {"log", {1, 1}},
                                                   {"sqrt", {1, 1}},          {"ispresent", {1, 1}},
                                                   {"coalesce", {1, 50}},     {"isempty", {1, 1}},
                                                   {"isblank", {1, 1}},       {"concat", {1, 50}},
                                                   {"trim", {1, 2}},          {"ltrim", {1, 2}},
                                                   {"rtrim", {1, 2}},         {"strlen", {1, 1}},
                                                   {"toupper", {1, 1}},       {"tolower", {1, 1}},
                                                   {"substr", {2, 3}},        {"replace", {3, 3}},
                                                   {"strcontains", {2, 2}},   {"datefloor", {2, 2}},
                                                   {"dateceil", {2, 2}},      {"frommillis", {1, 1}},
                                                   {"tomillis", {1, 1}},      {"now", {0, 0}},
                                                   {"jsonparse", {1, 1}},     {"isvalidip", {1, 1}},
                                                   {"isvalidipv4", {1, 1}},   {"isvalidipv6", {1, 1}},
                                                   {"isipinsubnet", {2, 2}},  {"isipv4insubnet", {2, 2}},
                                                   {"isipv6insubnet", {2, 2}}};
  return all;
}

V boolean(bool b) { return V::of(b ? 1.0 : 0.0); }
V number(double v) { return std::isfinite(v) ? V::of(v) : V(); }

int family_of(const std::string& text, unsigned char* bytes) {
  if (::inet_pton(AF_INET, text.c_str(), bytes) == 1) return AF_INET;
  return ::inet_pton(AF_INET6, text.c_str(), bytes) == 1 ? AF_INET6 : 0;
}

bool in_subnet(const std::string& address, const std::string& subnet, int wanted) {
  const size_t slash = subnet.find('/');
  if (slash == std::string::npos) return false;
  unsigned char a[16], b[16];
  const int family = family_of(address, a);
  const auto bits = parse_int(subnet.substr(slash + 1));
  if (family == 0 || family != family_of(subnet.substr(0, slash), b) || (wanted != 0 && family != wanted))
    return false;
  if (!bits || *bits < 0 || *bits > (family == AF_INET ? 32 : 128)) return false;
  for (int i = 0; i < *bits; ++i) {
    if (((a[i / 8] ^ b[i / 8]) & (0x80 >> (i % 8))) != 0) return false;
  }
  return true;
}

std::string trimmed(const std::string& text, const std::string& what, bool left, bool right) {
  size_t from = 0, to = text.size();
  const std::string set = what.empty() ? " \t\r\n" : what;
  while (left && from < to && set.find(text[from]) != std::string::npos) ++from;
  while (right && to > from && set.find(text[to - 1]) != std::string::npos) --to;
  return text.substr(from, to - from);
}

// Of characters, not bytes.
size_t length_of(const std::string& s) {
  return static_cast<size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}
size_t offset_of(const std::string& s, size_t characters) {
  size_t i = 0;
  for (; i < s.size() && characters > 0; --characters) {
    do {
      ++i;
    } while (i < s.size() && (s[i] & 0xC0) == 0x80);
  }
  return i;
}

}  // namespace

bool known_function(const std::string& name, size_t arguments) {
  const auto it = functions().find(name);
  return it != functions().end() && arguments >= it->second.least && arguments <= it->second.most;
}

bool is_aggregate(const std::string& name) {
  static constexpr const char* kAll[] = {"avg",      "count",      "count_distinct", "max",      "min",
                                         "pct",      "percentile", "median",         "stddev",   "sum",
                                         "earliest", "latest",     "sortsfirst",     "sortslast"};
  return std::any_of(std::begin(kAll), std::end(kAll), [&](const char* a) { return name == a; });
}

V call_function(const Node& n, const Row& row, const std::vector<V>* slots) {
  const std::string& f = n.name;
  if (f == "bin") {
    return V::at(std::floor(static_cast<double>(row.time) / n.period) * n.period);
  }
  if (f == "now") return V::of(std::floor(static_cast<double>(Clock::system().wall()) / kSecond));
  std::vector<V> a;
  for (const auto& inner : n.nodes) a.push_back(evaluate(inner, row, slots));
  if (f == "ispresent") return boolean(!a[0].none());
  if (f == "coalesce") {
    for (auto& v : a) {
      if (!v.none()) return std::move(v);
    }
    return {};
  }
  if (f == "isempty") return boolean(a[0].none() || text_of(a[0]).empty());
  if (f == "isblank") return boolean(a[0].none() || trim(text_of(a[0])).empty());
  if (f == "greatest" || f == "least") {
    V best;
    for (auto& v : a) {
      if (!v.none() && (best.none() || (f == "greatest" ? compare(v, best) > 0 : compare(v, best) < 0)))
        best = v;
    }
    return best;
  }
  if (f == "concat") {
    std::string out;
    for (const auto& v : a) out += text_of(v);
    return V::of(std::move(out));
  }
  if (a[0].none()) return {};
  if (f == "datefloor" || f == "dateceil") {
    const auto t = number_of(a[0]);
    if (!t) return {};
    return V::at((f == "datefloor" ? std::floor(*t / n.period) : std::ceil(*t / n.period)) * n.period);
  }
  if (f == "frommillis") {
    const auto t = number_of(a[0]);
    return t ? V::at(*t) : V();
  }
  if (f == "tomillis") {
    const auto t = number_of(a[0]);
    return t ? V::of(*t) : V();
  }
  if (f == "abs" || f == "ceil" || f == "floor" || f == "log" || f == "sqrt") {
    const auto v = number_of(a[0]);
    if (!v) return {};
    if (f == "abs") return number(std::fabs(*v));
    if (f == "ceil") return number(std::ceil(*v));
    if (f == "floor") return number(std::floor(*v));
    return number(f == "log" ? std::log(*v) : std::sqrt(*v));
  }
  const std::string s = text_of(a[0]);
  const std::string second = a.size() > 1 ? text_of(a[1]) : "";
  if (f == "trim") return V::of(trimmed(s, second, true, true));
  if (f == "ltrim") return V::of(trimmed(s, second, true, false));
  if (f == "rtrim") return V::of(trimmed(s, second, false, true));
  if (f == "strlen") return V::of(static_cast<double>(length_of(s)));
  if (f == "toupper" || f == "tolower") {
    std::string out = s;
    for (char& c : out)
      c = static_cast<char>(f == "toupper" ? std::toupper(static_cast<unsigned char>(c))
                                           : std::tolower(static_cast<unsigned char>(c)));
    return V::of(std::move(out));
  }
  if (f == "substr") {
    const auto from = number_of(a[1]), count = a.size() > 2 ? number_of(a[2]) : std::optional<double>(1e9);
    if (!from || !count || *from < 0 || *count < 0) return {};
    const size_t begin = offset_of(s, static_cast<size_t>(std::min(*from, 1e9)));
    const std::string rest = s.substr(begin);
    return V::of(rest.substr(0, offset_of(rest, static_cast<size_t>(std::min(*count, 1e9)))));
  }
  if (f == "replace") return V::of(second.empty() ? s : replace_all(s, second, text_of(a[2])));
  if (f == "strcontains") return boolean(s.find(second) != std::string::npos);
  if (f == "jsonparse") return V::of(s);
  unsigned char bytes[16];
  if (f == "isvalidip") return boolean(family_of(s, bytes) != 0);
  if (f == "isvalidipv4") return boolean(family_of(s, bytes) == AF_INET);
  if (f == "isvalidipv6") return boolean(family_of(s, bytes) == AF_INET6);
  return boolean(in_subnet(s, second, f == "isipinsubnet" ? 0 : f == "isipv4insubnet" ? AF_INET : AF_INET6));
}

std::optional<double> number_of(const V& v) {
  if (v.kind == V::Kind::number || v.kind == V::Kind::time) return v.number;
  if (v.kind == V::Kind::none || v.text.empty()) return std::nullopt;
  const char c = v.text.front();
  if (!std::isdigit(static_cast<unsigned char>(c)) && c != '-' && c != '+' && c != '.') return std::nullopt;
  char* end = nullptr;
  const double n = std::strtod(v.text.c_str(), &end);
  if (end != v.text.c_str() + v.text.size() || !std::isfinite(n)) return std::nullopt;
  return n;
}

std::string text_of(const V& v) {
  switch (v.kind) {
    case V::Kind::none:
      return "";
    case V::Kind::text:
      return v.text;
    case V::Kind::time: {
      const auto t = static_cast<Millis>(v.number);
      const Millis rest = (t % kSecond + kSecond) % kSecond;
      std::string out = iso8601(t - rest).substr(0, 19);
      out[10] = ' ';
      return out + fmt::format(".{:03}", rest);
    }
    case V::Kind::number:
      if (v.number == std::floor(v.number) && std::fabs(v.number) < 1e15)
        return fmt::format("{}", static_cast<int64_t>(v.number));
      return fmt::format("{}", std::round(v.number * 1e4) / 1e4);
  }
  return "";
}

int compare(const V& a, const V& b) {
  const auto x = number_of(a), y = number_of(b);
  if (x && y) return *x < *y ? -1 : *x > *y ? 1 : 0;
  if (a.none() || b.none()) return a.none() && b.none() ? 0 : a.none() ? -1 : 1;
  const int c = text_of(a).compare(text_of(b));
  return c < 0 ? -1 : c > 0 ? 1 : 0;
}

bool truth(const V& v) {
  if (v.kind == V::Kind::text) return !v.text.empty() && v.text != "0" && v.text != "false";
  return !v.none() && v.number != 0;
}

V evaluate(const Node& n, const Row& row, const std::vector<V>* slots) {
  switch (n.kind) {
    case Node::Kind::value:
      return n.value;
    case Node::Kind::field:
      return row.field(n.name);
    case Node::Kind::aggregate:
      return slots != nullptr && n.slot < slots->size() ? (*slots)[n.slot] : V();
    case Node::Kind::call:
      return call_function(n, row, slots);
    case Node::Kind::unary:
      return boolean(!truth(evaluate(n.nodes[0], row, slots)));
    case Node::Kind::like: {
      const V v = evaluate(n.nodes[0], row, slots);
      if (v.none()) return boolean(n.negated);
      const std::string text = text_of(v);
      const bool found =
          n.pattern ? RE2::PartialMatch(text, *n.pattern) : text.find(n.value.text) != std::string::npos;
      return boolean(found != n.negated);
    }
    case Node::Kind::in_list: {
      const V v = evaluate(n.nodes[0], row, slots);
      bool found = false;
      for (size_t i = 1; i < n.nodes.size() && !found && !v.none(); ++i)
        found = compare(v, evaluate(n.nodes[i], row, slots)) == 0;
      return boolean(found != n.negated);
    }
    case Node::Kind::binary:
      break;
  }
  if (n.name == "and")
    return boolean(truth(evaluate(n.nodes[0], row, slots)) && truth(evaluate(n.nodes[1], row, slots)));
  if (n.name == "or")
    return boolean(truth(evaluate(n.nodes[0], row, slots)) || truth(evaluate(n.nodes[1], row, slots)));
  const V a = evaluate(n.nodes[0], row, slots), b = evaluate(n.nodes[1], row, slots);
  if (n.name == "=" || n.name == "!=" || n.name == "<" || n.name == ">" || n.name == "<=" || n.name == ">=") {
    if (a.none() || b.none()) return boolean(n.name == "!=" && a.none() != b.none());
    const int c = compare(a, b);
    if (n.name == "=") return boolean(c == 0);
    if (n.name == "!=") return boolean(c != 0);
    if (n.name == "<") return boolean(c < 0);
    if (n.name == ">") return boolean(c > 0);
    return boolean(n.name == "<=" ? c <= 0 : c >= 0);
  }
  const auto x = number_of(a), y = number_of(b);
  if (!x || !y) return {};
  if (n.name == "+") return number(*x + *y);
  if (n.name == "-") return number(*x - *y);
  if (n.name == "*") return number(*x * *y);
  if (n.name == "/") return number(*x / *y);
  if (n.name == "%") return number(std::fmod(*x, *y));
  return number(std::pow(*x, *y));
}

V Row::field(const std::string& name) const {
  if (const auto it = made.find(name); it != made.end()) return it->second;
  if (!event) return {};
  if (name == "@message") return V::of(message);
  if (name == "@timestamp") return V::at(static_cast<double>(time));
  if (name == "@ingestionTime") return V::at(static_cast<double>(ingested));
  if (name == "@logStream") return V::of(stream);
  if (name == "@log") return V::of(log);
  if (name == "@ptr") return V::of(ptr);
  if (!parsed) {
    parsed = true;
    const size_t at = message.find('{');
    if (at != std::string::npos && trim(std::string_view(message).substr(0, at)).empty()) {
      auto v = json::parse(message);
      if (v && v->is_object()) body = std::move(*v);
    }
  }
  if (!body) return {};
  auto shown = [](const json::Value& v) -> V {
    if (v.is_null()) return {};
    if (v.is_string()) return V::of(v.string());
    if (v.is_bool()) return V::of(v.boolean() ? 1.0 : 0.0);
    if (v.is_number()) return V::of(v.number());
    return V::of(json::print(v));
  };
  if (const json::Value* direct = body->find(name)) return shown(*direct);
  const json::Value* v = &*body;
  for (const auto part : split(name, '.')) {
    if (v->is_array()) {
      const auto index = parse_int(part);
      if (!index || *index < 0 || static_cast<size_t>(*index) >= v->array().size()) return {};
      v = &v->array()[static_cast<size_t>(*index)];
    } else {
      v = v->find(part);
      if (v == nullptr) return {};
    }
  }
  return shown(*v);
}

size_t Row::weight() const {
  size_t n = sizeof(Row) + message.size() + stream.size() + log.size() + ptr.size();
  for (const auto& [k, v] : made) n += k.size() + v.text.size() + 96;
  return n;
}

}  // namespace bastide::services::insights
