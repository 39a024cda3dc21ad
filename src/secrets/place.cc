#include "secrets/place.h"

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"

namespace bastide::secrets {
namespace {

Error missing(const std::string& path) { return error("NotFound", "there is no " + path); }

std::string quoted(std::string_view text) {
  std::string out;
  json::append_string(out, text);
  return out;
}

// ---- JSON: the text is known to be valid when a scanner walks it.
class Scanner {
 public:
  Scanner(std::string_view text, size_t at) : text_(text), at_(at) { space(); }
  size_t at() const { return at_; }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  void step() {
    ++at_;
    space();
  }
  std::string string() {
    const size_t start = at_;
    skip_string();
    const auto v = json::parse(text_.substr(start, at_ - start));
    space();
    return v && v->is_string() ? v->string() : "";
  }
  void skip_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }
  void skip_value() {
    int depth = 0;
    do {
      const char c = peek();
      if (c == '"') {
        skip_string();
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '}' || c == ']') {
        --depth;
        ++at_;
      } else if (depth > 0 && (c == ',' || c == ':')) {
        ++at_;
      } else {
        while (at_ < text_.size() &&
               std::string_view(",:]}{[ \t\r\n\"").find(text_[at_]) == std::string_view::npos)
          ++at_;
      }
      if (depth > 0) space();
    } while (depth > 0 && at_ < text_.size());
  }

 private:
  std::string_view text_;
  size_t at_;
};

struct Span {
  size_t begin = 0, end = 0;                // of the value
  size_t member_begin = 0, member_end = 0;  // with its name and one comma
};

// The member or element `name` of the value at `at`.
std::optional<Span> child(std::string_view text, size_t at, const std::string& name) {
  Scanner s(text, at);
  const bool object = s.peek() == '{';
  if (!object && s.peek() != '[') return std::nullopt;
  s.step();
  size_t index = 0, comma_before = 0;
  while (s.peek() != '}' && s.peek() != ']' && s.peek() != '\0') {
    Span span;
    span.member_begin = s.at();
    std::string key = std::to_string(index++);
    if (object) {
      key = s.string();
      s.step();  // the colon
    }
    span.begin = s.at();
    s.skip_value();
    span.end = span.member_end = s.at();
    s.space();
    const bool comma = s.peek() == ',';
    const size_t comma_at = s.at();
    if (comma) s.step();
    if (key == name) {
      if (comma) {
        span.member_end = s.at();
      } else if (comma_before != 0) {
        span.member_begin = comma_before;
      }
      return span;
    }
    comma_before = comma ? comma_at : 0;
  }
  return std::nullopt;
}

std::string line_indent(std::string_view text, size_t at) {
  size_t start = text.rfind('\n', at);
  start = start == std::string_view::npos ? 0 : start + 1;
  size_t end = start;
  while (end < text.size() && (text[end] == ' ' || text[end] == '\t')) ++end;
  return std::string(text.substr(start, end - start));
}

// A new member at the end of the object at `at`, in the style of its lines.
Result<std::string> add_member(std::string_view text, size_t at, const std::vector<std::string>& names,
                               size_t from, const std::string& value) {
  Scanner s(text, at);
  if (s.peek() != '{')
    return error("Invalid", "'" + names[from] + "' would have to stand in something that is no object");
  const size_t open = s.at();
  s.skip_value();
  const size_t close = s.at() - 1;
  size_t last = close;
  while (last > open + 1 && std::string_view(" \t\r\n").find(text[last - 1]) != std::string_view::npos)
    --last;
  std::string made = quoted(value);
  for (size_t i = names.size(); i-- > from;)
    made = i == from ? quoted(names[i]) + ": " + made : "{" + quoted(names[i]) + ": " + made + "}";
  const bool empty = last == open + 1;
  const bool lines = text.substr(open, close - open).find('\n') != std::string_view::npos;
  std::string out(text.substr(0, last));
  if (!empty) out += ",";
  if (lines) {
    const std::string outer = line_indent(text, open);
    std::string inner = outer + "  ";
    if (!empty) inner = line_indent(text, last - 1);
    out += "\n" + inner + made;
    out += empty ? "\n" + outer : text.substr(last, close - last);
  } else {
    out += (empty ? "" : " ") + made;
    out += text.substr(last, close - last);
  }
  return out + std::string(text.substr(close));
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> out;
  for (const auto part : split(path, '.')) out.emplace_back(part);
  return out;
}

Result<std::string> set_json(std::string_view text, const std::string& path, const std::string& value) {
  TRY(json::parse(text));
  const auto names = parts_of(path);
  size_t at = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto span = child(text, at, names[i]);
    if (!span) return add_member(text, at, names, i, value);
    at = span->begin;
    if (i + 1 == names.size()) {
      return std::string(text.substr(0, span->begin)) + quoted(value) + std::string(text.substr(span->end));
    }
  }
  return missing(path);
}

