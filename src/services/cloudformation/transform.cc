#include "services/cloudformation/transform.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/cloudformation/evaluate.h"
#include "services/cloudformation/template.h"
#include "services/cloudformation/template_text.h"

namespace bastide::services::cfn {
namespace {

constexpr const char* kLanguage = "AWS::LanguageExtensions";
constexpr const char* kInclude = "AWS::Include";
constexpr const char* kLoop = "Fn::ForEach::";
constexpr int kMaxDepth = 64, kMaxLoops = 5;  // loops in loops, as AWS allows
constexpr size_t kMaxNodes = 100'000;         // of what comes out
constexpr size_t kMaxKeys = 2'000;            // of one map: four times what a template may hold

using json::Value;

Error loop_error(const std::string& why) {
  return validation("Transform AWS::LanguageExtensions failed with: " + why);
}

std::string substituted(const std::string& text, const std::map<std::string, std::string>& loops) {
  std::string out = text;
  for (const auto& [name, value] : loops) {
    out = replace_all(out, "${" + name + "}", value);
    // &{x} leaves out what a logical id cannot have.
    if (out.find("&{" + name + "}") != std::string::npos) {
      std::string plain;
      for (char c : value) {
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) plain += c;
      }
      out = replace_all(out, "&{" + name + "}", plain);
    }
  }
  return out;
}

class Expander {
 public:
  Expander(const Value& body, const TransformInput& in) : body_(body), in_(in) {}

  Result<Value> value(const Value& v, std::map<std::string, std::string>& loops, int depth) {
    if (depth > kMaxDepth) return loop_error("the template is nested too deeply");
    if (++nodes_ > kMaxNodes) return loop_error("the loops make too much of the template");
    if (v.is_string()) return Value(substituted(v.string(), loops));
    if (v.is_array()) {
      Value out = json::array();
      for (const auto& one : v.array()) {
        Value got = TRY(value(one, loops, depth + 1));
        out.push(std::move(got));
      }
      return out;
    }
    if (!v.is_object()) return v;
    if (intrinsic_name(v) == "Ref" && v.object()[0].second.is_string()) {
      auto it = loops.find(v.object()[0].second.string());
      if (it != loops.end()) return Value(it->second);
    }
    Value out = json::object();
    for (const auto& [key, member] : v.object()) {
      if (key.starts_with(kLoop)) {
        TRY(loop(key, member, loops, depth, out));
        continue;
      }
      const std::string name = substituted(key, loops);
      if (out.has(name)) return loop_error(fmt::format("the key {} is made twice", name));
      Value got = TRY(value(member, loops, depth + 1));
      out[name] = std::move(got);
    }
    return out;
  }

 private:
  // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html
  Result<void> loop(const std::string& key, const Value& argument, std::map<std::string, std::string>& loops,
                    int depth, Value& out) {
    if (!argument.is_array() || argument.array().size() != 3 || !argument.array()[0].is_string() ||
        !argument.array()[2].is_object()) {
      return loop_error(key + " layout is incorrect: it needs an identifier, a collection and an object");
    }
    const std::string name = argument.array()[0].string();
    if (loops.count(name) != 0) return loop_error(key + " uses the identifier " + name + " of an outer loop");
    if (const Value* parameters = body_.find("Parameters"); parameters != nullptr && parameters->has(name))
      return loop_error(key + " uses the identifier " + name + ", which is a parameter's name");
    if (loops.size() >= kMaxLoops) return loop_error("loops may be nested five deep at most");
    const auto all = TRY(collection(key, argument.array()[1], loops));
    for (const auto& one : all) {
      loops[name] = one;
      auto got = value(argument.array()[2], loops, depth + 1);
      loops.erase(name);
      if (!got) return std::move(got).error();
      if (out.object().size() + got->object().size() > kMaxKeys)
        return loop_error("the loops make too much of the template");
      for (auto& [k, v] : got->object()) {
        if (out.has(k)) return loop_error(fmt::format("{} makes the key {} twice", key, k));
        out[k] = std::move(v);
      }
    }
    return {};
  }

  Result<std::vector<std::string>> collection(const std::string& key, const Value& given,
                                              const std::map<std::string, std::string>& loops) {
    std::vector<std::string> out;
    if (intrinsic_name(given) == "Ref" && given.object()[0].second.is_string()) {
      const auto text = TRY(parameter(given.object()[0].second.string(), key));
      for (auto part : split(text, ',')) out.emplace_back(trim(part));
      return out;
    }
    if (!given.is_array()) return loop_error(key + " needs a list, or Ref to a parameter that is one");
    for (const auto& one : given.array()) {
      if (intrinsic_name(one) == "Ref" && one.object()[0].second.is_string()) {
        const std::string& name = one.object()[0].second.string();
        if (auto it = loops.find(name); it != loops.end()) {
          out.push_back(it->second);
          continue;
        }
        const auto text = TRY(parameter(name, key));
        out.push_back(text);
      } else if (one.is_string() || one.is_number() || one.is_bool()) {
        out.push_back(substituted(scalar_text(one), loops));
      } else {
        return loop_error(key + " collects texts, and Ref to parameters");
      }
    }
    return out;
  }

