#include "architecture/own_stacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "architecture/cloud.h"
#include "base/bytes.h"
#include "sys/file.h"
#include "yaml/yaml.h"

namespace bastide::architecture {
namespace {

constexpr size_t kMaxTemplateBytes = 1'000'000, kMaxStacks = 200;

// A stack's name: letters, digits and hyphens, a letter first.
bool good_name(const std::string& name) {
  if (name.empty() || name.size() > 128) return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!letter(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

// Names that a template imports, and those that it exports, where they are written out.
void imports(const yaml::Node& n, std::set<std::string>& out) {
  if (n.tag == "!ImportValue" && n.kind == yaml::Node::Kind::scalar) out.insert(n.text);
  for (const auto& item : n.items) imports(item, out);
  for (const auto& m : n.members) {
    if (m.key == "Fn::ImportValue" && m.value.kind == yaml::Node::Kind::scalar) out.insert(m.value.text);
    imports(m.value, out);
  }
}

std::set<std::string> exports(const yaml::Node& root) {
  std::set<std::string> out;
  const yaml::Node* outputs = root.find("Outputs");
  if (outputs == nullptr) return out;
  for (const auto& m : outputs->members) {
    const yaml::Node* e = m.value.find("Export");
    const yaml::Node* name = e == nullptr ? nullptr : e->find("Name");
    if (name != nullptr && name->kind == yaml::Node::Kind::scalar) out.insert(name->text);
  }
  return out;
}

Error at(const std::string& file, const Error& e) {
  int line = 0, column = 0, used = 0;
  const std::string& why = e.message;
  if (sscanf(why.c_str(), "line %d, column %d: %n", &line, &column, &used) == 2 && used > 0)
    return error("Invalid",
                 fmt::format("{}:{}:{}: {}", file, line, column, why.substr(static_cast<size_t>(used))));
  return error("Invalid", file + ": " + why);
}

}  // namespace

Result<std::vector<Architecture::OwnStack>> read_own_stacks(const std::string& folder,
                                                            const std::vector<std::string>& accounts) {
  namespace fs = std::filesystem;
  std::vector<Architecture::OwnStack> out;
  std::error_code ec;
  const fs::path top = fs::path(folder) / "stacks";
  if (!fs::is_directory(top, ec)) return out;
  for (const auto& account : fs::directory_iterator(top, ec)) {
    const std::string name = account.path().filename().string();
    if (name.starts_with(".") || !account.is_directory(ec)) continue;
    if (std::find(accounts.begin(), accounts.end(), name) == accounts.end()) {
      const std::string near = closest(name, accounts);
      return error("Invalid", fmt::format("{}: there is no account '{}'{}", account.path().string(), name,
                                          near.empty() ? "; accounts are " + join(accounts, ", ")
                                                       : "; did you mean '" + near + "'?"));
    }
    for (const auto& entry : fs::directory_iterator(account.path(), ec)) {
      const std::string file = entry.path().string(), extension = entry.path().extension().string();
      if (extension != ".yaml" && extension != ".yml" && extension != ".json") continue;
      const std::string stack = entry.path().stem().string();
      if (!good_name(stack))
        return error("Invalid", file + ": a stack's name has letters, digits and hyphens, a letter first");
      if (stack.starts_with("bastide-"))
        return error("Invalid",
                     file + ": names that begin with 'bastide-' are kept for the stacks of bastide.yaml");
      auto text = sys::read_file(file, kMaxTemplateBytes);
      if (!text) return error("Invalid", file + ": " + text.error().message);
      auto node = yaml::parse(*text, {.bytes = kMaxTemplateBytes});
      if (!node) return at(file, node.error());
      if (node->find("Resources") == nullptr)
        return error("Invalid", file + ":1:1: a template needs the section 'Resources'");
      out.push_back({name, stack, std::move(*text), file});
      if (out.size() > kMaxStacks) return error("Invalid", top.string() + ": more than 200 templates");
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::tie(a.account, a.name) < std::tie(b.account, b.name);
  });
  for (size_t i = 1; i < out.size(); ++i) {
    if (out[i].account == out[i - 1].account && out[i].name == out[i - 1].name)
      return error("Invalid", fmt::format("{} and {} make the same stack", out[i - 1].file, out[i].file));
  }
  return out;
}

Result<void> add_own_stacks(const Architecture& a, std::vector<Stack>& stacks) {
  struct Own {
    Stack stack;
    std::set<std::string> takes, gives;
  };
  std::vector<Own> left;
  const size_t bastides = stacks.size();
  for (const auto& one : a.own_stacks) {
    auto node = yaml::parse(one.text, {.bytes = kMaxTemplateBytes});
    if (!node) return at(one.file, node.error());
    Own own{{one.account, one.name, one.text, {}, {}, {{kArchitectureTag, a.name}}, {}}, {}, exports(*node)};
    imports(*node, own.takes);
    for (size_t i = 0; i < bastides; ++i) {
      if (stacks[i].account == one.account) own.stack.after.push_back(one.account + "/" + stacks[i].name);
    }
    left.push_back(std::move(own));
  }
  for (auto& own : left) {
    for (const auto& other : left) {
      if (&other == &own || other.stack.account != own.stack.account) continue;
      const bool takes = std::any_of(other.gives.begin(), other.gives.end(),
                                     [&](const std::string& name) { return own.takes.count(name) != 0; });
      if (takes) own.stack.after.push_back(other.stack.account + "/" + other.stack.name);
    }
  }
  // In the order of dependence; what is left over goes in a circle.
  std::set<std::string> placed;
  for (const auto& s : stacks) placed.insert(s.account + "/" + s.name);
  while (!left.empty()) {
    auto ready = std::find_if(left.begin(), left.end(), [&](const Own& own) {
      return std::all_of(own.stack.after.begin(), own.stack.after.end(),
                         [&](const std::string& on) { return placed.count(on) != 0; });
    });
    if (ready == left.end()) {
      std::vector<std::string> names;
      for (const auto& own : left) names.push_back(own.stack.account + "/" + own.stack.name);
      return error("Invalid", "stacks import from one another in a circle: " + join(names, ", "));
    }
    placed.insert(ready->stack.account + "/" + ready->stack.name);
    stacks.push_back(std::move(ready->stack));
    left.erase(ready);
  }
  return {};
}

namespace {

// "#/A/0/B" below a node, as far as there is something.
const yaml::Node& follow(const yaml::Node& from, const std::string& path) {
  const yaml::Node* at = &from;
  for (auto part : split(path, '/')) {
    if (part.empty() || part == "#") continue;
    const yaml::Node* next = at->find(std::string(part));
    if (next == nullptr && at->kind == yaml::Node::Kind::list) {
      const auto i = parse_int(part);
      if (i && *i >= 0 && static_cast<size_t>(*i) < at->items.size())
        next = &at->items[static_cast<size_t>(*i)];
    }
    if (next == nullptr) break;
    at = next;
  }
  return *at;
}

const yaml::Mark* key_mark(const yaml::Node& map, const std::string& key) {
  for (const auto& m : map.members) {
    if (m.key == key) return &m.mark;
  }
  return nullptr;
}

// Whether a name stands in a text as a word of its own.
bool names_it(const std::string& text, const std::string& name) {
  auto part = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const bool before = at == 0 || !part(text[at - 1]);
    const bool after = at + name.size() == text.size() || !part(text[at + name.size()]);
    if (before && after) return true;
  }
  return false;
}

}  // namespace

std::string place_of_error(const std::string& text, const std::string& file, const std::string& message) {
  auto root = yaml::parse(text, {.bytes = kMaxTemplateBytes});
  yaml::Mark mark = root ? root->mark : yaml::Mark{};
  const yaml::Node* resources = root ? root->find("Resources") : nullptr;
  if (resources != nullptr) {
    for (const auto& m : resources->members) {
      const yaml::Node* type = m.value.find("Type");
      const bool by_type = type != nullptr &&
                           message.find("Unrecognized resource type") != std::string::npos &&
                           names_it(message, type->text);
      if (by_type) {
        mark = type->mark;
        break;
      }
      if (!names_it(message, m.key)) continue;
      mark = m.mark;
      // [#/A/B: extraneous key [C] is not permitted]
      const size_t path = message.find("[#");
      const yaml::Node* properties = m.value.find("Properties");
      if (path != std::string::npos && properties != nullptr) {
        const size_t colon = message.find(": ", path);
        const yaml::Node& inside = follow(*properties, message.substr(path + 1, colon - path - 1));
        mark = inside.mark;
        const size_t key = message.find("key [", colon);
        const size_t end = key == std::string::npos ? key : message.find(']', key);
        if (end != std::string::npos) {
          if (const auto* found = key_mark(inside, message.substr(key + 5, end - key - 5))) mark = *found;
        }
      }
      break;
    }
  }
  return fmt::format("{}:{}:{}: {}", file, mark.line, mark.column, message);
}

Result<void> validate_own_stacks(const Architecture& a, const Call& call) {
  std::vector<std::string> wrong;
  for (const auto& s : a.own_stacks) {
    auto out =
        call("management", "cloudformation", "ValidateTemplate", json::object({{"TemplateBody", s.text}}));
    if (!out && out.error().code == "ValidationError") {
      wrong.push_back(place_of_error(s.text, s.file, out.error().message));
    } else if (!out) {
      return std::move(out).error();
    }
  }
  if (wrong.empty()) return {};
  return error("Invalid", join(wrong, "\n"));
}

}  // namespace bastide::architecture
