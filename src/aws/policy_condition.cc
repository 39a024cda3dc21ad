#include "aws/policy_condition.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/time.h"

namespace bastide::aws {
namespace {

bool parse_number(std::string_view text, double& out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc{} && end == text.data() + text.size() && std::isfinite(out);
}

// ISO 8601, or seconds since the epoch. https://www.w3.org/TR/NOTE-datetime allows a date alone.
bool parse_date(const std::string& text, double& out) {
  if (parse_number(text, out)) {
    out *= 1000;
    return true;
  }
  auto time = parse_iso8601(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!time) return false;
  out = static_cast<double>(*time);
  return true;
}

// At the first five colons that stand outside ${...}.
std::vector<std::string_view> arn_segments(std::string_view text, bool variables) {
  std::vector<std::string_view> out;
  size_t from = 0;
  for (size_t i = 0; i < text.size() && out.size() < 5; ++i) {
    if (variables && text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{') {
      const size_t end = text.find('}', i);
      if (end != std::string_view::npos) i = end;
    } else if (text[i] == ':') {
      out.push_back(text.substr(from, i - from));
      from = i + 1;
    }
  }
  out.push_back(text.substr(from));
  return out;
}

std::string text_of(const json::Value& v) {
  if (v.is_string()) return v.string();
  return json::print(v);
}

}  // namespace

bool Condition::parse_network(const std::string& text, Network& network) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  int64_t bits = -1;
  if (slash != std::string::npos) {
    auto parsed = parse_int(std::string_view(text).substr(slash + 1));
    if (!parsed || *parsed < 0) return false;
    bits = *parsed;
  }
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    if (bits > 32) return false;
    network.address = {};
    network.address[10] = network.address[11] = 0xFF;
    std::memcpy(network.address.data() + 12, &v4, 4);
    network.bits = 96 + static_cast<int>(bits < 0 ? 32 : bits);
    return true;
  }
  if (inet_pton(AF_INET6, address.c_str(), &v6) != 1 || bits > 128) return false;
  std::memcpy(network.address.data(), &v6, 16);
  network.bits = static_cast<int>(bits < 0 ? 128 : bits);
  return true;
}

Result<Condition> Condition::compile(std::string_view op, std::string_view key, const json::Value& values,
                                     bool variables) {
  struct Known {
    std::string_view name;
    Type type;
    Order order;
    bool negated, wildcards;
  };
  static constexpr Known kKnown[] = {
      {"StringEquals", Type::string, Order::equal, false, false},
      {"StringNotEquals", Type::string, Order::equal, true, false},
      {"StringEqualsIgnoreCase", Type::ignore_case, Order::equal, false, false},
      {"StringNotEqualsIgnoreCase", Type::ignore_case, Order::equal, true, false},
      {"StringLike", Type::string, Order::equal, false, true},
      {"StringNotLike", Type::string, Order::equal, true, true},
      {"NumericEquals", Type::number, Order::equal, false, false},
      {"NumericNotEquals", Type::number, Order::equal, true, false},
      {"NumericLessThan", Type::number, Order::less, false, false},
      {"NumericLessThanEquals", Type::number, Order::less_equal, false, false},
      {"NumericGreaterThan", Type::number, Order::greater, false, false},
      {"NumericGreaterThanEquals", Type::number, Order::greater_equal, false, false},
      {"DateEquals", Type::date, Order::equal, false, false},
      {"DateNotEquals", Type::date, Order::equal, true, false},
      {"DateLessThan", Type::date, Order::less, false, false},
      {"DateLessThanEquals", Type::date, Order::less_equal, false, false},
      {"DateGreaterThan", Type::date, Order::greater, false, false},
      {"DateGreaterThanEquals", Type::date, Order::greater_equal, false, false},
      {"Bool", Type::boolean, Order::equal, false, false},
      {"BinaryEquals", Type::binary, Order::equal, false, false},
      {"IpAddress", Type::ip, Order::equal, false, false},
      {"NotIpAddress", Type::ip, Order::equal, true, false},
      {"ArnEquals", Type::arn, Order::equal, false, true},
      {"ArnLike", Type::arn, Order::equal, false, true},
      {"ArnNotEquals", Type::arn, Order::equal, true, true},
      {"ArnNotLike", Type::arn, Order::equal, true, true},
      {"Null", Type::null, Order::equal, false, false},
  };
  Condition c;
  std::string_view name = op;
  static constexpr std::string_view kAll = "ForAllValues:", kAny = "ForAnyValue:", kIfExists = "IfExists";
  if (iequals(name.substr(0, kAll.size()), kAll)) {
    c.set_ = Set::all;
    name.remove_prefix(kAll.size());
  } else if (iequals(name.substr(0, kAny.size()), kAny)) {
    c.set_ = Set::any;
    name.remove_prefix(kAny.size());
  }
  if (name.size() > kIfExists.size() && iequals(name.substr(name.size() - kIfExists.size()), kIfExists)) {
    c.if_exists_ = true;
    name.remove_suffix(kIfExists.size());
  }
  const Known* known = nullptr;
  for (const auto& k : kKnown) {
    if (iequals(k.name, name)) known = &k;
  }
  if (!known || (known->type == Type::null && (c.if_exists_ || c.set_ != Set::single))) {
    return error("Invalid", fmt::format("Invalid condition operator: {}", op));
  }
  if (key.empty()) return error("Invalid", "Empty condition key");
  c.type_ = known->type;
  c.order_ = known->order;
  c.negated_ = known->negated;
  c.key_ = condition_key(key);
  const auto scalar = [](const json::Value& v) { return v.is_string() || v.is_bool() || v.is_number(); };
  if (values.is_array()) {
    for (const auto& v : values.array()) {
      if (!scalar(v)) return error("Invalid", fmt::format("Invalid value of condition {}", key));
      TRY(c.add_value(text_of(v), known->wildcards, variables));
    }
  } else {
    if (!scalar(values)) return error("Invalid", fmt::format("Invalid value of condition {}", key));
    TRY(c.add_value(text_of(values), known->wildcards, variables));
  }
  return c;
}

