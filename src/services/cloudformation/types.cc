#include "services/cloudformation/types.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/bytes.h"
#include "services/cloudformation/template.h"

extern const char* const kResourceTypes;

namespace bastide::services::cfn {
namespace {

const json::Value& schemas() {
  static const json::Value all = [] {
    auto parsed = json::parse(kResourceTypes);
    CHECK(parsed.ok());
    // It has no schema: the CDK writes it into every template, and it makes nothing.
    (*parsed)["AWS::CDK::Metadata"] =
        json::object({{"properties", json::object({{"Analytics", json::object({{"type", "string"}})}})}});
    return std::move(*parsed);
  }();
  return all;
}

// Attributes that AWS documents beside the read-only ones of the schema.
bool extra_attribute(const std::string& type, const std::string& attribute) {
  static const std::set<std::pair<std::string, std::string>> kExtra = {
      {"AWS::EC2::VPC", "CidrBlock"},          {"AWS::EC2::Subnet", "AvailabilityZone"},
      {"AWS::EC2::Subnet", "CidrBlock"},       {"AWS::EC2::Subnet", "VpcId"},
      {"AWS::EC2::SecurityGroup", "VpcId"},    {"AWS::SSM::Parameter", "Type"},
      {"AWS::SSM::Parameter", "Value"},        {"AWS::Organizations::Account", "AccountName"},
      {"AWS::Organizations::Account", "Email"}};
  return kExtra.count({type, attribute}) != 0;
}

class Checker {
 public:
  Checker(const json::Value& schema, bool resolved) : schema_(schema), resolved_(resolved) {}

  std::vector<std::string> problems;

  void object(const json::Value& node, json::Value& value, const std::string& path) {
    const json::Value* properties = node.find("properties");
    for (const auto& required : node.get_array("required")) {
      if (!value.has(required.string()))
        add(path, fmt::format("required key [{}] not found", required.string()));
    }
    for (auto& [key, member] : value.object()) {
      const json::Value* known = properties == nullptr ? nullptr : properties->find(key);
      if (known == nullptr) {
        if (!node.get_bool("map")) add(path, fmt::format("extraneous key [{}] is not permitted", key));
      } else {
        check(*known, member, path + "/" + key);
      }
    }
  }

 private:
  void add(const std::string& path, const std::string& what) {
    if (problems.size() < 20) problems.push_back("#" + path + ": " + what);
  }

  void expected(const std::string& path, const char* wanted, const json::Value& found) {
    add(path, fmt::format("expected type: {}, found: {}", wanted,
                          found.is_object()   ? "JSONObject"
                          : found.is_array()  ? "JSONArray"
                          : found.is_string() ? "String"
                          : found.is_bool()   ? "Boolean"
                          : found.is_null()   ? "Null"
                                              : "Number"));
  }

  void check(const json::Value& given, json::Value& v, const std::string& path) {
    if (!resolved_ && !intrinsic_name(v).empty()) return;
    const json::Value* node = &given;
    for (int hops = 0; node->has("ref") && hops < 8; ++hops) {
      const json::Value* definitions = schema_.find("definitions");
      const json::Value* next = definitions == nullptr ? nullptr : definitions->find(node->get("ref"));
      CHECK(next != nullptr);
      node = next;
    }
    const json::Value* type = node->find("type");
    if (type == nullptr || type->is_array()) {  // policy documents and their like: an object, or its text
      if (type != nullptr && !v.is_object() && !v.is_string()) expected(path, "JSONObject", v);
      return;
    }
    const std::string& kind = type->string();
    if (kind == "object") {
      if (!v.is_object()) {
        expected(path, "JSONObject", v);
      } else if (node->has("properties") || node->has("required")) {
        object(*node, v, path);
      }
    } else if (kind == "array") {
      if (!v.is_array()) {
        expected(path, "JSONArray", v);
        return;
      }
      if (const json::Value* items = node->find("items")) {
        int i = 0;
        for (auto& item : v.array()) check(*items, item, fmt::format("{}/{}", path, i++));
      }
    } else if (kind == "string") {
      text(*node, v, path);
    } else if (kind == "boolean") {
      if (v.is_string() && (v.string() == "true" || v.string() == "false")) v = v.string() == "true";
      if (!v.is_bool()) expected(path, "Boolean", v);
    } else if (kind == "integer") {
      if (v.is_string()) {
        if (auto n = parse_int(v.string())) v = *n;
      }
      if (v.is_double() && v.number() == std::floor(v.number()) && std::fabs(v.number()) < 9e15) {
        v = static_cast<int64_t>(v.number());
      }
      if (!v.is_int()) expected(path, "Integer", v);
    } else if (kind == "number") {
      if (v.is_string()) {
        auto n = json::parse(v.string());
        if (n && n->is_number()) v = *n;
      }
      if (!v.is_number()) expected(path, "Number", v);
    }
  }

