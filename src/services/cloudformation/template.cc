#include "services/cloudformation/template.h"

#include <fmt/format.h>

#include <map>

#include "base/bytes.h"
#include "services/cloudformation/template_text.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

bool alphanumeric(std::string_view name) {
  for (char c : name) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return false;
  }
  return !name.empty() && name.size() <= 255;
}

Error format_error(std::string what) { return validation("Template format error: " + std::move(what)); }

std::string text_of(const json::Value& v) {
  if (v.is_string()) return v.string();
  if (v.is_null() || v.is_object() || v.is_array()) return "";
  return json::print(v);
}

Result<const json::Value*> section(const json::Value& body, const char* name) {
  const json::Value* v = body.find(name);
  if (v == nullptr) return nullptr;
  if (!v->is_object()) return format_error(fmt::format("{} member must be a JSON object", name));
  return v;
}

Result<Parameter> parameter_of(const std::string& name, const json::Value& v) {
  if (!alphanumeric(name)) return format_error(fmt::format("Parameter name {} is non alphanumeric.", name));
  if (!v.is_object())
    return format_error(fmt::format("Every Parameters object must be a JSON object: {}", name));
  Parameter p;
  p.name = name;
  for (const auto& [key, value] : v.object()) {
    if (key == "Type") {
      p.type = text_of(value);
    } else if (key == "Description") {
      p.description = text_of(value);
    } else if (key == "Default") {
      if (value.is_object() || value.is_array() || value.is_null()) {
        return format_error(fmt::format("Every Default member must be a string."));
      }
      p.fallback = text_of(value);
    } else if (key == "NoEcho") {
      p.no_echo = lower(text_of(value)) == "true";
    } else if (key == "AllowedPattern") {
      p.allowed_pattern = text_of(value);
    } else if (key == "ConstraintDescription") {
      p.constraint_description = text_of(value);
    } else if (key == "AllowedValues") {
      if (!value.is_array()) return format_error("Every AllowedValues value must be a list.");
      p.allowed_values.emplace();
      for (const auto& one : value.array()) p.allowed_values->push_back(text_of(one));
    } else if (key == "MinLength" || key == "MaxLength") {
      auto n = parse_int(text_of(value));
      if (!n) return format_error(fmt::format("Every {} member must be a number.", key));
      (key == "MinLength" ? p.min_length : p.max_length) = *n;
    } else if (key == "MinValue" || key == "MaxValue") {
      char* end = nullptr;
      const std::string t = text_of(value);
      const double d = strtod(t.c_str(), &end);
      if (t.empty() || *end != 0) return format_error(fmt::format("Every {} member must be a number.", key));
      (key == "MinValue" ? p.min_value : p.max_value) = d;
    } else {
      return validation(fmt::format("Invalid template parameter property '{}'", key));
    }
  }
  if (p.type.empty()) {
    return format_error(fmt::format("Every Parameters object must contain a Type member. ({})", name));
  }
  static const std::set<std::string> kPlain = {"String", "Number", "List<Number>", "CommaDelimitedList",
                                               "AWS::SSM::Parameter::Name"};
  const bool aws = p.type.starts_with("AWS::EC2::") || p.type.starts_with("List<AWS::EC2::") ||
                   p.type == "AWS::Route53::HostedZone::Id" ||
                   p.type == "List<AWS::Route53::HostedZone::Id>" || p.type == "List<String>" ||
                   p.type.starts_with("AWS::SSM::Parameter::Value<");
  if (kPlain.count(p.type) == 0 && !aws) return format_error("Unrecognized parameter type: " + p.type);
  return p;
}

Result<std::string> policy_of(const ResourceDecl& r, const char* key, const json::Value& v) {
  const std::string value = text_of(v);
  if (value == "Delete" || value == "Retain" ||
      (value == "RetainExceptOnCreate" && std::string_view(key) == "DeletionPolicy")) {
    return value;
  }
  if (value == "Snapshot") {
    return format_error(fmt::format("{} of type Snapshot is not supported for resource {} of type {}.", key,
                                    r.logical, r.type));
  }
  return format_error(
      fmt::format("Unrecognized {} {} for resource {}", key, value.empty() ? "value" : value, r.logical));
}

