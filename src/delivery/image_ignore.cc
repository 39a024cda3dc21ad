#include "delivery/image_ignore.h"

#include "base/bytes.h"

namespace bastide::delivery {
namespace {

constexpr size_t kMaxRules = 10'000;

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> out;
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!out.empty()) out.pop_back();
      continue;
    }
    out.emplace_back(part);
  }
  return out;
}

// Whether the pattern matches the path or one of its parents.
bool matches(const std::vector<std::string>& pattern, size_t p, const std::vector<std::string>& path,
             size_t i) {
  if (p == pattern.size()) return i > 0;
  if (pattern[p] == "**") {
    for (size_t skip = i; skip <= path.size(); ++skip) {
      if (p + 1 == pattern.size() ? skip > i : matches(pattern, p + 1, path, skip)) return true;
    }
    return false;
  }
  if (i == path.size()) return false;
  return matches_component(pattern[p], path[i]) && matches(pattern, p + 1, path, i + 1);
}

// A set such as [a-z] or [^0-9] at pattern[p]; its end, or npos where it is not closed.
size_t match_set(std::string_view pattern, size_t p, char c, bool& hit) {
  size_t i = p + 1;
  const bool negate = i < pattern.size() && (pattern[i] == '^' || pattern[i] == '!');
  if (negate) ++i;
  hit = false;
  bool first = true;
  while (i < pattern.size() && (first || pattern[i] != ']')) {
    first = false;
    const char low = pattern[i];
    char high = low;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      high = pattern[i + 2];
      i += 2;
    }
    hit = hit || (c >= low && c <= high);
    ++i;
  }
  if (i >= pattern.size()) return std::string_view::npos;
  if (negate) hit = !hit;
  return i + 1;
}

}  // namespace

bool matches_component(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    bool step = false;
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = p++;
        mark = t;
        continue;
      }
      size_t next = p + 1;
      if (pattern[p] == '?') {
        step = true;
      } else if (pattern[p] == '[') {
        next = match_set(pattern, p, text[t], step);
        if (next == std::string_view::npos) {
          step = text[t] == '[';
          next = p + 1;
        }
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        step = pattern[p + 1] == text[t];
        next = p + 2;
      } else {
        step = pattern[p] == text[t];
      }
      if (step) {
        p = next;
        ++t;
        continue;
      }
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    t = ++mark;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Ignore::Ignore(std::string_view text) {
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    if (line.front() == '!') {
      rule.keep = true;
      line = trim(line.substr(1));
    }
    rule.parts = components(line);
    if (!rule.parts.empty() && rules_.size() < kMaxRules) rules_.push_back(std::move(rule));
  }
}

bool Ignore::ignores(std::string_view path) const {
  if (rules_.empty()) return false;
  const auto parts = components(path);
  bool ignored = false;
  for (const auto& rule : rules_) {
    if (rule.keep == ignored && matches(rule.parts, 0, parts, 0)) ignored = !rule.keep;
  }
  return ignored;
}

}  // namespace bastide::delivery
