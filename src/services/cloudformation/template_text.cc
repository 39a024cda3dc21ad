#include "services/cloudformation/template_text.h"

#include "base/bytes.h"
#include "services/cloudformation/template.h"
#include "yaml/yaml.h"

namespace bastide::services::cfn {
namespace {

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
Result<json::Value> short_form(const yaml::Node& node, json::Value value) {
  const std::string name = node.tag.substr(1);
  if (node.tag.size() < 2 || node.tag[0] != '!') return error("Invalid", node.mark.text() + ": unknown tag");
  if (name == "Ref" || name == "Condition") return json::object({{name, std::move(value)}});
  static const std::vector<std::string> kFunctions = {
      "GetAtt", "Sub",         "Join", "Select",    "Split",  "If",
      "Equals", "And",         "Or",   "Not",       "Base64", "FindInMap",
      "GetAZs", "ImportValue", "Cidr", "Transform", "Length", "ToJsonString", "Contains",
      "EachMemberEquals", "EachMemberIn"};
  for (const auto& known : kFunctions) {
    if (name != known) continue;
    if (name == "GetAtt" && value.is_string()) {
      const std::string& text = value.string();
      const size_t dot = text.find('.');
      if (dot == std::string::npos) {
        return error("Invalid", node.mark.text() + ": !GetAtt needs Resource.Attribute");
      }
      value = json::array({text.substr(0, dot), text.substr(dot + 1)});
    }
    return json::object({{"Fn::" + name, std::move(value)}});
  }
  return error("Invalid", node.mark.text() + ": unknown tag \"" + node.tag + "\"");
}

}  // namespace

Result<json::Value> read_template_text(const std::string& text) {
  if (text.size() > kMaxTemplateBytes) {
    return validation(
        "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must "
        "have length less than or equal to 1000000");
  }
  if (trim(text).starts_with('{')) {
    auto parsed = json::parse(text);
    if (!parsed)
      return validation("Template format error: JSON not well-formed. (" + parsed.error().message + ")");
    return std::move(*parsed);
  }
  auto node = yaml::parse(text, {.bytes = kMaxTemplateBytes});
  if (!node) {
    if (node.error().message.find("anchors and aliases") != std::string::npos) {
      return validation("Template error: YAML aliases are not allowed in CloudFormation templates (" +
                        node.error().message + ")");
    }
    return validation("Template format error: YAML not well-formed. (" + node.error().message + ")");
  }
  auto value = yaml::to_json(*node, short_form);
  if (!value) return validation("Template format error: " + value.error().message);
  return std::move(*value);
}

}  // namespace bastide::services::cfn
