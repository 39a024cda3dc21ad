#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "yaml/yaml.h"

namespace bastide::yaml {
namespace {

bool digits(std::string_view t) {
  if (t.empty()) return false;
  for (char c : t) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

bool looks_like_float(std::string_view t) {
  if (!t.empty() && (t[0] == '-' || t[0] == '+')) t.remove_prefix(1);
  bool digit = false, dot = false, exponent = false;
  for (size_t i = 0; i < t.size(); ++i) {
    if (t[i] >= '0' && t[i] <= '9') {
      digit = true;
    } else if (t[i] == '.' && !dot && !exponent) {
      dot = true;
    } else if ((t[i] == 'e' || t[i] == 'E') && digit && !exponent) {
      exponent = true;
      if (i + 1 < t.size() && (t[i + 1] == '-' || t[i + 1] == '+')) ++i;
      if (i + 1 >= t.size()) return false;
    } else {
      return false;
    }
  }
  return digit && (dot || exponent);
}

json::Value number_or_text(const std::string& text) {
  std::string_view t = text;
  const std::string_view body = !t.empty() && t[0] == '-' ? t.substr(1) : t;
  if (digits(body) && (body.size() == 1 || body[0] != '0')) {
    auto n = parse_int(t);
    if (n) return *n;
  } else if (looks_like_float(t)) {
    if (t[0] == '+') t.remove_prefix(1);
    double d = 0;
    auto [end, code] = std::from_chars(t.data(), t.data() + t.size(), d);
    if (code == std::errc{} && end == t.data() + t.size() && std::isfinite(d)) return d;
  }
  return text;
}

// ---- print

bool plain_is_safe(const std::string& s) {
  if (s.empty() || s.size() > 100) return false;
  Node probe;
  probe.kind = Node::Kind::scalar;
  probe.text = s;
  if (!plain_value(probe).is_string()) return false;
  for (const char* word :
       {"yes", "no", "on", "off", "y", "n", "null", "~", "true", "false", ".inf", ".nan"}) {
    if (iequals(s, word)) return false;
  }
  if (s.front() == ' ' || s.back() == ' ' || s.back() == ':') return false;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`=<").find(s.front()) != std::string_view::npos) return false;
  if ((s[0] >= '0' && s[0] <= '9') || s[0] == '.' || s[0] == '+') return false;  // dates, octals, versions
  for (size_t i = 0; i < s.size(); ++i) {
    const auto c = static_cast<unsigned char>(s[i]);
    if (c < 0x20 || c == 0x7f) return false;
    if (s[i] == ':' && (i + 1 == s.size() || s[i + 1] == ' ')) return false;
    if (s[i] == '#' && i > 0 && s[i - 1] == ' ') return false;
  }
  return true;
}

std::string scalar_text(const json::Value& v) {
  if (v.is_string() && plain_is_safe(v.string())) return v.string();
  return json::print(v);  // a JSON scalar is a YAML scalar
}

// A literal block keeps long texts readable, where every line can stand in one.
bool wants_block(const std::string& s) {
  if (s.find('\n') == std::string::npos || s.front() == ' ' || s.front() == '\n') return false;
  if (s.back() != '\n' || (s.size() > 1 && s[s.size() - 2] == '\n')) return false;
  for (char c : s) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f) return false;
  }
  return true;
}

// "!Ref X" and its like, or empty.
std::string short_form(const json::Value& v) {
  if (!v.is_object() || v.object().size() != 1) return "";
  const auto& [name, value] = v.object()[0];
  if (name == "Ref" && value.is_string()) return "!Ref " + scalar_text(value);
  if (name == "Fn::Sub" && value.is_string() && value.string().find('\n') == std::string::npos) {
    return "!Sub " + json::print(value);
  }
  if (name == "Fn::GetAtt" && value.is_array() && value.array().size() == 2 && value.array()[0].is_string() &&
      value.array()[1].is_string()) {
    return "!GetAtt " + value.array()[0].string() + "." + value.array()[1].string();
  }
  return "";
}

class Printer {
 public:
  std::string out;

  // What follows "key:" or "-" on the same line, or on lines of its own.
  void value(const json::Value& v, int indent, bool after_dash) {
    const std::string brief = short_form(v);
    if (!brief.empty()) {
      out += " " + brief + "\n";
    } else if (v.is_object() && !v.object().empty()) {
      out += after_dash ? " " : "\n";
      map(v.object(), indent, after_dash);
    } else if (v.is_array() && !v.array().empty()) {
      out += "\n";
      for (const auto& item : v.array()) {
        out += std::string(static_cast<size_t>(indent), ' ') + "-";
        value(item, indent + 2, true);
      }
    } else if (v.is_string() && wants_block(v.string())) {
      out += " |\n";
      std::string_view rest = v.string();
      rest.remove_suffix(1);
      for (auto line : split(rest, '\n')) {
        if (!line.empty()) out += std::string(static_cast<size_t>(indent), ' ') + std::string(line);
        out += '\n';
      }
    } else {
      out += " " + (v.is_object() ? "{}" : v.is_array() ? "[]" : scalar_text(v)) + "\n";
    }
  }

  void map(const json::Object& members, int indent, bool first_on_line) {
    for (const auto& [key, v] : members) {
      if (!first_on_line) out += std::string(static_cast<size_t>(indent), ' ');
      first_on_line = false;
      out += scalar_text(json::Value(key)) + ":";
      value(v, indent + 2, false);
    }
  }
};

}  // namespace

json::Value plain_value(const Node& n) {
  if (n.kind == Node::Kind::null) return nullptr;
  if (!n.plain) return n.text;
  if (n.text == "null" || n.text == "~" || n.text.empty()) return nullptr;
  if (n.text == "true" || n.text == "True" || n.text == "TRUE") return true;
  if (n.text == "false" || n.text == "False" || n.text == "FALSE") return false;
  return number_or_text(n.text);
}

Result<json::Value> to_json(const Node& n, const TagMeaning& meaning) {
  json::Value out;
  switch (n.kind) {
    case Node::Kind::null:
      break;
    case Node::Kind::scalar:
      out = n.tag.empty() ? plain_value(n) : json::Value(n.text);
      break;
    case Node::Kind::list: {
      json::Array all;
      all.reserve(n.items.size());
      for (const auto& item : n.items) {
        auto v = TRY(to_json(item, meaning));
        all.push_back(std::move(v));
      }
      out = std::move(all);
      break;
    }
    case Node::Kind::map: {
      json::Object all;
      all.reserve(n.members.size());
      for (const auto& m : n.members) {
        auto v = TRY(to_json(m.value, meaning));
        all.emplace_back(m.key, std::move(v));
      }
      out = std::move(all);
      break;
    }
  }
  if (n.tag.empty()) return out;
  constexpr std::string_view kCore = "tag:yaml.org,2002:";
  if (n.tag.starts_with(kCore)) {
    const std::string kind = n.tag.substr(kCore.size());
    if (kind == "str" && out.is_string()) return out;
    if ((kind == "map" && out.is_object()) || (kind == "seq" && out.is_array())) return out;
    if (n.kind == Node::Kind::scalar) {
      Node bare = n;
      bare.tag.clear();
      bare.plain = true;
      json::Value v = plain_value(bare);
      if ((kind == "int" && v.is_int()) || (kind == "float" && v.is_number()) ||
          (kind == "bool" && v.is_bool())) {
        return v;
      }
    }
  } else if (meaning) {
    return meaning(n, std::move(out));
  }
  return error("Invalid", n.mark.text() + ": unknown tag \"" + n.tag + "\"");
}

std::string print(const json::Value& v) {
  Printer p;
  if (v.is_object() && !v.object().empty() && short_form(v).empty()) {
    p.map(v.object(), 0, false);
  } else {
    p.value(v, 0, false);
    p.out.erase(0, 1);
  }
  return std::move(p.out);
}

}  // namespace bastide::yaml