Result<ResourceDecl> resource_of(const std::string& logical, const json::Value& v) {
  if (!alphanumeric(logical))
    return format_error(fmt::format("Resource name {} is non alphanumeric.", logical));
  if (!v.is_object()) return format_error("Any Resources member must be an object.");
  ResourceDecl r;
  r.logical = logical;
  r.type = v.get("Type");
  if (r.type.empty())
    return format_error(
        fmt::format("[/Resources/{}] Every Resources object must contain a Type member.", logical));
  for (const auto& [key, value] : v.object()) {
    if (key == "Type" || key == "Description") continue;
    if (key == "Properties") {
      if (!value.is_object() && !value.is_null()) {
        return format_error(fmt::format("[/Resources/{}/Properties] Properties must be an object.", logical));
      }
      if (value.is_object()) r.properties = value;
    } else if (key == "Metadata") {
      r.metadata = value;
    } else if (key == "Condition") {
      r.condition = text_of(value);
    } else if (key == "DependsOn") {
      if (value.is_string()) {
        r.depends_on.push_back(value.string());
      } else if (value.is_array()) {
        for (const auto& one : value.array()) r.depends_on.push_back(text_of(one));
      } else {
        return format_error("Every DependsOn value must be a string.");
      }
    } else if (key == "DeletionPolicy") {
      r.deletion_policy = TRY(policy_of(r, "DeletionPolicy", value));
    } else if (key == "UpdateReplacePolicy") {
      r.update_replace_policy = TRY(policy_of(r, "UpdateReplacePolicy", value));
    } else if (key == "CreationPolicy" && r.type == "AWS::CloudFormation::WaitCondition") {
      if (!value.is_object()) return format_error("Every CreationPolicy value must be an object.");
      r.creation_policy = value;
    } else if (key == "CreationPolicy" || key == "UpdatePolicy") {
      return format_error(fmt::format("{} attribute is not supported for resource type {}.", key, r.type));
    } else {
      return validation(fmt::format("Invalid template resource property '{}'", key));
    }
  }
  return r;
}

Result<OutputDecl> output_of(const std::string& name, const json::Value& v) {
  if (!alphanumeric(name)) return format_error(fmt::format("Output name {} is non alphanumeric.", name));
  if (!v.is_object() || !v.has("Value")) {
    return format_error(fmt::format("Every Outputs member must contain a Value object ({})", name));
  }
  OutputDecl o;
  o.name = name;
  for (const auto& [key, value] : v.object()) {
    if (key == "Value") {
      o.value = value;
    } else if (key == "Description") {
      o.description = text_of(value);
    } else if (key == "Condition") {
      o.condition = text_of(value);
    } else if (key == "Export") {
      const json::Value* n = value.find("Name");
      if (n == nullptr)
        return format_error(fmt::format(
            "Output {} is malformed. The Name field of every Export member must be specified.", name));
      o.export_name = *n;
    } else {
      return validation(fmt::format("Invalid template output property '{}'", key));
    }
  }
  return o;
}

void each_reference(const json::Value& v, std::set<std::string>& out) {
  if (v.is_array()) {
    for (const auto& one : v.array()) each_reference(one, out);
  } else if (v.is_object()) {
    const std::string name = intrinsic_name(v);
    if (name == "Ref") {
      if (v.object()[0].second.is_string()) out.insert(v.object()[0].second.string());
      return;
    }
    if (name == "Fn::GetAtt") {
      if (auto parts = getatt_parts(v.object()[0].second)) out.insert(parts->first);
      return;
    }
    if (name == "Fn::Sub") {
      const json::Value& arg = v.object()[0].second;
      const bool with_map = arg.is_array() && arg.array().size() == 2;
      const std::string text = with_map ? text_of(arg.array()[0]) : text_of(arg);
      for (const auto& variable : sub_variables(text)) {
        if (with_map && arg.array()[1].has(variable)) continue;
        out.insert(
            variable.substr(0, variable.starts_with("AWS::") ? std::string::npos : variable.find('.')));
      }
      if (with_map) each_reference(arg.array()[1], out);
      return;
    }
    for (const auto& [key, value] : v.object()) each_reference(value, out);
  }
}

