// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
#include <algorithm>

#include "base/bytes.h"
#include "services/ssm/ssm.h"

namespace bastide::services::ssm {
namespace {

using Filter = model::ssm::ParameterStringFilter;

bool any(const Filter& f, const std::function<bool(const std::string&)>& test) {
  return f.values && std::any_of(f.values->begin(), f.values->end(), test);
}

bool text_matches(const Filter& f, const std::string& text) {
  const std::string option = f.option.value_or("Equals");
  return any(f, [&](const std::string& value) {
    if (option == "BeginsWith") return text.starts_with(value);
    if (option == "Contains") return text.find(value) != std::string::npos;
    return text == value;
  });
}

bool below(const std::string& name, std::string path, bool recursive) {
  if (!path.ends_with('/')) path += '/';
  const std::string full = name.starts_with('/') ? name : "/" + name;
  return full.starts_with(path) && (recursive || full.find('/', path.size()) == std::string::npos);
}

bool matches_one(const Filter& f, const Parameter& p) {
  const Version& v = p.latest;
  if (f.key == "Name") return text_matches(f, p.name);
  if (f.key == "Type") return text_matches(f, v.type);
  if (f.key == "KeyId") return text_matches(f, v.key_id);
  if (f.key == "Tier") return text_matches(f, v.tier);
  if (f.key == "DataType") return text_matches(f, v.data_type);
  if (f.key == "Path") {
    return any(f, [&](const std::string& path) {
      return below(p.name, path, f.option.value_or("OneLevel") == "Recursive");
    });
  }
  if (f.key == "Label") return any(f, [&](const std::string& label) { return p.labels.contains(label); });
  const auto tag = p.tags.find(f.key.substr(4));
  if (tag == p.tags.end()) return false;
  return !f.values || f.values->empty() || text_matches(f, tag->second);
}

Result<void> check_one(const Filter& f, bool by_path) {
  const bool tag = f.key.starts_with("tag:");
  static const std::vector<std::string> kPathKeys = {"KeyId", "Label", "Type"};
  if (by_path && std::find(kPathKeys.begin(), kPathKeys.end(), f.key) == kPathKeys.end()) {
    return fault("InvalidFilterKey", "The following filter key is not valid: " + f.key +
                                         ". Valid filter keys include: [KeyId, Label, Type].");
  }
  std::vector<std::string> options = {"Equals"};
  if (f.key == "Name") options = {"BeginsWith", "Contains", "Equals"};
  if (f.key == "KeyId") options = {"BeginsWith", "Equals"};
  if (f.key == "Path") options = {"OneLevel", "Recursive"};
  if (f.option && std::find(options.begin(), options.end(), *f.option) == options.end()) {
    return fault("InvalidFilterOption", "The following filter option is not valid: " + *f.option +
                                            ". Valid options include: [" + join(options, ", ") + "].");
  }
  if (!tag && (!f.values || f.values->empty())) {
    return fault("InvalidFilterValue",
                 "The following filter values are missing for filter key " + f.key + ".");
  }
  if (f.key == "Path") {
    for (const auto& path : *f.values) {
      if (!path.starts_with('/')) {
        return fault("ValidationException",
                     "The parameter doesn't meet the parameter name requirements. The parameter name must "
                     "begin with a forward "
                     "slash \"/\".");
      }
    }
  }
  return {};
}

}  // namespace

Result<void> check_filters(const Filters& filters, bool by_path) {
  if (!filters) return {};
  for (const auto& f : *filters) TRY(check_one(f, by_path));
  return {};
}

bool matches(const Filters& filters, const Parameter& p) {
  return !filters ||
         std::all_of(filters->begin(), filters->end(), [&](const Filter& f) { return matches_one(f, p); });
}

}  // namespace bastide::services::ssm
