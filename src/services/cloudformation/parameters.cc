#include "services/cloudformation/parameters.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/bytes.h"

namespace bastide::services::cfn {
namespace {

constexpr size_t kMaxValueBytes = 4096;

bool list_type(const std::string& type) {
  return type == "CommaDelimitedList" || type.starts_with("List<") ||
         type.find("Value<List<") != std::string::npos ||
         type.find("Value<CommaDelimitedList>") != std::string::npos;
}

bool is_number(const std::string& text) {
  auto v = json::parse(text);
  return v && v->is_number();
}

Error constraint(const Parameter& p, std::string fallback) {
  return validation(fmt::format("Parameter '{}' {}", p.name,
                                p.constraint_description.empty()
                                    ? std::move(fallback)
                                    : "failed to satisfy constraint: " + p.constraint_description));
}

Result<void> check_one(const Parameter& p, const std::string& text) {
  if (text.size() > kMaxValueBytes) {
    return validation(fmt::format("Parameter '{}' must be at most {} bytes", p.name, kMaxValueBytes));
  }
  if (p.allowed_values &&
      std::find(p.allowed_values->begin(), p.allowed_values->end(), text) == p.allowed_values->end()) {
    return constraint(p, fmt::format("must be one of AllowedValues"));
  }
  if (p.type == "Number" || p.type == "List<Number>") {
    if (!is_number(text)) return validation(fmt::format("Parameter '{}' must be a number.", p.name));
    const double d = strtod(text.c_str(), nullptr);
    if (p.max_value && d > *p.max_value)
      return constraint(p, fmt::format("must be a number not greater than {}", *p.max_value));
    if (p.min_value && d < *p.min_value)
      return constraint(p, fmt::format("must be a number not less than {}", *p.min_value));
    return {};
  }
  const auto size = static_cast<int64_t>(text.size());
  if (p.max_length && size > *p.max_length)
    return constraint(p, fmt::format("must contain at most {} characters", *p.max_length));
  if (p.min_length && size < *p.min_length)
    return constraint(p, fmt::format("must contain at least {} characters", *p.min_length));
  if (!p.allowed_pattern.empty()) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    RE2 pattern(p.allowed_pattern, options);
    if (!pattern.ok()) {
      return validation(
          fmt::format("Template format error: Parameter {} has an AllowedPattern that is not supported: {}",
                      p.name, pattern.error()));
    }
    if (!RE2::FullMatch(text, pattern)) return constraint(p, "must match pattern " + p.allowed_pattern);
  }
  return {};
}

}  // namespace

Result<std::map<std::string, std::string>> parameter_texts(
    const Template& t, const std::vector<GivenParameter>& given,
    const std::map<std::string, std::string>& previous) {
  std::map<std::string, const GivenParameter*> by_name;
  std::vector<std::string> strange;
  for (const auto& g : given) {
    if (t.parameter(g.key) == nullptr) strange.push_back(g.key);
    by_name[g.key] = &g;
  }
  if (!strange.empty()) {
    return validation(fmt::format("Parameters: [{}] do not exist in the template", join(strange, ", ")));
  }
  std::map<std::string, std::string> out;
  std::vector<std::string> missing;
  for (const auto& p : t.parameters) {
    auto it = by_name.find(p.name);
    auto old = previous.find(p.name);
    if (it != by_name.end() && !it->second->use_previous) {
      out[p.name] = it->second->value;
    } else if (it != by_name.end()) {
      if (old == previous.end()) {
        return validation(
            fmt::format("Invalid input for parameter key {}. Cannot specify usePreviousValue as true for a "
                        "parameter key not in the previous template",
                        p.name));
      }
      out[p.name] = old->second;
    } else if (p.fallback) {
      out[p.name] = *p.fallback;
    } else {
      missing.push_back(p.name);
      continue;
    }
    if (p.type.starts_with("AWS::SSM::Parameter::Value<")) continue;
    if (list_type(p.type)) {
      for (auto part : split(out[p.name], ',')) TRY(check_one(p, std::string(trim(part))));
    } else {
      TRY(check_one(p, out[p.name]));
    }
  }
  if (!missing.empty())
    return validation(fmt::format("Parameters: [{}] must have values", join(missing, ", ")));
  return out;
}

Result<std::map<std::string, json::Value>> parameter_values(const Template& t,
                                                            const std::map<std::string, std::string>& texts,
                                                            const SsmLookup& lookup) {
  std::map<std::string, json::Value> out;
  for (const auto& p : t.parameters) {
    auto it = texts.find(p.name);
    if (it == texts.end()) continue;
    std::string text = it->second;
    if (p.type.starts_with("AWS::SSM::Parameter::Value<")) text = TRY(lookup(text));
    if (!list_type(p.type)) {
      out[p.name] = text;
      continue;
    }
    json::Value list = json::array();
    if (!text.empty()) {
      for (auto part : split(text, ',')) list.push(trim(part));
    }
    out[p.name] = std::move(list);
  }
  return out;
}

}  // namespace bastide::services::cfn