bool pseudo(const std::string& name) {
  static const std::set<std::string> kAll = {"AWS::AccountId", "AWS::NotificationARNs", "AWS::NoValue",
                                             "AWS::Partition", "AWS::Region",           "AWS::StackId",
                                             "AWS::StackName", "AWS::URLSuffix"};
  return kAll.count(name) != 0;
}

Result<void> check_references(const Template& t) {
  auto missing = [&](const json::Value& v, bool resources_too) {
    std::vector<std::string> out;
    for (const auto& name : references(v)) {
      if (pseudo(name) || t.parameter(name) != nullptr || (resources_too && t.resource(name) != nullptr))
        continue;
      out.push_back(name);
    }
    return out;
  };
  std::set<std::string> unresolved;
  for (const auto& r : t.resources) {
    for (auto& name : missing(r.properties, true)) unresolved.insert(name);
    for (const auto& name : r.depends_on) {
      if (t.resource(name) == nullptr) unresolved.insert(name);
    }
  }
  if (!unresolved.empty()) {
    return format_error(
        fmt::format("Unresolved resource dependencies [{}] in the Resources block of the template",
                    join(unresolved, ", ")));
  }
  for (const auto& o : t.outputs) {
    for (const auto* v : {&o.value, &o.export_name}) {
      for (auto& name : missing(*v, true)) unresolved.insert(name);
    }
  }
  if (!unresolved.empty()) {
    return format_error(
        fmt::format("Unresolved resource dependencies [{}] in the Outputs block of the template",
                    join(unresolved, ", ")));
  }
  const auto in_conditions = missing(t.conditions, false);
  if (!in_conditions.empty()) {
    return validation(
        fmt::format("Template error: every Ref object in the Conditions block must refer to a parameter: {}",
                    join(in_conditions, ", ")));
  }
  auto known_condition = [&](const std::string& name) { return name.empty() || t.conditions.has(name); };
  for (const auto& r : t.resources) {
    if (!known_condition(r.condition)) {
      return format_error(
          fmt::format("Unresolved condition {} in the Resources block of the template", r.condition));
    }
  }
  for (const auto& o : t.outputs) {
    if (!known_condition(o.condition)) {
      return format_error(
          fmt::format("Unresolved condition {} in the Outputs block of the template", o.condition));
    }
  }
  return {};
}

Result<void> check_attributes(const Template& t, const json::Value& v) {
  if (v.is_array()) {
    for (const auto& one : v.array()) TRY(check_attributes(t, one));
    return {};
  }
  if (!v.is_object()) return {};
  auto check = [&](const std::string& logical, const std::string& attribute) -> Result<void> {
    const ResourceDecl* r = t.resource(logical);
    if (r == nullptr) {
      return validation(
          fmt::format("Template error: instance of Fn::GetAtt references undefined resource {}", logical));
    }
    if (!has_attribute(r->type, attribute)) {
      return validation(
          fmt::format("Template error: resource {} does not support attribute type {} in Fn::GetAtt", logical,
                      attribute));
    }
    return {};
  };
  const std::string name = intrinsic_name(v);
  if (name == "Fn::GetAtt") {
    auto parts = getatt_parts(v.object()[0].second);
    if (!parts) {
      return validation(
          "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name "
          "and the resource attribute");
    }
    return check(parts->first, parts->second);
  }
  if (name == "Fn::Sub") {
    const json::Value& arg = v.object()[0].second;
    const bool with_map = arg.is_array() && arg.array().size() == 2;
    for (const auto& variable : sub_variables(with_map ? text_of(arg.array()[0]) : text_of(arg))) {
      const size_t dot = variable.find('.');
      if (dot == std::string::npos || variable.starts_with("AWS::") ||
          (with_map && arg.array()[1].has(variable)))
        continue;
      TRY(check(variable.substr(0, dot), variable.substr(dot + 1)));
    }
  }
  for (const auto& [key, value] : v.object()) TRY(check_attributes(t, value));
  return {};
}

}  // namespace