Result<std::string> unset_json(std::string_view text, const std::string& path) {
  TRY(json::parse(text));
  size_t at = 0;
  std::optional<Span> span;
  for (const auto& name : parts_of(path)) {
    span = child(text, at, name);
    if (!span) return missing(path);
    at = span->begin;
  }
  return std::string(text.substr(0, span->member_begin)) + std::string(text.substr(span->member_end));
}

// ---- lines: YAML's block mappings and .env
struct Line {
  size_t begin = 0, end = 0;  // with its newline
  size_t indent = 0;
  std::string key;   // empty: no `key:` line
  size_t value = 0;  // where what follows the colon begins
};

std::vector<Line> yaml_lines(std::string_view text) {
  std::vector<Line> out;
  for (size_t at = 0; at < text.size();) {
    Line line;
    line.begin = at;
    const size_t newline = text.find('\n', at);
    line.end = newline == std::string_view::npos ? text.size() : newline + 1;
    std::string_view body = text.substr(at, line.end - at);
    while (line.indent < body.size() && body[line.indent] == ' ') ++line.indent;
    const std::string_view rest = body.substr(line.indent);
    const size_t colon = rest.find(':');
    const bool key_line = !rest.empty() &&
                          std::string_view("#-{[\"'|>&*!%@`\r\n").find(rest[0]) == std::string_view::npos &&
                          colon != std::string_view::npos && colon > 0 &&
                          (colon + 1 == rest.size() ||
                           std::string_view(" \r\n").find(rest[colon + 1]) != std::string_view::npos);
    if (key_line) {
      line.key = trim(rest.substr(0, colon));
      line.value = at + line.indent + colon + 1;
    }
    out.push_back(line);
    at = line.end;
  }
  return out;
}

bool blank(std::string_view text, const Line& line) {
  const auto body = trim(text.substr(line.begin, line.end - line.begin));
  return body.empty() || body.starts_with('#');
}

struct YamlPlace {
  size_t depth = 0;            // how many names were found
  std::optional<size_t> line;  // of the last one found
  size_t block_end = 0;        // first line after what belongs to it
  size_t indent = 0;           // of its children, where it has some
};

YamlPlace find_yaml(std::string_view text, const std::vector<Line>& lines,
                    const std::vector<std::string>& names) {
  YamlPlace place;
  size_t from = 0, until = lines.size();
  for (const auto& name : names) {
    std::optional<size_t> indent;
    std::optional<size_t> found;
    for (size_t i = from; i < until && !found; ++i) {
      if (blank(text, lines[i])) continue;
      if (!indent) indent = lines[i].indent;
      if (lines[i].indent == *indent && lines[i].key == name) found = i;
    }
    if (!found) {
      place.indent = indent.value_or(place.line ? lines[*place.line].indent + 2 : 0);
      place.block_end = until;
      return place;
    }
    ++place.depth;
    place.line = found;
    size_t end = *found + 1;
    for (size_t i = end; i < until; ++i) {
      if (!blank(text, lines[i]) && lines[i].indent <= lines[*found].indent) break;
      if (!blank(text, lines[i])) end = i + 1;
    }
    from = *found + 1;
    until = end;
    place.block_end = end;
  }
  return place;
}

