#include "architecture/templates.h"

namespace bastide::architecture {

json::Value ref(const char* name) { return json::object({{"Ref", name}}); }
json::Value att(const char* resource, const char* attribute) {
  return json::object({{"Fn::GetAtt", json::array({resource, attribute})}});
}
json::Value sub(std::string text) { return json::object({{"Fn::Sub", std::move(text)}}); }
json::Value import_of(const std::string& name) {
  return json::object({{"Fn::ImportValue", std::string(kExports) + ":" + name}});
}

json::Value list(const std::vector<std::string>& texts) {
  json::Value out = json::array();
  for (const auto& t : texts) out.push(t);
  return out;
}

json::Value allow(const std::vector<std::string>& actions, json::Value resource, json::Value condition) {
  json::Value out = json::object({{"Effect", "Allow"},
                                  {"Action", actions.size() == 1 ? json::Value(actions[0]) : list(actions)},
                                  {"Resource", std::move(resource)}});
  if (!condition.is_null()) out["Condition"] = std::move(condition);
  return out;
}

json::Value policy(json::Array statements) {
  return json::object({{"Version", "2012-10-17"}, {"Statement", json::Value(std::move(statements))}});
}

json::Value named_policy(const std::string& name, json::Array statements) {
  return json::object({{"PolicyName", name}, {"PolicyDocument", policy(std::move(statements))}});
}

namespace {
json::Value trust(json::Value principal, json::Value condition) {
  json::Value statement =
      json::object({{"Effect", "Allow"}, {"Principal", std::move(principal)}, {"Action", "sts:AssumeRole"}});
  if (!condition.is_null()) statement["Condition"] = std::move(condition);
  return policy({std::move(statement)});
}
}  // namespace

json::Value trust_account(const std::string& account, json::Value condition) {
  return trust(json::object({{"AWS", "arn:aws:iam::" + account + ":root"}}), std::move(condition));
}

json::Value trust_service(const std::string& service) {
  return trust(json::object({{"Service", service}}), {});
}

json::Value resource(const char* type, json::Value properties) {
  json::Value out = json::object({{"Type", type}});
  if (properties.is_object() && !properties.object().empty()) out["Properties"] = std::move(properties);
  return out;
}

json::Value retained(json::Value r) {
  json::Value out = json::object(
      {{"Type", r.get("Type")}, {"DeletionPolicy", "Retain"}, {"UpdateReplacePolicy", "Retain"}});
  if (const json::Value* p = r.find("Properties")) out["Properties"] = *p;
  return out;
}

json::Value output(json::Value value, const std::string& export_name) {
  json::Value out = json::object({{"Value", std::move(value)}});
  if (!export_name.empty())
    out["Export"] = json::object({{"Name", std::string(kExports) + ":" + export_name}});
  return out;
}

json::Value document(const std::string& description, json::Value resources, json::Value outputs,
                     json::Value parameters, json::Value conditions) {
  json::Value out = json::object({{"AWSTemplateFormatVersion", "2010-09-09"}, {"Description", description}});
  if (!parameters.is_null()) out["Parameters"] = std::move(parameters);
  if (!conditions.is_null()) out["Conditions"] = std::move(conditions);
  out["Resources"] = std::move(resources);
  out["Outputs"] = std::move(outputs);
  return out;
}

std::string logical(const std::string& name) {
  std::string out;
  bool upper = true;
  for (char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
    if (!letter && !digit) {
      upper = true;
      continue;
    }
    out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return out;
}

}  // namespace bastide::architecture