Error validation(std::string message) { return fault("ValidationError", std::move(message)); }

const ResourceDecl* Template::resource(std::string_view logical) const {
  for (const auto& r : resources) {
    if (r.logical == logical) return &r;
  }
  return nullptr;
}

const Parameter* Template::parameter(std::string_view name) const {
  for (const auto& p : parameters) {
    if (p.name == name) return &p;
  }
  return nullptr;
}

std::string intrinsic_name(const json::Value& v) {
  if (!v.is_object() || v.object().size() != 1) return "";
  const std::string& key = v.object()[0].first;
  return key == "Ref" || key == "Condition" || key.starts_with("Fn::") ? key : "";
}

std::optional<std::pair<std::string, std::string>> getatt_parts(const json::Value& a) {
  if (a.is_string()) {
    const size_t dot = a.string().find('.');
    if (dot == std::string::npos || dot == 0) return std::nullopt;
    return std::pair{a.string().substr(0, dot), a.string().substr(dot + 1)};
  }
  if (a.is_array() && a.array().size() == 2 && a.array()[0].is_string() && a.array()[1].is_string()) {
    return std::pair{a.array()[0].string(), a.array()[1].string()};
  }
  return std::nullopt;
}

std::vector<std::string> sub_variables(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 2)) {
    const size_t end = text.find('}', at);
    if (end == std::string::npos) break;
    const std::string name(trim(std::string_view(text).substr(at + 2, end - at - 2)));
    if (!name.empty() && name[0] != '!') out.push_back(name);
  }
  return out;
}

std::set<std::string> references(const json::Value& value) {
  std::set<std::string> out;
  each_reference(value, out);
  return out;
}

Result<void> check_cycles(const std::vector<std::pair<std::string, std::set<std::string>>>& depends) {
  std::map<std::string, std::set<std::string>> waiting(depends.begin(), depends.end());
  for (auto& [name, on] : waiting) {
    std::erase_if(on, [&](const std::string& d) { return waiting.count(d) == 0; });
  }
  bool progress = true;
  while (progress) {
    progress = false;
    for (auto it = waiting.begin(); it != waiting.end();) {
      if (!it->second.empty()) {
        ++it;
        continue;
      }
      const std::string done = it->first;
      it = waiting.erase(it);
      for (auto& [name, on] : waiting) on.erase(done);
      progress = true;
    }
  }
  if (waiting.empty()) return {};
  // What only hangs on a cycle is not part of it: walk along dependencies until a name comes again.
  std::vector<std::string> path{waiting.begin()->first};
  while (true) {
    const std::string next = *waiting.at(path.back()).begin();
    for (size_t i = 0; i < path.size(); ++i) {
      if (path[i] == next) {
        path.erase(path.begin(), path.begin() + static_cast<ptrdiff_t>(i));
        return validation(fmt::format("Circular dependency between resources: [{}]", join(path, ", ")));
      }
    }
    path.push_back(next);
  }
}

