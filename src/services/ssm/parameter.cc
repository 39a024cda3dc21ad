#include "services/ssm/parameter.h"

#include "aws/arn.h"

namespace bastide::services::ssm {

std::string parameter_arn(const std::string& region, const std::string& account, const std::string& name) {
  return aws::make_arn("ssm", region, account,
                       name.starts_with('/') ? "parameter" + name : "parameter/" + name);
}

std::string Parameter::arn() const { return parameter_arn(region, account, name); }

std::string version_row(const std::string& name, int64_t number) {
  const std::string digits = std::to_string(number);
  return name + ":" + std::string(digits.size() < 12 ? 12 - digits.size() : 0, '0') + digits;
}

json::Value to_json(const Version& v) {
  return json::object({{"number", v.number},
                       {"type", v.type},
                       {"value", v.value},
                       {"keyId", v.key_id},
                       {"description", v.description},
                       {"pattern", v.pattern},
                       {"tier", v.tier},
                       {"dataType", v.data_type},
                       {"user", v.user},
                       {"modified", v.modified}});
}

Version version_from_json(const json::Value& b) {
  Version v;
  v.number = b.get_int("number");
  v.type = b.get("type");
  v.value = b.get("value");
  v.key_id = b.get("keyId");
  v.description = b.get("description");
  v.pattern = b.get("pattern");
  v.tier = b.get("tier");
  v.data_type = b.get("dataType");
  v.user = b.get("user");
  v.modified = b.get_int("modified");
  return v;
}

json::Value to_json(const Parameter& p) {
  json::Value labels = json::object(), tags = json::object();
  for (const auto& [label, number] : p.labels) labels[label] = number;
  for (const auto& [key, value] : p.tags) tags[key] = value;
  return json::object({{"latest", to_json(p.latest)},
                       {"oldest", p.oldest},
                       {"labels", std::move(labels)},
                       {"tags", std::move(tags)}});
}

Parameter parameter_from_json(const std::string& account, const std::string& region, const std::string& name,
                              const json::Value& b) {
  Parameter p{account, region, name, {}, b.get_int("oldest", 1), {}, {}};
  if (const json::Value* latest = b.find("latest")) p.latest = version_from_json(*latest);
  for (const auto& [label, number] : b.get_object("labels")) {
    if (number.is_int()) p.labels[label] = number.integer();
  }
  for (const auto& [key, value] : b.get_object("tags")) {
    if (value.is_string()) p.tags[key] = value.string();
  }
  return p;
}

}  // namespace bastide::services::ssm
