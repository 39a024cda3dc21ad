#include "services/ec2/filter.h"

#include <algorithm>

#include "base/bytes.h"

namespace bastide::services {
namespace {

constexpr size_t kMaxFilters = 50;
constexpr size_t kMaxFilterValues = 200;

// * and ? as EC2 has them; a backslash takes the next character as it is.
bool fits(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    size_t literal = p < pattern.size() && pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
    if (literal == p && p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && ((literal == p && pattern[p] == '?') || pattern[literal] == text[t])) {
      p = literal + 1;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

void collect(const json::Value& at, std::string_view path, std::vector<std::string>& out) {
  if (at.is_array()) {
    for (const auto& element : at.array()) collect(element, path, out);
    return;
  }
  if (path.empty()) {
    if (at.is_string())
      out.push_back(at.string());
    else if (at.is_bool())
      out.push_back(at.boolean() ? "true" : "false");
    else if (at.is_int())
      out.push_back(std::to_string(at.integer()));
    return;
  }
  auto dot = path.find('.');
  const auto* member = at.find(path.substr(0, dot));
  if (member != nullptr) collect(*member, dot == std::string_view::npos ? "" : path.substr(dot + 1), out);
}

}  // namespace

Result<void> apply_filters(const json::Value& filters, const FilterPaths& paths,
                           std::vector<json::Value>& bodies) {
  if (!filters.is_array()) return {};
  if (filters.array().size() > kMaxFilters)
    return fault("FilterLimitExceeded", "The maximum number of filters is 50");
  for (const auto& filter : filters.array()) {
    auto name = filter.get("Name");
    const auto& wanted = filter.get_array("Values");
    if (wanted.empty()) return fault("InvalidParameterValue", "The filter 'null' is invalid");
    if (wanted.size() > kMaxFilterValues) {
      return fault("FilterLimitExceeded",
                   "The maximum number of filter values specified on a single call is 200");
    }
    auto path = paths.find(name);
    bool tag = name.substr(0, 4) == "tag:";
    if (path == paths.end() && !tag && name != "tag-key") {
      return fault("InvalidParameterValue", "The filter '" + name + "' is invalid");
    }
    std::erase_if(bodies, [&](const json::Value& body) {
      std::vector<std::string> values;
      if (tag) {
        for (const auto& t : body.get_array("Tags")) {
          if (t.get("Key") == name.substr(4)) values.push_back(t.get("Value"));
        }
      } else {
        collect(body, name == "tag-key" ? "Tags.Key" : path->second, values);
      }
      return std::none_of(values.begin(), values.end(), [&](const std::string& value) {
        return std::any_of(wanted.begin(), wanted.end(),
                           [&](const json::Value& w) { return w.is_string() && fits(w.string(), value); });
      });
    });
  }
  return {};
}

Result<json::Array> page(std::vector<json::Value> bodies, const std::string& id_member,
                         const json::Value& request, json::Value& answer) {
  std::string after;
  auto token = request.get("NextToken");
  if (!token.empty()) {
    auto plain = unbase64url(token);
    if (!plain || plain->substr(0, 6) != "after/")
      return fault("InvalidNextToken", "The token '" + token + "' is invalid");
    after = plain->substr(6);
  }
  auto most = request.get_int("MaxResults", INT64_MAX);
  if (most < 5)
    return fault("InvalidParameterValue",
                 "Value ( " + std::to_string(most) +
                     " ) for parameter maxResults is invalid. Expecting a value greater than 5.");
  std::sort(bodies.begin(), bodies.end(),
            [&](const json::Value& a, const json::Value& b) { return a.get(id_member) < b.get(id_member); });
  json::Array out;
  for (auto& body : bodies) {
    if (!after.empty() && body.get(id_member) <= after) continue;
    if (static_cast<int64_t>(out.size()) == most) {
      answer["NextToken"] = base64url("after/" + out.back().get(id_member));
      break;
    }
    out.push_back(std::move(body));
  }
  return out;
}

}  // namespace bastide::services
