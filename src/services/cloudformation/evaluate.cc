#include "services/cloudformation/evaluate.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/bytes.h"

namespace bastide::services::cfn {
namespace {

using Value = json::Value;
using Maybe = std::optional<Value>;

Error template_error(std::string what) { return validation("Template error: " + std::move(what)); }

bool scalar(const Value& v) { return v.is_string() || v.is_number() || v.is_bool(); }

class Evaluation {
 public:
  explicit Evaluation(const Scope& scope) : s_(scope) {}

  Result<Maybe> value(const Value& v) {
    if (++depth_ > 100) return template_error("functions are nested too deep");
    auto out = inner(v);
    --depth_;
    return out;
  }

  Result<Value> present(const Value& v) {
    Maybe got = TRY(value(v));
    if (!got) return Value();
    return std::move(*got);
  }

  Result<bool> condition(const Value& v) {
    const std::string name = intrinsic_name(v);
    if (name == "Condition" && v.object()[0].second.is_string())
      return named(v.object()[0].second.string(), "Condition");
    if (name == "Fn::Equals") {
      const Value& a = v.object()[0].second;
      if (!a.is_array() || a.array().size() != 2) {
        return template_error("every Fn::Equals object requires a list of 2 string parameters.");
      }
      const Value left = TRY(present(a.array()[0]));
      const Value right = TRY(present(a.array()[1]));
      if (scalar(left) && scalar(right)) return scalar_text(left) == scalar_text(right);
      return left == right;
    }
    if (name == "Fn::Not") {
      const Value& a = v.object()[0].second;
      if (!a.is_array() || a.array().size() != 1) {
        return template_error("every Fn::Not object requires a list of 1 boolean parameter.");
      }
      const bool inner = TRY(condition(a.array()[0]));
      return !inner;
    }
    if (name == "Fn::And" || name == "Fn::Or") {
      const Value& a = v.object()[0].second;
      if (!a.is_array() || a.array().size() < 2 || a.array().size() > 10) {
        return template_error(fmt::format(
            "every {} object requires a list of at least 2 and at most 10 boolean parameters.", name));
      }
      bool out = name == "Fn::And";
      for (const auto& one : a.array()) {
        const bool b = TRY(condition(one));
        out = name == "Fn::And" ? out && b : out || b;
      }
      return out;
    }
    return template_error(
        "every Condition member must be a string, or one of Fn::And, Fn::Equals, Fn::Not, Fn::Or.");
  }

 private:
  Result<bool> named(const std::string& name, const char* where) {
    auto it = s_.conditions.find(name);
    if (it == s_.conditions.end()) {
      return template_error(
          fmt::format("unresolved condition dependency {} in {} block of the template", name, where));
    }
    return it->second;
  }

  Result<Maybe> inner(const Value& v) {
    if (v.is_array()) {
      json::Array out;
      out.reserve(v.array().size());
      for (const auto& one : v.array()) {
        Maybe got = TRY(value(one));
        if (got) out.push_back(std::move(*got));
      }
      return Maybe(std::move(out));
    }
    if (!v.is_object()) return Maybe(v);
    const std::string name = intrinsic_name(v);
    if (name.empty() || name == "Condition") {  // a policy statement may have a lone "Condition"
      json::Object out;
      out.reserve(v.object().size());
      for (const auto& [key, member] : v.object()) {
        Maybe got = TRY(value(member));
        if (got) out.emplace_back(key, std::move(*got));
      }
      return Maybe(std::move(out));
    }
    return function(name, v.object()[0].second);
  }

  Result<Maybe> function(const std::string& name, const Value& a) {
    if (name == "Ref") return ref(a);
    if (name == "Fn::If") return if_(a);
    if (name == "Fn::GetAtt") return get_att(a);
    if (name == "Fn::Sub") return sub(a);
    if (name == "Fn::Join") return join_(a);
    if (name == "Fn::Select") return select(a);
    if (name == "Fn::Split") return split_(a);
    if (name == "Fn::FindInMap") return find_in_map(a);
    if (name == "Fn::ImportValue") return import_value(a);
    if (name == "Fn::Base64") {
      Value text = TRY(present(a));
      if (!resolved(text)) return keep(name, std::move(text));
      if (!scalar(text)) return template_error("every Fn::Base64 object must have a String-typed value.");
      return Maybe(base64(scalar_text(text)));
    }
    if (name == "Fn::GetAZs") {
      Value region = TRY(present(a));
      if (!resolved(region)) return keep(name, std::move(region));
      std::string r = scalar_text(region);
      if (!s_.zones) return keep(name, std::move(region));
      Value zones = TRY(s_.zones(r.empty() ? s_.region : r));
      return Maybe(std::move(zones));
    }
    if (name == "Fn::Cidr") return cidr(a);
    if (name == "Fn::Length") {
      Value list = TRY(present(a));
      if (!resolved(list)) return keep(name, std::move(list));
      if (!list.is_array()) return template_error("Fn::Length needs a list");
      return Maybe(Value(list.array().size()));
    }
    if (name == "Fn::ToJsonString") {
      Value v = TRY(present(a));
      if (!resolved(v)) return keep(name, std::move(v));
      if (!v.is_object() && !v.is_array())
        return template_error("Fn::ToJsonString needs an object or a list");
      return Maybe(json::print(v));
    }
    if (name == "Fn::Equals" || name == "Fn::And" || name == "Fn::Or" || name == "Fn::Not") {
      return template_error(
          fmt::format("{} cannot be partially collapsed; it may stand in Conditions only", name));
    }
    return template_error(fmt::format("Encountered unsupported function: {}", name));
  }

