#include "delivery/image_dockerfile.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/json.h"
#include "delivery/image_words.h"

namespace bastide::delivery {
namespace {

struct Keyword {
  const char* name;
  bool array;                      // may be written as a JSON array
  std::vector<std::string> flags;  // that it understands
};

const std::vector<Keyword>& keywords() {
  static const std::vector<Keyword> all = {
      {"FROM", false, {"platform"}},
      {"ARG", false, {}},
      {"COPY", true, {"from", "chown", "chmod", "link", "parents"}},
      {"RUN", true, {"network", "mount", "security"}},
      {"ENV", false, {}},
      {"WORKDIR", false, {}},
      {"USER", false, {}},
      {"EXPOSE", false, {}},
      {"ENTRYPOINT", true, {}},
      {"CMD", true, {}},
      {"LABEL", false, {}},
      {"STOPSIGNAL", false, {}},
      {"SHELL", true, {}},
      {"VOLUME", true, {}},
      {"MAINTAINER", false, {}},
      {"HEALTHCHECK", false, {"interval", "timeout", "start-period", "start-interval", "retries"}},
      {"ADD", true, {"from", "chown", "chmod", "link", "checksum", "keep-git-dir"}},
      {"ONBUILD", false, {}},
  };
  return all;
}

const Keyword* find_keyword(std::string_view name) {
  for (const auto& k : keywords()) {
    if (name == k.name) return &k;
  }
  return nullptr;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string_view take_word(std::string_view& text) {
  const size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  const size_t start = text.find_first_not_of(" \t");
  text.remove_prefix(start == std::string_view::npos ? text.size() : start);
  return word;
}

// A line of the file with its continuations joined.
struct Logical {
  int line = 0;
  std::string text;
};

std::vector<Logical> join_lines(const std::vector<std::string_view>& lines, char escape) {
  std::vector<Logical> out;
  bool open = false;
  int number = 0;
  for (std::string_view raw : lines) {
    ++number;
    if (!raw.empty() && raw.back() == '\r') raw.remove_suffix(1);
    const std::string_view bare = trim(raw);
    if (bare.empty() || bare.front() == '#') continue;
    std::string_view body = open ? raw : bare;
    while (!body.empty() && (body.back() == ' ' || body.back() == '\t')) body.remove_suffix(1);
    const bool goes_on = !body.empty() && body.back() == escape;
    if (goes_on) body.remove_suffix(1);
    if (!open) out.push_back({number, ""});
    out.back().text += body;
    open = goes_on;
  }
  return out;
}

// "# name=value" lines before anything else.
Result<char> read_directives(const std::vector<std::string_view>& lines, const Dockerfile& d) {
  char escape = '\\';
  int number = 0;
  for (const std::string_view raw : lines) {
    ++number;
    std::string_view line = trim(raw);
    if (line.empty() || line.front() != '#') break;
    line.remove_prefix(1);
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) break;
    const std::string name = lower(trim(line.substr(0, equals)));
    const std::string_view value = trim(line.substr(equals + 1));
    if (name.find_first_of(" \t") != std::string::npos) break;
    if (name == "escape") {
      if (value != "\\" && value != "`") return d.at(number, "the escape directive is \\ or `");
      escape = value.front();
    } else if (name != "syntax" && name != "check") {
      break;
    }
  }
  return escape;
}

Result<Instruction> read_instruction(const Logical& logical, const Dockerfile& d) {
  Instruction out;
  out.line = logical.line;
  std::string_view rest = trim(logical.text);
  const std::string_view word = take_word(rest);
  out.keyword = upper(word);
  const Keyword* keyword = find_keyword(out.keyword);
  if (keyword == nullptr) {
    std::vector<std::string> names;
    for (const auto& k : keywords()) names.emplace_back(k.name);
    const std::string near = closest(out.keyword, names);
    return d.at(out.line, fmt::format("unknown instruction {}{}", word.substr(0, 60),
                                      near.empty() ? "" : fmt::format("; did you mean {}?", near)));
  }
  while (rest.starts_with("--")) {
    std::string_view flag = take_word(rest);
    flag.remove_prefix(2);
    const size_t equals = flag.find('=');
    const std::string name(flag.substr(0, equals));
    if (std::find(keyword->flags.begin(), keyword->flags.end(), name) == keyword->flags.end()) {
      const std::string near = closest(name, keyword->flags);
      return d.at(out.line, fmt::format("{} has no flag --{}{}", out.keyword, name.substr(0, 60),
                                        near.empty() ? "" : fmt::format("; did you mean --{}?", near)));
    }
    out.flags.emplace_back(name,
                           equals == std::string_view::npos ? "true" : std::string(flag.substr(equals + 1)));
  }
  out.text = trim(rest);
  if (out.text.empty()) return d.at(out.line, out.keyword + " needs an argument");
  if (out.text.starts_with("<<") || out.text.find(" <<EOF") != std::string::npos) {
    return d.at(out.line, "here-documents are not supported; use && and line continuations");
  }
  if (keyword->array && out.text.front() == '[') {
    auto parsed = json::parse(out.text);
    if (parsed && parsed.value().is_array()) {
      out.exec_form = true;
      for (const auto& v : parsed.value().array()) {
        if (!v.is_string()) return d.at(out.line, out.keyword + " takes an array of strings");
        out.words.push_back(v.string());
      }
      return out;
    }
    if (out.keyword == "SHELL")
      return d.at(out.line, "SHELL takes an array of strings: [\"/bin/sh\", \"-c\"]");
  }
  if (out.keyword == "RUN" || out.keyword == "CMD" || out.keyword == "ENTRYPOINT") return out;
  auto words = split_words(out.text, d.escape);
  if (!words) return d.at(out.line, words.error().message);
  out.words = std::move(words).value();
  return out;
}

Result<void> add_from(Dockerfile& d, const Instruction& from) {
  const auto& w = from.words;
  if (w.size() != 1 && !(w.size() == 3 && iequals(w[1], "AS"))) {
    return d.at(from.line, "FROM is written FROM image [AS name]");
  }
  Stage stage;
  stage.line = from.line;
  stage.base = w[0];
  if (w.size() == 3) {
    stage.name = lower(w[2]);
    if (stage.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") != std::string::npos ||
        !(stage.name[0] >= 'a' && stage.name[0] <= 'z')) {
      return d.at(from.line,
                  fmt::format("{} is not a stage name: it starts with a letter, then letters, digits, - _ .",
                              w[2].substr(0, 60)));
    }
    for (const auto& other : d.stages) {
      if (other.name == stage.name) {
        return d.at(from.line,
                    fmt::format("the stage {} is already defined in line {}", stage.name, other.line));
      }
    }
  }
  d.stages.push_back(std::move(stage));
  return {};
}

}  // namespace

const std::string* Instruction::flag(std::string_view name) const {
  for (const auto& [key, value] : flags) {
    if (key == name) return &value;
  }
  return nullptr;
}

Error Dockerfile::at(int line, std::string message) const {
  return error("Dockerfile", fmt::format("{}:{}: {}", file, line, message));
}

Result<Dockerfile> parse_dockerfile(std::string_view text, const std::string& file) {
  Dockerfile d;
  d.file = file;
  if (text.size() > kMaxDockerfileBytes) return d.at(1, "larger than 1 MiB");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const auto lines = split(text, '\n');
  d.escape = TRY(read_directives(lines, d));
  for (const Logical& logical : join_lines(lines, d.escape)) {
    Instruction instruction = TRY(read_instruction(logical, d));
    if (instruction.keyword == "FROM") {
      TRY(add_from(d, instruction));
    } else if (d.stages.empty()) {
      if (instruction.keyword != "ARG") {
        return d.at(instruction.line,
                    instruction.keyword + " before the first FROM: only ARG may stand there");
      }
      d.globals.push_back(std::move(instruction));
    } else {
      d.stages.back().instructions.push_back(std::move(instruction));
    }
  }
  if (d.stages.empty()) return d.at(1, "there is no FROM");
  return d;
}

Result<std::vector<std::pair<std::string, std::string>>> read_pairs(const Instruction& in, char) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto& words = in.words;
  const bool old = in.keyword != "ARG" && words.front().find('=') == std::string::npos;
  if (old) {
    std::string_view rest = in.text;
    const std::string_view name = take_word(rest);
    if (rest.empty()) return error(fmt::format("{} is written {} NAME=value", in.keyword, in.keyword));
    out.emplace_back(name, rest);
    return out;
  }
  for (const auto& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos && in.keyword == "ARG") {
      out.emplace_back(word, "");
      continue;
    }
    if (equals == std::string::npos || equals == 0) {
      return error(fmt::format("{} is not NAME=value", word.substr(0, 100)));
    }
    out.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return out;
}

}  // namespace bastide::delivery
