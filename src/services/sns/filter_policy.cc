#include "services/sns/filter_policy.h"

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"

namespace bastide::services::sns {
namespace {

using json::Value;
constexpr int kMaxDepth = 10;

Error invalid(const std::string& why) {
  return fault("InvalidParameter", "Invalid parameter: FilterPolicy: " + why);
}

Result<void> check_condition(const Value& c) {
  if (c.is_string() || c.is_number() || c.is_bool() || c.is_null()) return {};
  if (!c.is_object() || c.object().size() != 1)
    return invalid("Match value must be String, number, true, false, or null");
  const auto& [op, v] = c.object().front();
  if (op == "exists")
    return v.is_bool() ? Result<void>() : invalid("exists match pattern must be either true or false.");
  if (op == "prefix" || op == "suffix" || op == "equals-ignore-case" || op == "wildcard")
    return v.is_string() ? Result<void>() : invalid(op + " match pattern must be a string");
  if (op == "anything-but") {
    if (v.is_string() || v.is_number() || v.is_array()) return {};
    if (v.is_object() && v.object().size() == 1 && (v.has("prefix") || v.has("suffix") || v.has("wildcard")))
      return {};
    return invalid("anything-but needs values, prefix or suffix");
  }
  if (op == "numeric") {
    if (!v.is_array() || v.array().empty() || v.array().size() % 2 != 0)
      return invalid("numeric needs pairs of an operator and a number");
    for (size_t i = 0; i < v.array().size(); i += 2) {
      const auto& o = v.array()[i];
      if (!o.is_string() || (o.string() != "=" && o.string() != "<" && o.string() != "<=" &&
                             o.string() != ">" && o.string() != ">="))
        return invalid("Unrecognized numeric range operator");
      if (!v.array()[i + 1].is_number()) return invalid("Value of numeric must be numeric");
    }
    return {};
  }
  return invalid("Unrecognized match type " + op);
}

Result<void> check(const Value& policy, int depth) {
  if (!policy.is_object() || depth > kMaxDepth) return invalid("Filter policy must be an object");
  for (const auto& [key, v] : policy.object()) {
    if (key == "$or") {
      if (!v.is_array() || v.array().size() < 2) return invalid("$or needs at least two objects");
      for (const auto& branch : v.array()) TRY(check(branch, depth + 1));
    } else if (v.is_object()) {
      TRY(check(v, depth + 1));
    } else {
      if (!v.is_array() || v.array().empty()) return invalid("\"" + key + "\" must be an object or an array");
      for (const auto& c : v.array()) TRY(check_condition(c));
    }
  }
  return {};
}

bool glob(std::string_view p, std::string_view t) {
  size_t i = 0, k = 0, star = std::string_view::npos, mark = 0;
  while (k < t.size()) {
    if (i < p.size() && p[i] == '*') {
      star = i++;
      mark = k;
    } else if (i < p.size() && p[i] == t[k]) {
      ++i;
      ++k;
    } else if (star != std::string_view::npos) {
      i = star + 1;
      k = ++mark;
    } else {
      return false;
    }
  }
  while (i < p.size() && p[i] == '*') ++i;
  return i == p.size();
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  return a == b;
}

bool text_fits(const std::string& op, const Value& pattern, const Value& v) {
  if (!v.is_string() || !pattern.is_string()) return false;
  if (op == "prefix") return v.string().starts_with(pattern.string());
  if (op == "suffix") return v.string().ends_with(pattern.string());
  if (op == "wildcard") return glob(pattern.string(), v.string());
  return iequals(v.string(), pattern.string());
}

bool fits(const Value& c, const Value* v) {
  if (!c.is_object()) return v != nullptr && equal(c, *v);
  const auto& [op, pattern] = c.object().front();
  if (op == "exists") return pattern.boolean() == (v != nullptr);
  if (v == nullptr) return false;
  if (op == "anything-but") {
    if (pattern.is_array())
      return std::none_of(pattern.array().begin(), pattern.array().end(),
                          [&](const Value& p) { return equal(p, *v); });
    if (pattern.is_object())
      return !text_fits(pattern.object().front().first, pattern.object().front().second, *v);
    return !equal(pattern, *v);
  }
  if (op == "numeric") {
    if (!v->is_number()) return false;
    for (size_t i = 0; i + 1 < pattern.array().size(); i += 2) {
      const std::string& o = pattern.array()[i].string();
      const double x = v->number(), y = pattern.array()[i + 1].number();
      if (!(o == "=" ? x == y : o == "<" ? x < y : o == "<=" ? x <= y : o == ">" ? x > y : x >= y))
        return false;
    }
    return true;
  }
  return text_fits(op, pattern, *v);
}

bool matches(const Value& policy, const Value& subject) {
  for (const auto& [key, want] : policy.object()) {
    if (key == "$or") {
      if (std::none_of(want.array().begin(), want.array().end(),
                       [&](const Value& b) { return matches(b, subject); }))
        return false;
      continue;
    }
    const Value* v = subject.find(key);
    if (want.is_object()) {
      if (!matches(want, v == nullptr ? json::object() : *v)) return false;
      continue;
    }
    const auto one = [&](const Value& c) {
      if (v != nullptr && v->is_array() && !(c.is_object() && c.has("exists"))) {
        return std::any_of(v->array().begin(), v->array().end(), [&](const Value& e) { return fits(c, &e); });
      }
      return fits(c, v);
    };
    if (std::none_of(want.array().begin(), want.array().end(), one)) return false;
  }
  return true;
}

}  // namespace

Result<void> check_filter_policy(const Value& policy) { return check(policy, 0); }

bool passes(const Value& policy, bool body_scope, const Value& attributes, const std::string& message) {
  if (!policy.is_object() || policy.object().empty()) return true;
  if (body_scope) {
    const auto body = json::parse(message);
    return body && body->is_object() && matches(policy, *body);
  }
  Value subject = json::object();
  if (!attributes.is_object()) return matches(policy, subject);
  for (const auto& [name, a] : attributes.object()) {
    const std::string type = a.get("DataType"), text = a.get("StringValue");
    if (type == "String.Array" || type.starts_with("Number")) {
      auto parsed = json::parse(text);
      if (parsed) subject[name] = std::move(*parsed);
    } else if (type.starts_with("String")) {
      subject[name] = text;
    }
  }
  return matches(policy, subject);
}

}  // namespace bastide::services::sns