  static Result<Maybe> keep(const std::string& name, Value argument) {
    return Maybe(json::object({{name, std::move(argument)}}));
  }

  Result<Maybe> variable(const std::string& name) {
    if (name == "AWS::AccountId") return Maybe(s_.account);
    if (name == "AWS::Region") return Maybe(s_.region);
    if (name == "AWS::StackName") return Maybe(s_.stack_name);
    if (name == "AWS::StackId")
      return s_.stack_id.empty() ? keep("Ref", name) : Result<Maybe>(Maybe(s_.stack_id));
    if (name == "AWS::Partition")
      return Maybe(s_.region.starts_with("cn-")       ? "aws-cn"
                   : s_.region.starts_with("us-gov-") ? "aws-us-gov"
                                                      : "aws");
    if (name == "AWS::URLSuffix")
      return Maybe(s_.region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com");
    if (name == "AWS::NotificationARNs") {
      Value out = json::array();
      for (const auto& arn : s_.notification_arns) out.push(arn);
      return Maybe(std::move(out));
    }
    if (name == "AWS::NoValue") return Maybe();
    auto it = s_.parameters.find(name);
    if (it != s_.parameters.end()) return Maybe(it->second);
    if (s_.ref) {
      Maybe got = TRY(s_.ref(name));
      if (got) return got;
    }
    return keep("Ref", name);
  }

  Result<Maybe> ref(const Value& a) {
    if (!a.is_string()) return template_error("every Ref object must have a single String value.");
    return variable(a.string());
  }

  Result<Maybe> attribute(const std::string& logical, const std::string& name) {
    if (s_.attribute) {
      Maybe got = TRY(s_.attribute(logical, name));
      if (got) return got;
    }
    return keep("Fn::GetAtt", json::array({logical, name}));
  }

  Result<Maybe> get_att(const Value& a) {
    Value argument = a;
    if (a.is_array() && a.array().size() == 2 && !a.array()[1].is_string()) {
      Value second = TRY(present(a.array()[1]));
      argument = json::array({a.array()[0], std::move(second)});
    }
    auto parts = getatt_parts(argument);
    if (!parts) {
      return template_error(
          "every Fn::GetAtt object requires two non-empty parameters, the resource name and the "
          "resource attribute");
    }
    return attribute(parts->first, parts->second);
  }

  Result<Maybe> if_(const Value& a) {
    if (!a.is_array() || a.array().size() != 3 || !a.array()[0].is_string()) {
      return template_error(
          "Fn::If requires a list argument with three elements, of which the first is a condition's name");
    }
    const bool yes = TRY(named(a.array()[0].string(), "Fn::If"));
    return value(a.array()[yes ? 1 : 2]);
  }

  // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html
  Result<Maybe> sub(const Value& a) {
    const bool with_map = a.is_array();
    if (with_map && (a.array().size() != 2 || !a.array()[0].is_string() || !a.array()[1].is_object())) {
      return template_error(
          "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string "
          "as first argument, and an optional second argument to specify a mapping of values to "
          "replace in the string");
    }
    if (!with_map && !a.is_string()) {
      return template_error("every Fn::Sub object must have a String as its first argument");
    }
    const std::string& text = with_map ? a.array()[0].string() : a.string();
    std::string out;
    Value left = json::object();  // variables that are not known yet
    size_t at = 0;
    while (at < text.size()) {
      const size_t open = text.find("${", at);
      const size_t close = open == std::string::npos ? open : text.find('}', open);
      if (close == std::string::npos) break;
      out.append(text, at, open - at);
      const std::string name(trim(std::string_view(text).substr(open + 2, close - open - 2)));
      at = close + 1;
      if (name.starts_with('!')) {
        out += "${" + name.substr(1) + "}";
        continue;
      }
      Maybe got;
      const Value* mapped = with_map ? a.array()[1].find(name) : nullptr;
      const size_t dot = name.find('.');
      if (mapped != nullptr) {
        got = TRY(value(*mapped));
      } else if (dot != std::string::npos) {
        got = TRY(attribute(name.substr(0, dot), name.substr(dot + 1)));
      } else {
        got = TRY(variable(name));
      }
      if (got && !resolved(*got)) {
        out += "${" + name + "}";
        left[name] = std::move(*got);
      } else if (!got || !scalar(*got)) {
        return template_error(
            fmt::format("variable {} in Fn::Sub expression does not resolve to a string", name));
      } else {
        out += scalar_text(*got);
      }
    }
    out.append(text, at);
    if (left.object().empty()) return Maybe(std::move(out));
    return keep("Fn::Sub", json::array({std::move(out), std::move(left)}));
  }

  Result<Maybe> join_(const Value& a) {
    const char* kWrong =
        "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to "
        "be joined or "
        "a function that returns a list of strings (such as Fn::GetAZs) to be joined.";
    if (!a.is_array() || a.array().size() != 2 || !a.array()[0].is_string()) return template_error(kWrong);
    Value list = TRY(present(a.array()[1]));
    if (!resolved(list)) return keep("Fn::Join", json::array({a.array()[0], std::move(list)}));
    if (!list.is_array()) return template_error(kWrong);
    std::vector<std::string> parts;
    for (const auto& one : list.array()) {
      if (!scalar(one)) return template_error(kWrong);
      parts.push_back(scalar_text(one));
    }
    return Maybe(join(parts, a.array()[0].string()));
  }

  Result<Maybe> select(const Value& a) {
    if (!a.is_array() || a.array().size() != 2) {
      return template_error(
          "Fn::Select requires a list argument with two elements: an integer index and a list");
    }
    Value index = TRY(present(a.array()[0]));
    Value list = TRY(present(a.array()[1]));
    const bool whole = list.is_array() && intrinsic_name(list).empty();
    if (!resolved(index) || (!whole && !resolved(list))) {
      return keep("Fn::Select", json::array({std::move(index), std::move(list)}));
    }
    auto i = parse_int(scalar_text(index));
    if (!i)
      return template_error(
          "Fn::Select requires a list argument with a valid integer index as its first element");
    if (!list.is_array()) {
      return template_error(
          "Fn::Select requires a list argument with two elements: an integer index and a list");
    }
    if (*i < 0 || static_cast<size_t>(*i) >= list.array().size()) {
      return template_error(fmt::format("Fn::Select cannot select nonexistent value at index {}", *i));
    }
    return Maybe(list.array()[static_cast<size_t>(*i)]);
  }

  Result<Maybe> split_(const Value& a) {
    const char* kWrong =
        "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split";
    if (!a.is_array() || a.array().size() != 2 || !a.array()[0].is_string() ||
        a.array()[0].string().empty()) {
      return template_error(kWrong);
    }
    Value text = TRY(present(a.array()[1]));
    if (!resolved(text)) return keep("Fn::Split", json::array({a.array()[0], std::move(text)}));
    if (!scalar(text)) return template_error(kWrong);
    const std::string whole = scalar_text(text);
    const std::string& delimiter = a.array()[0].string();
    Value out = json::array();
    size_t at = 0;
    for (size_t end; (end = whole.find(delimiter, at)) != std::string::npos; at = end + delimiter.size()) {
      out.push(whole.substr(at, end - at));
    }
    out.push(whole.substr(at));
    return Maybe(std::move(out));
  }

  Result<Maybe> find_in_map(const Value& a) {
    const Value* fallback =
        a.is_array() && a.array().size() == 4 ? a.array()[3].find("DefaultValue") : nullptr;
    if (!a.is_array() || (a.array().size() != 3 && fallback == nullptr)) {
      return template_error(
          "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for "
          "return value");
    }
    std::vector<std::string> keys;
    for (size_t i = 0; i < 3; ++i) {
      Value key = TRY(present(a.array()[i]));
      if (!scalar(key)) return template_error("Fn::FindInMap keys must be known before anything is made");
      keys.push_back(scalar_text(key));
    }
    const Value* v = s_.mappings == nullptr ? nullptr : s_.mappings->find(keys[0]);
    if (v != nullptr) v = v->find(keys[1]);
    if (v != nullptr) v = v->find(keys[2]);
    if (v == nullptr && fallback != nullptr) return value(*fallback);
    if (v == nullptr) {
      return template_error(fmt::format("Unable to get mapping for {}::{}::{}", keys[0], keys[1], keys[2]));
    }
    return Maybe(*v);
  }

  Result<Maybe> import_value(const Value& a) {
    Value name = TRY(present(a));
    if (!resolved(name)) return template_error("Fn::ImportValue must not depend on a resource");
    if (!scalar(name)) return template_error("the attribute in Fn::ImportValue must be a string");
    if (!s_.import_value) return keep("Fn::ImportValue", std::move(name));
    Value got = TRY(s_.import_value(scalar_text(name)));
    return Maybe(std::move(got));
  }

  Result<Maybe> cidr(const Value& a) {
    if (!a.is_array() || a.array().size() < 2 || a.array().size() > 3) {
      return template_error(
          "every Fn::Cidr object requires two or three parameters, (1) ipBlock (2) count and optionally (3) "
          "cidrBits");
    }
    Value parts = TRY(present(a));
    if (!resolved(parts)) return keep("Fn::Cidr", std::move(parts));
    auto count = parse_int(scalar_text(parts.array()[1]));
    auto bits =
        parts.array().size() > 2 ? parse_int(scalar_text(parts.array()[2])) : Result<int64_t>(int64_t{8});
    if (!count || !bits) return template_error("Fn::Cidr's count and cidrBits must be numbers");
    Value out = TRY(cidr_blocks(scalar_text(parts.array()[0]), *count, *bits));
    return Maybe(std::move(out));
  }

  const Scope& s_;
  int depth_ = 0;
};

}  // namespace

std::string scalar_text(const json::Value& v) {
  if (v.is_string()) return v.string();
  if (v.is_null() || v.is_array() || v.is_object()) return "";
  return json::print(v);
}

bool resolved(const json::Value& v) {
  if (v.is_array()) {
    for (const auto& one : v.array()) {
      if (!resolved(one)) return false;
    }
  } else if (v.is_object()) {
    const std::string name = intrinsic_name(v);
    if (!name.empty() && name != "Condition") return false;
    for (const auto& [key, member] : v.object()) {
      if (!resolved(member)) return false;
    }
  }
  return true;
}

Result<std::optional<json::Value>> evaluate(const Scope& scope, const json::Value& value) {
  return Evaluation(scope).value(value);
}

Result<json::Value> evaluate_properties(const Scope& scope, const json::Value& properties) {
  auto got = TRY(evaluate(scope, properties));
  if (!got || !got->is_object()) return json::object();
  return std::move(*got);
}

Result<std::map<std::string, bool>> evaluate_conditions(const Scope& scope, const json::Value& conditions) {
  Scope s = scope;
  s.conditions.clear();
  if (!conditions.is_object()) return s.conditions;
  size_t left = conditions.object().size();
  while (left > 0) {
    size_t made = 0;
    Error last;
    for (const auto& [name, value] : conditions.object()) {
      if (s.conditions.count(name) != 0) continue;
      auto b = Evaluation(s).condition(value);
      if (b) {
        s.conditions[name] = *b;
        ++made;
      } else {
        last = b.error();
        if (last.message.find("unresolved condition") == std::string::npos) return last;
      }
    }
    if (made == 0) return last;  // a condition that does not exist, or two that need each other
    left -= made;
  }
  return s.conditions;
}

Result<json::Value> cidr_blocks(const std::string& block, int64_t count, int64_t bits) {
  unsigned a = 0, b = 0, c = 0, d = 0, length = 0;
  int used = 0;
  if (sscanf(block.c_str(), "%3u.%3u.%3u.%3u/%2u%n", &a, &b, &c, &d, &length, &used) != 5 ||
      static_cast<size_t>(used) != block.size() || a > 255 || b > 255 || c > 255 || d > 255 || length > 32) {
    return template_error(fmt::format("Invalid IPv4 CIDR block in Fn::Cidr: {}", block));
  }
  if (count < 1 || count > 256) return template_error("Fn::Cidr count must be between 1 and 256");
  if (bits < 1 || bits > 32 - static_cast<int64_t>(length)) {
    return template_error("Fn::Cidr cidrBits must leave room in the block");
  }
  const uint64_t size = uint64_t{1} << bits;
  const uint64_t mask = length == 0 ? 0 : ~uint64_t{0} << (32 - length) & 0xffffffff;
  const uint64_t base = ((uint64_t{a} << 24) | (b << 16) | (c << 8) | d) & mask;
  if (static_cast<uint64_t>(count) * size > (uint64_t{1} << (32 - length))) {
    return template_error(
        fmt::format("Fn::Cidr: {} has no room for {} blocks of {} bits", block, count, bits));
  }
  json::Value out = json::array();
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t n = base + static_cast<uint64_t>(i) * size;
    out.push(fmt::format("{}.{}.{}.{}/{}", n >> 24 & 255, n >> 16 & 255, n >> 8 & 255, n & 255, 32 - bits));
  }
  return out;
}

}  // namespace bastide::services::cfn