Result<std::string> set_yaml(std::string_view text, const std::string& path, const std::string& value) {
  const auto names = parts_of(path);
  const auto lines = yaml_lines(text);
  const auto place = find_yaml(text, lines, names);
  if (place.depth == names.size()) {
    const Line& line = lines[*place.line];
    const size_t end = place.block_end > *place.line + 1 ? lines[place.block_end - 1].end : line.end;
    std::string_view rest = text.substr(line.value, line.end - line.value);
    const size_t comment = rest.find(" #");
    const bool simple =
        comment != std::string_view::npos && rest.find_first_of("\"'") == std::string_view::npos;
    std::string tail = simple ? std::string(trim(rest.substr(comment))) : "";
    if (!tail.empty()) tail.insert(0, " ");
    return std::string(text.substr(0, line.value)) + " " + quoted(value) + tail + "\n" +
           std::string(text.substr(end));
  }
  if (place.line) {
    const Line& parent = lines[*place.line];
    const auto rest = trim(text.substr(parent.value, parent.end - parent.value));
    if (!rest.empty() && !rest.starts_with('#')) {
      return error("Invalid",
                   "'" + names[place.depth] + "' would have to stand in something that is no mapping");
    }
  }
  const size_t at = place.block_end == 0 ? text.size() : lines[place.block_end - 1].end;
  std::string made;
  for (size_t i = place.depth; i < names.size(); ++i) {
    made += std::string(place.indent + 2 * (i - place.depth), ' ') + names[i] + ":" +
            (i + 1 == names.size() ? " " + quoted(value) : "") + "\n";
  }
  std::string out(text.substr(0, at));
  if (!out.empty() && !out.ends_with('\n')) out += '\n';
  return out + made + std::string(text.substr(at));
}

Result<std::string> unset_yaml(std::string_view text, const std::string& path) {
  const auto names = parts_of(path);
  const auto lines = yaml_lines(text);
  const auto place = find_yaml(text, lines, names);
  if (place.depth != names.size()) return missing(path);
  return std::string(text.substr(0, lines[*place.line].begin)) +
         std::string(text.substr(lines[place.block_end - 1].end));
}

// NAME=value, `export NAME=value`
std::optional<Span> find_env(std::string_view text, const std::string& name) {
  for (size_t at = 0; at < text.size();) {
    const size_t newline = text.find('\n', at);
    const size_t end = newline == std::string_view::npos ? text.size() : newline;
    std::string_view line = text.substr(at, end - at);
    std::string_view key = line.substr(0, line.find('='));
    key = trim(key);
    if (key.starts_with("export ")) key = trim(key.substr(7));
    if (key == name && line.find('=') != std::string_view::npos) {
      const size_t value = at + line.find('=') + 1;
      const size_t value_end = end > value && text[end - 1] == '\r' ? end - 1 : end;
      return Span{value, value_end, at, newline == std::string_view::npos ? end : end + 1};
    }
    at = end + 1;
  }
  return std::nullopt;
}

}  // namespace

Result<Format> format_of(std::string_view name) {
  const std::string low = lower(name.substr(name.rfind('/') + 1));
  if (low.ends_with(".json")) return Format::json;
  if (low.ends_with(".yaml") || low.ends_with(".yml")) return Format::yaml;
  if (low.ends_with(".env") || low.starts_with(".env") || low.ends_with(".properties")) return Format::env;
  return error("Invalid",
               std::string(name) + ": values are set in .json, .yaml, .yml, .env and .properties files");
}

Result<std::string> set_value(std::string_view text, Format format, const std::string& path,
                              const std::string& value) {
  for (const auto& part : parts_of(path)) {
    if (part.empty() || part.find_first_of("\r\n") != std::string::npos)
      return error("Invalid", "not a path: '" + path + "'");
  }
  if (format == Format::json) return set_json(trim(text).empty() ? "{}\n" : text, path, value);
  if (format == Format::yaml) return set_yaml(text, path, value);
  if (path.find('=') != std::string::npos) return error("Invalid", "not a name: '" + path + "'");
  if (value.find_first_of("\r\n") != std::string::npos)
    return error("Invalid", "a value of more than one line cannot stand in a .env file");
  if (const auto span = find_env(text, path)) {
    return std::string(text.substr(0, span->begin)) + value + std::string(text.substr(span->end));
  }
  std::string out(text);
  if (!out.empty() && !out.ends_with('\n')) out += '\n';
  return out + path + "=" + value + "\n";
}

Result<std::string> unset_value(std::string_view text, Format format, const std::string& path) {
  if (format == Format::json) return unset_json(text, path);
  if (format == Format::yaml) return unset_yaml(text, path);
  const auto span = find_env(text, path);
  if (!span) return missing(path);
  return std::string(text.substr(0, span->member_begin)) + std::string(text.substr(span->member_end));
}

}  // namespace bastide::secrets