  void text(const json::Value& node, json::Value& v, const std::string& path) {
    if (v.is_bool() || v.is_number()) v = json::print(v);
    if (!v.is_string()) {
      expected(path, "String", v);
      return;
    }
    const json::Value* words = node.find("enum");
    if (words == nullptr || (!resolved_ && v.string().find("{{resolve:") != std::string::npos)) return;
    for (const auto& word : words->array()) {
      if (word.is_string() && word.string() == v.string()) return;
    }
    add(path, fmt::format("{} is not a valid enum value", v.string()));
  }

  const json::Value& schema_;
  bool resolved_;
};

Result<json::Value> checked(const std::string& type, const std::string& logical, json::Value properties,
                            bool resolved) {
  const json::Value* schema = schemas().find(type);
  if (schema == nullptr) {
    return validation(fmt::format("Template format error: Unrecognized resource types: [{}]", type));
  }
  Checker checker(*schema, resolved);
  checker.object(*schema, properties, "");
  if (checker.problems.empty()) return properties;
  return validation(fmt::format("Properties validation failed for resource {} with message:\n[{}]", logical,
                                join(checker.problems, ", ")));
}

const json::Value* follow(const json::Value& schema, const json::Value* node) {
  for (int hops = 0; node != nullptr && node->has("ref") && hops < 8; ++hops) {
    const json::Value* definitions = schema.find("definitions");
    node = definitions == nullptr ? nullptr : definitions->find(node->get("ref"));
  }
  return node;
}

std::string camel(std::string key) {
  if (!key.empty() && key[0] >= 'A' && key[0] <= 'Z') key[0] = static_cast<char>(key[0] - 'A' + 'a');
  return key;
}

json::Value camel_value(const json::Value& schema, const json::Value* node, const json::Value& v) {
  node = follow(schema, node);
  if (v.is_array()) {
    json::Value out = json::array();
    const json::Value* items = node == nullptr ? nullptr : node->find("items");
    for (const auto& one : v.array()) out.push(camel_value(schema, items, one));
    return out;
  }
  if (!v.is_object()) return v;
  const json::Value* properties = node == nullptr ? nullptr : node->find("properties");
  if (properties == nullptr) return v;
  json::Value out = json::object();
  for (const auto& [key, value] : v.object())
    out[camel(key)] = camel_value(schema, properties->find(key), value);
  return out;
}

}  // namespace

bool known_type(const std::string& type) { return schemas().has(type); }

std::vector<std::string> all_types() {
  std::vector<std::string> out;
  for (const auto& [type, schema] : schemas().object()) out.push_back(type);
  return out;
}

bool has_attribute(const std::string& type, const std::string& attribute) {
  const json::Value* schema = schemas().find(type);
  if (schema == nullptr) return false;
  for (const auto& name : schema->get_array("attributes")) {
    if (name.string() == attribute) return true;
  }
  if (type == "AWS::CloudFormation::Stack" && attribute.starts_with("Outputs.")) return true;
  return extra_attribute(type, attribute);
}

Result<void> check_properties(const std::string& type, const std::string& logical,
                              const json::Value& properties) {
  TRY(checked(type, logical, properties, false));
  return {};
}

Result<json::Value> coerce_properties(const std::string& type, const std::string& logical,
                                      json::Value properties) {
  return checked(type, logical, std::move(properties), true);
}

std::vector<std::string> changed_properties(const json::Value& before, const json::Value& after) {
  std::vector<std::string> out;
  if (after.is_object()) {
    for (const auto& [key, value] : after.object()) {
      const json::Value* old = before.find(key);
      if (old == nullptr || !(*old == value)) out.push_back(key);
    }
  }
  if (before.is_object()) {
    for (const auto& [key, value] : before.object()) {
      if (!after.has(key)) out.push_back(key);
    }
  }
  return out;
}

bool needs_replacement(const std::string& type, const std::string& property) {
  const json::Value* schema = schemas().find(type);
  if (schema == nullptr) return false;
  for (const auto& name : schema->get_array("replace")) {
    if (name.string() == property) return true;
  }
  return false;
}

std::vector<std::string> unreadable_properties(const std::string& type) {
  std::vector<std::string> out;
  const json::Value* schema = schemas().find(type);
  if (schema == nullptr) return out;
  for (const auto& name : schema->get_array("unreadable")) out.push_back(name.string());
  if (type == "AWS::IAM::User") out.emplace_back("LoginProfile");
  return out;
}

std::string type_arn(const std::string& type) {
  return "arn:aws:cloudformation:us-east-1::type/resource/" + replace_all(type, "::", "-");
}

bool mutable_type(const std::string& type) {
  const json::Value* schema = schemas().find(type);
  return schema != nullptr && schema->get_object("properties").size() > schema->get_array("replace").size();
}

namespace {

// References of the pruned schema, as JSON Schema writes them.
json::Value standard(const json::Value& v) {
  if (v.is_array()) {
    json::Value out = json::array();
    for (const auto& one : v.array()) out.push(standard(one));
    return out;
  }
  if (!v.is_object()) return v;
  json::Value out = json::object();
  for (const auto& [key, value] : v.object()) {
    if (key == "ref" && value.is_string()) {
      out["$ref"] = "#/definitions/" + value.string();
    } else {
      out[key] = standard(value);
    }
  }
  return out;
}

json::Value pointers(const json::Value& schema, const char* list) {
  json::Value out = json::array();
  for (const auto& name : schema.get_array(list)) out.push("/properties/" + name.string());
  return out;
}

}  // namespace

std::string type_schema(const std::string& type) {
  const json::Value* schema = schemas().find(type);
  if (schema == nullptr) return "{}";
  json::Value out = json::object({{"typeName", type}, {"additionalProperties", false}});
  for (const char* key : {"properties", "required", "definitions"}) {
    if (const json::Value* v = schema->find(key)) out[key] = standard(*v);
  }
  out["createOnlyProperties"] = pointers(*schema, "replace");
  out["readOnlyProperties"] = pointers(*schema, "attributes");
  out["writeOnlyProperties"] = pointers(*schema, "unreadable");
  return json::print(out);
}

std::string tags_kind(const std::string& type) {
  const json::Value* schema = schemas().find(type);
  const json::Value* properties = schema == nullptr ? nullptr : schema->find("properties");
  const json::Value* tags = properties == nullptr ? nullptr : follow(*schema, properties->find("Tags"));
  return tags == nullptr ? "" : tags->get("type");
}

json::Value camel_keys(const std::string& type, const std::string& property, const json::Value& value) {
  const json::Value* schema = schemas().find(type);
  const json::Value* properties = schema == nullptr ? nullptr : schema->find("properties");
  return camel_value(schema == nullptr ? value : *schema,
                     properties == nullptr ? nullptr : properties->find(property), value);
}

}  // namespace bastide::services::cfn
