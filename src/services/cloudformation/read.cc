#include "services/cloudformation/read.h"

#include "base/bytes.h"

namespace bastide::services::cfn {

json::Value plain_tags(const json::Value* tags, const char* key, const char* value) {
  json::Value out = json::array();
  if (tags == nullptr) return out;
  auto add = [&](const std::string& k, const std::string& v) {
    if (!k.starts_with("aws:")) out.push(json::object({{"Key", k}, {"Value", v}}));
  };
  if (tags->is_array()) {
    for (const auto& tag : tags->array()) add(tag.get(key), tag.get(value));
  } else if (tags->is_object()) {
    for (const auto& [k, v] : tags->object()) add(k, v.is_string() ? v.string() : json::print(v));
  }
  return out;
}

json::Value policy_object(const std::string& text) {
  std::string plain = text;
  if (plain.starts_with("%7B") || plain.starts_with("%7b")) {
    if (auto decoded = percent_decode(plain)) plain = std::move(*decoded);
  }
  auto parsed = json::parse(plain);
  return parsed ? std::move(*parsed) : json::Value(plain);
}

json::Value pascal_keys(const json::Value& v) {
  if (v.is_array()) {
    json::Value out = json::array();
    for (const auto& one : v.array()) out.push(pascal_keys(one));
    return out;
  }
  if (!v.is_object()) return v;
  json::Value out = json::object();
  for (const auto& [key, value] : v.object()) {
    std::string k = key;
    if (!k.empty() && k[0] >= 'a' && k[0] <= 'z') k[0] = static_cast<char>(k[0] - 'a' + 'A');
    out[k] = pascal_keys(value);
  }
  return out;
}

Result<json::Value> first_of(const Result<json::Value>& answer, const char* list, const std::string& what) {
  if (!answer) return answer.error();
  if (answer->get_array(list).empty()) return fault("NotFound", what + " does not exist");
  return answer->get_array(list)[0];
}

json::Value member(const json::Value& v, const char* key) {
  const json::Value* found = v.find(key);
  return found == nullptr ? json::Value() : *found;
}

}  // namespace bastide::services::cfn
