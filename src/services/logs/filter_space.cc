#include "services/logs/filter_space.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/bytes.h"
#include "base/wildcard.h"

namespace bastide::services {
namespace {

constexpr size_t kMaxFields = 200;

Error invalid(const std::string& why) {
  return fault("InvalidParameterException", "Invalid filter pattern: " + why);
}

}  // namespace

Result<std::shared_ptr<const re2::RE2>> filter_regex(std::string_view text) {
  if (text.find_first_of("()") != std::string_view::npos)
    return invalid("a regular expression has no parentheses");
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(4 << 20);
  auto re = std::make_shared<RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (text.empty() || !re->ok()) return invalid("the regular expression is not valid");
  return std::shared_ptr<const RE2>(std::move(re));
}

std::vector<std::string> space_fields(std::string_view m) {
  std::vector<std::string> out;
  for (size_t i = 0; i < m.size() && out.size() < kMaxFields;) {
    if (m[i] == ' ' || m[i] == '\t') {
      ++i;
      continue;
    }
    const char close = m[i] == '[' ? ']' : m[i] == '"' ? '"' : '\0';
    const size_t end = close ? m.find(close, i + 1) : std::string_view::npos;
    if (close && end != std::string_view::npos) {
      out.emplace_back(m.substr(i + 1, end - i - 1));
      i = end + 1;
      continue;
    }
    const size_t stop = std::min(m.find_first_of(" \t", i), m.size());
    out.emplace_back(m.substr(i, stop - i));
    i = stop;
  }
  return out;
}

Result<SpacePattern> SpacePattern::parse(std::string_view text) {
  text = trim(text);
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return invalid("] expected at the end");
  text = text.substr(1, text.size() - 2);
  SpacePattern out;
  // Commas and brackets inside quotes and %..% belong to their value.
  std::vector<std::string> parts(1);
  char inside = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inside == '\0' && c == ',') {
      parts.emplace_back();
      continue;
    }
    if (inside == '\0' && (c == '"' || c == '%')) {
      inside = c;
    } else if (c == inside) {
      inside = '\0';
    }
    parts.back() += c;
  }
  if (inside != '\0') return invalid("a quotation mark is missing");
  bool rest = false;
  for (const auto& part : parts) {
    const auto field = trim(part);
    Field f;
    if (field.empty()) return invalid("an empty field");
    if (field == "...") {
      if (rest) return invalid("... stands once");
      rest = f.rest = true;
      out.fields_.push_back(std::move(f));
      continue;
    }
    size_t at = 0;
    auto space = [&] {
      while (at < field.size() && field[at] == ' ') ++at;
    };
    auto one = [&](bool first) -> Result<Condition> {
      space();
      std::string name;
      while (at < field.size() &&
             (std::isalnum(static_cast<unsigned char>(field[at])) || field[at] == '_' || field[at] == '-'))
        name += field[at++];
      if (name.empty()) return invalid("a field's name expected in '" + std::string(field) + "'");
      if (!first && name != f.name) return invalid("the conditions of a field name one field");
      f.name = name;
      Condition c;
      space();
      for (const char* op : {"!=", ">=", "<=", "=", ">", "<"}) {
        if (!field.substr(at).starts_with(op)) continue;
        c.op = op;
        at += c.op.size();
        break;
      }
      if (c.op.empty()) return c;
      space();
      if (at < field.size() && field[at] == '%') {
        const size_t end = field.find('%', at + 1);
        if (end == std::string_view::npos) return invalid("% is missing");
        c.pattern = TRY(filter_regex(field.substr(at + 1, end - at - 1)));
        at = end + 1;
      } else if (at < field.size() && field[at] == '"') {
        const size_t end = field.find('"', at + 1);
        c.text = std::string(field.substr(at + 1, end - at - 1));
        at = end + 1;
      } else {
        while (at < field.size() && field[at] != ' ' && field.substr(at, 2) != "&&" &&
               field.substr(at, 2) != "||")
          c.text += field[at++];
        char* end = nullptr;
        c.number = std::strtod(c.text.c_str(), &end);
        c.numeric = !c.text.empty() && *end == '\0' && std::isfinite(c.number);
      }
      if (!c.pattern && c.text.empty()) return invalid("a value expected in '" + std::string(field) + "'");
      if (c.op != "=" && c.op != "!=" && !c.numeric) return invalid(c.op + " compares numbers");
      return c;
    };
    f.any.emplace_back();
    f.any.back().push_back(TRY(one(true)));
    for (space(); at < field.size(); space()) {
      if (field.substr(at, 2) == "||") {
        f.any.emplace_back();
      } else if (field.substr(at, 2) != "&&") {
        return invalid("&& or || expected in '" + std::string(field) + "'");
      }
      at += 2;
      f.any.back().push_back(TRY(one(false)));
    }
    out.fields_.push_back(std::move(f));
    if (out.fields_.size() > kMaxFields) return invalid("too many fields");
  }
  return out;
}

bool SpacePattern::holds(const Condition& c, const std::string& value) {
  if (c.op.empty()) return true;
  if (c.pattern) return RE2::PartialMatch(value, *c.pattern) == (c.op == "=");
  if (c.numeric) {
    char* end = nullptr;
    const double v = std::strtod(value.c_str(), &end);
    const bool number = !value.empty() && *end == '\0';
    if (number) {
      if (c.op == "=") return v == c.number;
      if (c.op == "!=") return v != c.number;
      if (c.op == ">") return v > c.number;
      if (c.op == ">=") return v >= c.number;
      return c.op == "<" ? v < c.number : v <= c.number;
    }
    return c.op == "!=";
  }
  return matches_wildcard(c.text, value) == (c.op == "=");
}

bool SpacePattern::matches(std::string_view message, std::map<std::string, std::string>* fields) const {
  const auto values = space_fields(message);
  const auto rest = std::find_if(fields_.begin(), fields_.end(), [](const Field& f) { return f.rest; });
  const bool open = rest != fields_.end();
  if (open ? values.size() + 1 < fields_.size() : values.size() != fields_.size()) return false;
  const auto before = static_cast<size_t>(rest - fields_.begin());
  for (size_t i = 0; i < fields_.size(); ++i) {
    const Field& f = fields_[i];
    if (f.rest) continue;
    const std::string& value = values[open && i > before ? values.size() - (fields_.size() - i) : i];
    const bool fits = std::any_of(f.any.begin(), f.any.end(), [&](const auto& all) {
      return std::all_of(all.begin(), all.end(), [&](const Condition& c) { return holds(c, value); });
    });
    if (!fits) return false;
    if (fields) (*fields)["$" + f.name] = value;
  }
  return true;
}

}  // namespace bastide::services