Result<Template> parse_template(const std::string& text) {
  Template t;
  t.body = TRY(read_template_text(text));
  if (!t.body.is_object()) return format_error("unsupported structure.");
  static const std::set<std::string> kSections = {"AWSTemplateFormatVersion",
                                                  "Description",
                                                  "Metadata",
                                                  "Parameters",
                                                  "Mappings",
                                                  "Conditions",
                                                  "Rules",
                                                  "Resources",
                                                  "Outputs"};
  std::vector<std::string> strange;
  for (const auto& [key, value] : t.body.object()) {
    if (key == "Transform" || key == "Hooks") {
      return validation(fmt::format("Template section {} is not supported", key));
    }
    if (kSections.count(key) == 0) strange.push_back(key);
  }
  if (!strange.empty()) {
    return validation(fmt::format("Invalid template property or properties [{}]", join(strange, ", ")));
  }
  if (const json::Value* version = t.body.find("AWSTemplateFormatVersion")) {
    if (text_of(*version) != "2010-09-09") {
      return format_error(fmt::format("Unsupported template version {}", text_of(*version)));
    }
  }
  t.description = t.body.get("Description");
  if (t.description.size() > 1024) return format_error("'Description' length is greater than 1024.");
  if (const auto* v = TRY(section(t.body, "Metadata"))) t.metadata = *v;
  if (const auto* v = TRY(section(t.body, "Mappings"))) t.mappings = *v;
  if (const auto* v = TRY(section(t.body, "Conditions"))) t.conditions = *v;
  if (const auto* v = TRY(section(t.body, "Rules"))) t.rules = *v;
  if (t.mappings.is_object() && t.mappings.object().size() > kMaxMappings) {
    return format_error(fmt::format("Number of mappings, {}, is greater than maximum allowed, {}",
                                    t.mappings.object().size(), kMaxMappings));
  }
  if (const auto* v = TRY(section(t.body, "Parameters"))) {
    if (v->object().size() > kMaxParameters) {
      return format_error(fmt::format("Number of parameters, {}, is greater than maximum allowed, {}",
                                      v->object().size(), kMaxParameters));
    }
    for (const auto& [name, value] : v->object()) {
      auto p = TRY(parameter_of(name, value));
      t.parameters.push_back(std::move(p));
    }
  }
  const auto* resources = TRY(section(t.body, "Resources"));
  if (resources == nullptr || resources->object().empty()) {
    return format_error("At least one Resources member must be defined.");
  }
  if (resources->object().size() > kMaxResources) {
    return format_error(fmt::format("Number of resources, {}, is greater than maximum allowed, {}",
                                    resources->object().size(), kMaxResources));
  }
  std::set<std::string> unknown;
  for (const auto& [logical, value] : resources->object()) {
    auto r = TRY(resource_of(logical, value));
    if (!known_type(r.type)) unknown.insert(r.type);
    t.resources.push_back(std::move(r));
  }
  if (!unknown.empty()) {
    return format_error(fmt::format("Unrecognized resource types: [{}]", join(unknown, ", ")));
  }
  if (const auto* v = TRY(section(t.body, "Outputs"))) {
    if (v->object().size() > kMaxOutputs) {
      return format_error(fmt::format("Number of outputs, {}, is greater than maximum allowed, {}",
                                      v->object().size(), kMaxOutputs));
    }
    for (const auto& [name, value] : v->object()) {
      auto o = TRY(output_of(name, value));
      t.outputs.push_back(std::move(o));
    }
  }
  TRY(check_references(t));
  TRY(check_attributes(t, t.body));
  std::vector<std::pair<std::string, std::set<std::string>>> depends;
  for (const auto& r : t.resources) {
    TRY(check_properties(r.type, r.logical, r.properties));
    std::set<std::string> on = references(r.properties);
    on.insert(r.depends_on.begin(), r.depends_on.end());
    depends.emplace_back(r.logical, std::move(on));
    if (r.type.starts_with("AWS::IAM::")) {
      t.iam = true;
      for (const char* key :
           {"RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName"}) {
        if (r.properties.has(key) && r.type != "AWS::IAM::AccessKey" &&
            r.type != "AWS::IAM::UserToGroupAddition") {
          t.named_iam = true;
        }
      }
    }
  }
  TRY(check_cycles(depends));
  return t;
}

}  // namespace bastide::services::cfn