Result<void> Condition::add_value(const std::string& value, bool wildcards, bool variables) {
  const auto bad = [&] {
    return error("Invalid", fmt::format("Invalid value of condition {}: {}", key_.name, value));
  };
  double number = 0;
  switch (type_) {
    case Type::string:
    case Type::ignore_case:
      patterns_.emplace_back(value, Pattern::Options{wildcards, variables, type_ == Type::ignore_case});
      break;
    case Type::number:
      if (!parse_number(value, number)) return bad();
      numbers_.push_back(number);
      break;
    case Type::date:
      if (!parse_date(value, number)) return bad();
      numbers_.push_back(number);
      break;
    case Type::boolean:
    case Type::null:
      if (!variables || value.find("${") == std::string::npos) {
        if (!iequals(value, "true") && !iequals(value, "false")) return bad();
      }
      patterns_.emplace_back(value, Pattern::Options{false, variables, true});
      break;
    case Type::binary: {
      auto bytes = unbase64(value);
      if (!bytes) return bad();
      texts_.push_back(*bytes);
      break;
    }
    case Type::ip: {
      Network network;
      if (!parse_network(value, network)) return bad();
      networks_.push_back(network);
      break;
    }
    case Type::arn: {
      ArnPattern arn;
      arn.any = value == "*";
      if (!arn.any) {
        const auto segments = arn_segments(value, variables);
        if (segments.size() != 6) {
          // One wildcard may stand for several segments at the end: "arn:aws:s3*" never matches an ARN in
          // AWS.
          if (segments.back().empty() || segments.back().back() != '*') return bad();
        }
        for (const auto& s : segments)
          arn.segments.emplace_back(s, Pattern::Options{wildcards, variables, false});
      }
      arns_.push_back(std::move(arn));
      break;
    }
  }
  return {};
}

bool Condition::ordered(double d) const {
  switch (order_) {
    case Order::equal:
      return d == 0;
    case Order::less:
      return d < 0;
    case Order::less_equal:
      return d <= 0;
    case Order::greater:
      return d > 0;
    case Order::greater_equal:
      return d >= 0;
  }
  return false;
}

bool Condition::one_matches(const std::string& value, const KeySource& keys) const {
  double number = 0;
  switch (type_) {
    case Type::string:
      for (const auto& p : patterns_) {
        if (p.matches(value, keys)) return true;
      }
      return false;
    case Type::ignore_case:
    case Type::boolean:
    case Type::null: {
      const std::string folded = lower(value);
      for (const auto& p : patterns_) {
        if (p.matches(folded, keys)) return true;
      }
      return false;
    }
    case Type::number:
    case Type::date:
      if (!(type_ == Type::number ? parse_number(value, number) : parse_date(value, number))) return false;
      for (const double n : numbers_) {
        if (ordered(number - n)) return true;
      }
      return false;
    case Type::binary: {
      const auto bytes = unbase64(value);
      for (const auto& t : texts_) {
        if (bytes && *bytes == t) return true;
      }
      return false;
    }
    case Type::ip: {
      Network address;
      if (!parse_network(value, address)) return false;
      for (const auto& n : networks_) {
        bool same = true;
        for (int bit = 0; bit < n.bits && same; bit += 8) {
          const int left = n.bits - bit;
          const uint8_t mask = left >= 8 ? 0xFF : static_cast<uint8_t>(0xFF << (8 - left));
          const auto byte = static_cast<size_t>(bit / 8);
          same = (address.address[byte] & mask) == (n.address[byte] & mask);
        }
        if (same) return true;
      }
      return false;
    }
    case Type::arn: {
      const auto segments = arn_segments(value, false);
      for (const auto& a : arns_) {
        if (a.any) return true;
        if (a.segments.size() != segments.size()) continue;
        bool same = true;
        for (size_t i = 0; i < segments.size() && same; ++i) same = a.segments[i].matches(segments[i], keys);
        if (same) return true;
      }
      return false;
    }
  }
  return false;
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
bool Condition::holds(const KeySource& keys) const {
  std::vector<std::string> values;
  keys.find(key_, values);
  if (type_ == Type::null) return one_matches(values.empty() ? "true" : "false", keys);
  if (values.empty()) {
    if (if_exists_) return true;
    if (set_ != Set::single) return set_ == Set::all;
    return negated_;
  }
  if (set_ == Set::single) {
    for (const auto& value : values) {
      if (one_matches(value, keys)) return !negated_;
    }
    return negated_;
  }
  for (const auto& value : values) {
    const bool match = one_matches(value, keys) != negated_;
    if (set_ == Set::any && match) return true;
    if (set_ == Set::all && !match) return false;
  }
  return set_ == Set::all;
}

}  // namespace bastide::aws