  Result<std::string> parameter(const std::string& name, const std::string& key) {
    if (name == "AWS::Region") return in_.region;
    if (name == "AWS::AccountId") return in_.account;
    if (name == "AWS::StackName") return in_.stack_name;
    const Value* parameters = body_.find("Parameters");
    const Value* declared = parameters == nullptr ? nullptr : parameters->find(name);
    if (declared == nullptr)
      return loop_error(fmt::format("{} refers to {}, which is no parameter", key, name));
    if (auto it = in_.parameters.find(name); it != in_.parameters.end()) return it->second;
    const Value* fallback = declared->find("Default");
    if (fallback == nullptr) return loop_error(fmt::format("{} refers to {}, which has no value", key, name));
    return scalar_text(*fallback);
  }

 public:
  // DeletionPolicy: !Ref Policy
  Result<void> policies(Value& body) {
    Value* resources = body.find("Resources");
    if (resources == nullptr || !resources->is_object()) return {};
    for (auto& [logical, r] : resources->object()) {
      for (const char* name : {"DeletionPolicy", "UpdateReplacePolicy"}) {
        Value* v = r.is_object() ? r.find(name) : nullptr;
        if (v == nullptr || intrinsic_name(*v) != "Ref" || !v->object()[0].second.is_string()) continue;
        const std::string text = TRY(parameter(v->object()[0].second.string(), std::string(name)));
        *v = text;
      }
    }
    return {};
  }

 private:
  const Value& body_;
  const TransformInput& in_;
  size_t nodes_ = 0;
};

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-include.html
class Includer {
 public:
  explicit Includer(const TransformInput& in) : in_(in) {}

  Result<Value> snippet(const Value& transform) {
    const Value* parameters = transform.find("Parameters");
    const Value* location = parameters == nullptr ? nullptr : parameters->find("Location");
    std::string at;
    if (location != nullptr && intrinsic_name(*location) == "Ref" &&
        location->object()[0].second.is_string()) {
      auto it = in_.parameters.find(location->object()[0].second.string());
      if (it != in_.parameters.end()) at = it->second;
    } else if (location != nullptr && location->is_string()) {
      at = location->string();
    }
    if (at.empty()) return failed("the location parameter is missing or has no value");
    if (!in_.fetch) return failed("the location " + at + " cannot be read here");
    auto text = in_.fetch(at);
    if (!text)
      return failed("The location parameter is not a valid S3 uri: " + at + " (" + text.error().message +
                    ")");
    auto body = read_template_text(*text);
    if (!body) return failed(at + ": " + body.error().message);
    if (!body->is_object()) return failed(at + " does not hold keys and values");
    return std::move(*body);
  }

  Result<void> walk(Value& v, int depth) {
    if (depth > kMaxDepth) return failed("the template is nested too deeply");
    if (v.is_array()) {
      for (auto& one : v.array()) TRY(walk(one, depth + 1));
      return {};
    }
    if (!v.is_object()) return {};
    if (const Value* t = v.find("Fn::Transform"); t != nullptr) {
      if (t->get("Name") != kInclude)
        return validation(fmt::format("No transform named {} found.", t->get("Name")));
      Value got = TRY(snippet(*t));
      v.remove("Fn::Transform");
      for (auto& [key, member] : got.object()) {
        if (!v.has(key)) v[key] = std::move(member);
      }
    }
    for (auto& [key, member] : v.object()) TRY(walk(member, depth + 1));
    return {};
  }

  static Error failed(const std::string& why) {
    return validation("Transform AWS::Include failed with: " + why);
  }

 private:
  const TransformInput& in_;
};

bool has_transform(const Value& v, int depth = 0) {
  if (depth > kMaxDepth) return false;
  if (v.is_array())
    return std::any_of(v.array().begin(), v.array().end(),
                       [&](const Value& o) { return has_transform(o, depth + 1); });
  if (!v.is_object()) return false;
  return v.has("Fn::Transform") || std::any_of(v.object().begin(), v.object().end(), [&](const auto& m) {
           return has_transform(m.second, depth + 1);
         });
}

}  // namespace

std::vector<std::string> declared_transforms(const Value& body) {
  std::vector<std::string> out;
  const Value* t = body.find("Transform");
  auto add = [&](const Value& one) { out.push_back(one.is_object() ? one.get("Name") : scalar_text(one)); };
  if (t != nullptr && t->is_array()) {
    for (const auto& one : t->array()) add(one);
  } else if (t != nullptr) {
    add(*t);
  }
  if (has_transform(body) && std::find(out.begin(), out.end(), kInclude) == out.end())
    out.emplace_back(kInclude);
  return out;
}

Result<Value> expand(Value body, const TransformInput& in) {
  const auto names = declared_transforms(body);
  for (const auto& name : names) {
    if (name == kLanguage || name == kInclude) continue;
    return validation(name == "AWS::Serverless-2016-10-31"
                          ? "Transform AWS::Serverless-2016-10-31 is not supported: there is no Lambda here"
                          : fmt::format("No transform named {} found.", name));
  }
  Includer includer(in);
  if (const Value* t = body.find("Transform")) {
    const Value list = t->is_array() ? *t : json::array({*t});
    body.remove("Transform");
    for (const auto& one : list.array()) {
      if (!one.is_object() || one.get("Name") != kInclude) continue;
      Value got = TRY(includer.snippet(one));
      for (auto& [key, member] : got.object()) {
        if (!body.has(key)) body[key] = std::move(member);
      }
    }
  }
  TRY(includer.walk(body, 0));
  if (std::find(names.begin(), names.end(), kLanguage) == names.end()) return body;
  const Value original = body;
  Expander expander(original, in);
  std::map<std::string, std::string> loops;
  Value out = TRY(expander.value(original, loops, 0));
  TRY(expander.policies(out));
  return out;
}

}  // namespace bastide::services::cfn
