#include "architecture/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"

namespace bastide::architecture {
namespace {

constexpr size_t kMaxMistakes = 20;

const char* kind_of(const yaml::Node& n) {
  switch (n.kind) {
    case yaml::Node::Kind::null:
      return "nothing";
    case yaml::Node::Kind::list:
      return "a list";
    case yaml::Node::Kind::map:
      return "a map";
    case yaml::Node::Kind::scalar:
      break;
  }
  const json::Value v = yaml::plain_value(n);
  return v.is_bool() ? "true or false" : v.is_number() ? "a number" : "a text";
}

}  // namespace

void Reader::wrong(const yaml::Mark& mark, const std::string& what) {
  if (mistakes_.size() < kMaxMistakes)
    mistakes_.push_back(fmt::format("{}:{}:{}: {}", file_, mark.line, mark.column, what));
}

Result<void> Reader::result() const {
  if (mistakes_.empty()) return {};
  return error("Invalid", join(mistakes_, "\n"));
}

void Reader::map(const yaml::Node& node, const std::string& what, const Keys& keys,
                 const std::vector<std::string>& required) {
  if (node.kind != yaml::Node::Kind::map) {
    wrong(node.mark, fmt::format("{} must be a map, not {}", what, kind_of(node)));
    return;
  }
  std::vector<std::string> known;
  for (const auto& [key, f] : keys) known.push_back(key);
  for (const auto& m : node.members) {
    auto it = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.first == m.key; });
    if (it != keys.end()) {
      it->second(m.value);
      continue;
    }
    const std::string near = closest(m.key, known);
    wrong(m.mark, near.empty()
                      ? fmt::format("unknown key '{}' in {}; known are {}", m.key, what, join(known, ", "))
                      : fmt::format("unknown key '{}' in {}; did you mean '{}'?", m.key, what, near));
  }
  for (const auto& key : required) {
    if (node.find(key) == nullptr) wrong(node.mark, fmt::format("{} lacks the key '{}'", what, key));
  }
}

void Reader::names(
    const yaml::Node& node, const std::string& what,
    const std::function<void(const std::string&, const yaml::Mark&, const yaml::Node&)>& each) {
  if (node.kind != yaml::Node::Kind::map) {
    wrong(node.mark, fmt::format("{} must be a map of names, not {}", what, kind_of(node)));
    return;
  }
  for (const auto& m : node.members) each(m.key, m.mark, m.value);
}

std::function<void(const yaml::Node&)> Reader::text(std::string& out, const std::string& what) {
  return [this, &out, what](const yaml::Node& n) {
    if (n.kind != yaml::Node::Kind::scalar || !n.tag.empty()) {
      wrong(n.mark, fmt::format("{} must be a text, not {}", what, kind_of(n)));
    } else if (n.text.size() > 4096) {
      wrong(n.mark, fmt::format("{} is longer than 4096 bytes", what));
    } else {
      out = n.text;
    }
  };
}

std::function<void(const yaml::Node&)> Reader::flag(bool& out, const std::string& what) {
  return [this, &out, what](const yaml::Node& n) {
    const json::Value v = n.kind == yaml::Node::Kind::scalar ? yaml::plain_value(n) : json::Value();
    if (v.is_bool()) {
      out = v.boolean();
    } else {
      wrong(n.mark, fmt::format("{} must be true or false, not {}", what, kind_of(n)));
    }
  };
}

std::function<void(const yaml::Node&)> Reader::number(int& out, const std::string& what, int low, int high) {
  return [this, &out, what, low, high](const yaml::Node& n) {
    const json::Value v = n.kind == yaml::Node::Kind::scalar ? yaml::plain_value(n) : json::Value();
    if (!v.is_int()) {
      wrong(n.mark, fmt::format("{} must be a whole number, not {}", what, kind_of(n)));
    } else if (v.integer() < low || v.integer() > high) {
      wrong(n.mark, fmt::format("{} must be between {} and {}", what, low, high));
    } else {
      out = static_cast<int>(v.integer());
    }
  };
}

std::vector<std::string> Reader::texts(const yaml::Node& node, const std::string& what) {
  std::vector<std::string> out;
  if (node.kind == yaml::Node::Kind::scalar && node.tag.empty()) return {node.text};
  if (node.kind != yaml::Node::Kind::list) {
    wrong(node.mark, fmt::format("{} must be a list, not {}", what, kind_of(node)));
    return out;
  }
  for (const auto& item : node.items) {
    if (item.kind == yaml::Node::Kind::scalar && item.tag.empty()) {
      out.push_back(item.text);
    } else {
      wrong(item.mark, fmt::format("{} must hold texts, not {}", what, kind_of(item)));
    }
  }
  return out;
}

}  // namespace bastide::architecture
